"""The networks, one architecture per file, and beside each its catalogue entry, without torch."""
