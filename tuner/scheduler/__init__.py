"""The scheduler's core: what happened and what time it is, in; what is to be done, out."""
