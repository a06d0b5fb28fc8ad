"""Benchmarks: asv classes beside this file, and `python -m benchmarks.peers`."""
