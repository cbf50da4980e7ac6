"""The leading scheduler: the loop around the core, and what it reads, asks and orders."""
