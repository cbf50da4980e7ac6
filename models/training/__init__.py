"""How a network is trained: one step, one epoch, one training, and what is kept of it."""
