"""NumPy's files as data, without PyTorch."""
