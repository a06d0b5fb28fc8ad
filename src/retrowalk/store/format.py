"""The names of files inside a store, and the limits beyond which a store is refused."""

from __future__ import annotations

import os

#: What Zarr calls the description of a group or array.
ZARR = "zarr.json"
#: Where that description waits until the store is complete: nothing but this package looks here.
PENDING = "retrowalk.pending.json"
#: Folder of retrowalk's own files; as a described group it does not surprise Zarr.
OWN = "_retrowalk"
DESCRIPTION = "store.json"
MANIFEST = "manifest.jsonl"
#: Folder of one object per finished block where there is no appending.
BLOCKS = "blocks"
LOCK = "lock"
#: How long the cases took; no result depends on it.
SPEED = "speed.json"
#: What the names of the pieces of an array begin with, and of blocks that wait for their pack.
PIECE, PART = "c.", "part."
#: Ending of files that are being written.
PARTIAL = ".partial"

#: Global attribute by which a dataset says that it is ours, and its value.
FORMAT_ATTRIBUTE = "retrowalk_format"
FORMAT = "retrowalk-results/1"
STORE_FORMAT = "retrowalk-store/1"
#: Global attributes of a dataset opened before its store was complete.
FINISHED_ATTRIBUTE = "retrowalk_finished_cases"
MISSING_ATTRIBUTE = "retrowalk_missing_cases"

#: Aim and ceiling of one compressed piece of an array, in bytes before compression.
CHUNK_AIM, CHUNK_MOST = 8_000_000, 10_000_000

MAX_ENTRIES = 1_000_000
MAX_ARRAYS = 1_000
MAX_DESCRIPTION = 16 * 2**20
MAX_MANIFEST = 64 * 2**20
MAX_DIMENSIONS = 8
MAX_SIZE = 2**40
MAX_COORDINATE = 2**24
MAX_TEXTS = 2**20
MAX_ATTRIBUTES = 1_000
MAX_ATTRIBUTE_TEXTS = 64
MAX_FILE = 2**32
MAX_CHUNK_BYTES = 2**28

#: What addresses of object stores begin with.
SCHEMES = ("s3://", "gs://")


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a store lies in an object store and not in a folder."""
    return str(path).startswith(SCHEMES)
