"""The losses: their catalogue entries, those that torch lacks, and what targets each can take."""
