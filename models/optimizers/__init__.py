"""The optimizers: their catalogue entries, and those that torch lacks."""
