"""What always holds, asserted on a database and its files: by tests, and on a live service."""
