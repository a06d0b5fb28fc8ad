"""Benchmarks: classes for asv (`suite`), `python -m benchmarks.peers`, `.start` and `.structure`."""
