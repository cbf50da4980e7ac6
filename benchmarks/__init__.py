"""Measurements anyone can repeat: ``python -m benchmarks.NAME``; see docs/benchmarks.md."""
