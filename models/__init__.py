"""Networks and how they are trained: PyTorch, and nothing of the service around it."""
