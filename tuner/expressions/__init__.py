"""Conditions on configurations as people write them: read, checked, and worked out by ourselves."""
