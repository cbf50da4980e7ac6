"""Texts, from a file to windows of codes: NumPy, and no torch."""
