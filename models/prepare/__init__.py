"""What stands in front of a network, one kind per file. Entries are in `models.prepare.entries`."""
