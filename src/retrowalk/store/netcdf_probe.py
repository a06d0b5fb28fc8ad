"""Looks through an HDF5 file before it is decoded, in a process of its own that may use little.

Run as a script, so that it imports nothing of the package: a mutated file may make the HDF5 library allocate
without end or never return, which must not happen to the program that was asked to read it. It prints what
is wrong with the file, as JSON.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Files up to this size, whose numbers take at most so many bytes, are read through once.
_READ_THROUGH, _NUMBERS = 2**28, 2**31
#: Bytes read at a time.
_SLAB = 2**25


class Refusal(Exception):  # noqa: N818  what it says is all there is to it
    """What is wrong with the file."""


def main(path: str, limits: dict[str, Any]) -> None:
    """Print the answer for one file."""
    import h5py

    _restrict(limits)
    try:
        _check(h5py, path, limits)
        answer = ""
    except Refusal as refusal:
        answer = str(refusal)
    except MemoryError:
        answer = "needs more memory than a file of its size should"
    except Exception as error:
        answer = f"is damaged and cannot be opened ({str(error)[:120]})"
    print(json.dumps(answer), flush=True)  # noqa: T201  the answer


def _restrict(limits: dict[str, Any]) -> None:
    """Give up memory and processor time beyond the limits, where the system can."""
    try:
        import resource
    except ImportError:
        return
    with open("/proc/self/statm", "rb") if sys.platform == "linux" else open("/dev/null", "rb") as file:  # noqa: PTH123  no imports
        pages = file.read().split()
    used = int(pages[0]) * resource.getpagesize() if pages else 2**32
    resource.setrlimit(resource.RLIMIT_AS, (used + limits["memory"],) * 2)
    seconds = math.ceil(limits["seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _check(h5py: Any, path: str, limits: dict[str, Any]) -> None:  # noqa: ANN401  h5py ships no types
    with open(path, "rb") as start:  # noqa: PTH123  no imports
        if start.read(len(_SIGNATURE)) != _SIGNATURE:
            raise Refusal("is not a netCDF file that retrowalk wrote (no HDF5 signature)")
        size = start.seek(0, 2)
    with h5py.File(path, "r") as file:
        if len(file) > limits["arrays"]:
            raise Refusal(f"more than {limits['arrays']} variables are not results of retrowalk")
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise Refusal(f"{name[:60]!r} is a link, and links in result files are never followed")
        _check_attributes(h5py, "the file", file.attrs, limits)
        if file.attrs.get(limits["mark"][0]) != limits["mark"][1]:
            raise Refusal(f"holds no results of retrowalk (attribute {limits['mark'][0]} is absent)")
        numbers = 0
        for name in file:
            numbers += _check_member(h5py, name, file[name], limits)
            _check_attributes(h5py, name, file[name].attrs, limits)
        if numbers > 400 * size + 2**28:
            raise Refusal(f"claims {numbers >> 20} MiB of numbers in a file of {size >> 10} KiB")
        if size <= _READ_THROUGH and numbers <= _NUMBERS:
            for name in file:
                _read_through(file[name])


def _check_member(h5py: Any, name: str, member: Any, limits: dict[str, Any]) -> int:  # noqa: ANN401  as above
    """Bytes of one variable."""
    if not isinstance(member, h5py.Dataset):
        raise Refusal(f"{name[:60]!r} is not a variable; results are one flat group")
    if member.external or member.is_virtual:
        raise Refusal(f"{name[:60]!r} keeps its numbers in other files, which are never opened")
    text = h5py.check_string_dtype(member.dtype) is not None
    if not text and member.dtype.kind not in "biufS":
        raise Refusal(f"{name[:60]!r} has the type {str(member.dtype)[:60]}, which is not read")
    size = math.prod(member.shape or ())
    most = limits["texts"] if text else limits["coordinate"] if member.ndim == 1 else limits["size"]
    if member.ndim > limits["dimensions"] or size > most:
        raise Refusal(f"{name[:60]!r} has the shape {member.shape}, larger than any of retrowalk's")
    if math.prod(member.chunks or ()) * member.dtype.itemsize > limits["chunk"]:
        raise Refusal(f"{name[:60]!r} has chunks larger than any of retrowalk's")
    return size * int(member.dtype.itemsize)


def _check_attributes(h5py: Any, name: str, attributes: Any, limits: dict[str, Any]) -> None:  # noqa: ANN401  as above
    if len(attributes) > limits["attributes"]:
        raise Refusal(f"{name[:60]!r} has {len(attributes)} attributes, more than any of retrowalk's")
    for key in attributes:
        if key in ("scale_factor", "add_offset"):
            raise Refusal(
                f"the attribute {key!r} of {name[:60]!r} would change numbers; retrowalk writes none"
            )
        identity = attributes.get_id(key)
        text = h5py.check_string_dtype(identity.dtype) is not None
        size = math.prod(identity.shape or ())
        # One long text may be referred to many times, so that a small file becomes a large list.
        if size > (limits["attribute_texts"] if text else limits["arrays"]):
            raise Refusal(f"the attribute {key[:60]!r} of {name[:60]!r} has {size} values")


def _read_through(member: Any) -> None:  # noqa: ANN401  as above
    """Read every number once, a slab along the first dimension at a time."""
    if not member.shape or not member.size:
        member[()]
        return
    each = max(1, member.size // member.shape[0]) * member.dtype.itemsize
    step = max(1, _SLAB // each)
    for start in range(0, member.shape[0], step):
        member[start : start + step]


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
