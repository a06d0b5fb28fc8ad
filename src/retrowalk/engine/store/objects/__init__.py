"""Stores in object storage (``s3://``, ``gs://``): the same layout, one object per file, nothing renamed.

What differs from a folder: an object appears whole or not at all, so nothing is written aside; descriptions
move to their proper names by copying; each finished block has an object of its own in place of a line in the
manifest; the lock is an object that only one writer can create, kept alive by its owner.
"""
