"""The names of files inside a store, and the limits beyond which a store or file is refused."""

from __future__ import annotations

import os

#: What Zarr calls the description of a group or array.
ZARR = "zarr.json"
#: Folder of retrowalk's own files; a described group, so that it does not surprise Zarr.
OWN = "_retrowalk"
#: Layout of the store with its identity, and below it the lock, how long cases took, and the manifest.
DESCRIPTION, LOCK, SPEED, MANIFEST = f"{OWN}/store.json", f"{OWN}/lock", f"{OWN}/speed.json", "manifest"
#: Folders of the files of single blocks and of the records of groups of blocks.
BLOCKS, GROUPS = "blocks", "groups"
#: Ending of files that are being written.
PARTIAL = ".partial"

#: Global attribute by which a dataset says that it is ours, and its value.
FORMAT_ATTRIBUTE = "retrowalk_format"
FORMAT = "retrowalk-results/1"
STORE_FORMAT = "retrowalk-store/2"
#: Global attributes of a dataset opened before its store was complete.
FINISHED_ATTRIBUTE = "retrowalk_finished_cases"
MISSING_ATTRIBUTE = "retrowalk_missing_cases"

#: Names of variables, which are names of folders too.
NAME = r"[A-Za-z][A-Za-z0-9_.\-]{0,199}"
#: Bytes of the name of an output: files written aside carry a longer name.
MAX_NAME = 200

#: Aim and ceiling of one compressed piece of an array, in bytes before compression.
CHUNK_AIM, CHUNK_MOST = 8_000_000, 10_000_000
#: Bytes of one file of an array and of all files of one group of blocks, before compression. The second is
#: also what a store takes beyond its own size while it is written.
FILE_AIM, GROUP_AIM = 64 * 2**20, 2**31
#: Files that a store may have where that needs larger ones.
FILES_AIM = 100_000

MAX_ENTRIES = 1_000_000
MAX_ARRAYS = 1_000
MAX_DESCRIPTION = 16 * 2**20
MAX_DIMENSIONS = 8
MAX_SIZE = 2**40
MAX_COORDINATE = 2**24
MAX_TEXTS = 2**20
#: Bytes of one text coordinate once every text takes as much space as the longest.
MAX_TEXT_BYTES = 2**28
MAX_ATTRIBUTES = 1_000
MAX_ATTRIBUTE_TEXTS = 64
MAX_FILE = 2**38
MAX_CHUNK_BYTES = 2**28

#: What addresses of object stores begin with.
SCHEMES = ("s3://", "gs://")


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a store lies in an object store and not in a folder.

    Examples
    --------
    >>> is_url("s3://bucket/knee.zarr"), is_url("knee.zarr")
    (True, False)
    """
    return str(path).startswith(SCHEMES)
