"""What the rooms read, as tensors in memory: the only part of reading that needs torch."""
