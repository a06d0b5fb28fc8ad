"""Simulate what happens to a group of people when part of their walking is done backwards."""

__version__ = "0.1.0"
