"""How many cases to write at a time, in pieces of which size, and how many blocks to a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrowalk.engine.store.names import CHUNK_AIM, CHUNK_MOST, MAX_CHUNK_BYTES

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.engine.table import Column, Labelled

#: Data files of a store that is not packed, at most, and about how many there are once it is.
FEW, WISHED = 1000, 900
#: Bytes of one pack before compression, at most: what is on the disk twice while it is put together.
PACK_BYTES = 2**31


def chunk_shape(block_shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Shape of the compressed pieces of one block: at most 10 MB each, a divisor of the block along `case`.

    Parameters
    ----------
    block_shape : sequence of int
        Shape of one block of a variable, `case` first.
    itemsize : int
        Bytes per number.

    Returns
    -------
    tuple of int
        Equal to `block_shape` when the block itself is small enough.
    """
    shape = [max(1, size) for size in block_shape]
    if math.prod(shape) * itemsize <= CHUNK_MOST:
        return tuple(shape)
    for axis, size in enumerate(shape):
        rest = math.prod(shape[axis + 1 :]) * itemsize
        fits = min(size, max(1, CHUNK_AIM // rest))
        if axis == 0:
            fits = max(part for part in range(1, fits + 1) if size % part == 0)
        shape[axis] = fits
        if fits > 1 or rest <= CHUNK_MOST:
            break
    return tuple(shape)


def suggest_block(
    template: Labelled, *, memory: int = 256 * 2**20, files: int = 900, most: int | None = None
) -> int:
    """How many cases to compute and write at a time.

    Chunks of the largest variable reach about 4 MB, the store has at most about `files` data files, and
    one block of all variables stays within `memory`, which goes before the other two.

    Parameters
    ----------
    template : xr.Dataset or Table
        As for `create`; only shapes and dtypes are looked at.
    memory : int
        Bytes that one block may take before compression.
    files : int
        Wished largest number of data files.
    most : int, optional
        Upper limit from elsewhere, such as a minute's worth of cases.

    Returns
    -------
    int
        A power of two, or all cases when they fit one block.
    """
    per_case = [
        _bytes_per_case(variable) for variable in template.data_vars.values() if "case" in variable.dims
    ]
    cases = template.sizes["case"]
    if not per_case:
        return cases
    wished = max(1, CHUNK_AIM // 2 // max(per_case), math.ceil(cases * len(per_case) / files))
    allowed = max(1, min(memory // sum(per_case), most if most is not None else cases))
    block: int = 2 ** math.ceil(math.log2(wished))
    if block > allowed:
        block = 2 ** int(math.log2(allowed))
    return min(block, cases)


def _bytes_per_case(variable: xr.DataArray | Column) -> int:
    itemsize: int = 4 if variable.dtype.kind == "f" else variable.dtype.itemsize
    sizes: Mapping[Any, int] = variable.sizes
    return max(1, itemsize * math.prod(size for dim, size in sizes.items() if dim != "case"))


def suggest_pack(template: Labelled, block: int) -> int:
    """How many blocks to put into one file, so that a large store has hundreds of files.

    Parameters
    ----------
    template : xr.Dataset or Table
        As for `create`; only shapes and dtypes are looked at.
    block : int
        Cases per block.

    Returns
    -------
    int
        1 where blocks alone make few files.
    """
    sizes = [_bytes_per_case(variable) for variable in template.data_vars.values() if "case" in variable.dims]
    blocks = -(-template.sizes["case"] // block)
    if blocks * len(sizes) <= FEW:
        return 1
    wished = math.ceil(blocks / max(1, WISHED // len(sizes)))
    allowed = min(PACK_BYTES // (block * sum(sizes)), MAX_CHUNK_BYTES // (block * max(sizes)))
    return max(1, min(wished, allowed))
