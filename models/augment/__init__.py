"""Augmentations, one kind per file. Their catalogue entries are in `models.augment.entries`."""
