"""Data sets: found, read, divided and prepared. Each kind has a room, which reads without torch."""
