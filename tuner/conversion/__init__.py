"""Searches as others' tools write them, as specs; what has no meaning here is said beside it."""
