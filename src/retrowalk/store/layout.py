"""Which cases, variables and files a store consists of; how many cases make a block, and blocks a file.

A block is what is computed, written and resumed at a time. Finished blocks are files of their own at first.
Once all blocks of a group are there, they are put together into one file per variable, a Zarr shard.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from retrowalk.errors import InputError
from retrowalk.store import format as names

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.simulation.table import Column, Labelled

#: Types of numbers in a store, with their bytes.
NUMBERS = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4}
NUMBERS |= {"float32": 4, "int64": 8, "uint64": 8, "float64": 8}

#: Bytes of a group of blocks where that makes few files: what is on the disk twice while it is put together.
GROUP_USUAL = 2**28
#: Files of data that a store should have at most, where the aims for their size allow it.
_WISHED = 900


class Variable(BaseModel):
    """A variable that depends on the case: dimensions with `case` first, shape and type as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=f"^{names.NAME}$")
    dims: tuple[str, ...] = Field(max_length=names.MAX_DIMENSIONS)
    shape: tuple[int, ...] = Field(min_length=1, max_length=names.MAX_DIMENSIONS)
    dtype: str = Field(max_length=10)

    @property
    def itemsize(self) -> int:
        """Bytes per number."""
        return NUMBERS[self.dtype]

    def chunk(self, block: int) -> tuple[int, ...]:
        """Shape of the compressed pieces of a block of so many cases."""
        return chunk_shape((block, *self.shape[1:]), self.itemsize)

    def pieces(self, block: int) -> tuple[int, ...]:
        """Number of pieces of a block along each dimension."""
        whole = (block, *(max(1, size) for size in self.shape[1:]))
        return tuple(-(-size // part) for size, part in zip(whole, self.chunk(block), strict=True))


class Layout(BaseModel):
    """The description of a store.

    Attributes
    ----------
    format
        Version of the store's format.
    store
        Random identity of this very store; every record in it repeats it.
    digests
        Named digests of everything the results follow from (scenario, seed, results version, posterior).
    cases, block, group
        Number of cases, cases of a block, and blocks of a group; the last ones may be shorter.
    variables
        The variables written block by block.
    documents
        Zarr's description of each array and group by folder, the root being the empty name.
    fixed
        Size and SHA-256 of the files written with the layout: coordinates and variables without `case`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: str
    store: str = Field(pattern="^[0-9a-f]{32}$")
    digests: dict[str, str]
    cases: int = Field(ge=1, le=names.MAX_SIZE)
    block: int = Field(ge=1, le=names.MAX_SIZE)
    group: int = Field(ge=1, le=names.MAX_SIZE)
    variables: tuple[Variable, ...] = Field(max_length=names.MAX_ARRAYS)
    documents: dict[str, str]
    fixed: dict[str, tuple[int, str]]

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.cases // self.block)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return -(-self.blocks // self.group)

    @cached_property
    def pieces(self) -> tuple[int, ...]:
        """Number of pieces of a block, by variable."""
        return tuple(math.prod(variable.pieces(self.block)) for variable in self.variables)

    def cases_of(self, block: int) -> slice:
        """Cases of one block.

        Raises
        ------
        IndexError
            When the store has no such block.
        """
        if not 0 <= block < self.blocks:
            raise IndexError(f"block {block} does not exist; this store has {self.blocks}")
        return slice(block * self.block, min((block + 1) * self.block, self.cases))

    def size_of(self, block: int) -> int:
        """Number of cases in one block."""
        cases = self.cases_of(block)
        return int(cases.stop - cases.start)

    def blocks_of(self, group: int) -> range:
        """Blocks of one group."""
        return range(group * self.group, min((group + 1) * self.group, self.blocks))

    def file(self, variable: Variable, group: int) -> str:
        """Name of the file of one variable and group, as Zarr expects it."""
        return f"{variable.name}/c.{group}" + ".0" * (len(variable.shape) - 1)

    def files_of(self, group: int) -> list[str]:
        """Names of the files of one group, in the order of the variables."""
        return [self.file(variable, group) for variable in self.variables]

    def folders(self) -> list[str]:
        """Folders with a description, the root (the empty name) last."""
        return sorted(self.documents, reverse=True)

    def for_workers(self) -> Layout:
        """The part that writing blocks needs: small, since it travels with each of them."""
        return self.model_copy(update={"documents": {}, "fixed": {}})

    def sealed(self) -> bytes:
        """The layout as it is kept, followed by its own digest."""
        body = self.model_dump_json().encode()
        return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"


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

    Examples
    --------
    >>> chunk_shape((64, 100, 5), 4)
    (64, 100, 5)
    >>> chunk_shape((64, 60000), 4)
    (32, 60000)
    """
    shape = [max(1, size) for size in block_shape]
    if math.prod(shape) * itemsize <= names.CHUNK_MOST:
        return tuple(shape)
    for axis, size in enumerate(shape):
        rest = math.prod(shape[axis + 1 :]) * itemsize
        fits = min(size, max(1, names.CHUNK_AIM // rest))
        if axis == 0:
            fits = max(part for part in range(1, fits + 1) if size % part == 0)
        shape[axis] = fits
        if fits > 1 or rest <= names.CHUNK_MOST:
            break
    return tuple(shape)


def suggest_block(template: Labelled, *, memory: int = 256 * 2**20, most: int | None = None) -> int:
    """How many cases to compute and write at a time.

    Pieces of the largest variable reach about 4 MB, and one block of all variables stays within `memory`,
    which goes before.

    Parameters
    ----------
    template : xr.Dataset or Table
        As for `create`; only shapes and types are looked at.
    memory : int
        Bytes that one block may take before compression.
    most : int, optional
        Upper limit from elsewhere, such as a minute's worth of cases.

    Returns
    -------
    int
        A power of two, or all cases when they fit one block.
    """
    per_case, cases = _bytes_per_case(template), template.sizes["case"]
    if not per_case:
        return cases
    wished = max(1, names.CHUNK_AIM // 2 // max(per_case))
    allowed = max(1, min(memory // sum(per_case), most if most is not None else cases))
    block: int = 2 ** math.ceil(math.log2(wished))
    if block > allowed:
        block = 2 ** int(math.log2(allowed))
    return min(block, cases)


def suggest_group(template: Labelled, block: int) -> int:
    """How many blocks to put into one file.

    A group takes 256 MiB before compression. Where that makes more than hundreds of files, it takes up to
    2 GiB and a file up to 64 MiB, and more only where there would be more than 100 000 files.

    Parameters
    ----------
    template : xr.Dataset or Table
        As for `create`; only shapes and types are looked at.
    block : int
        Cases per block.
    """
    sizes, blocks = _bytes_per_case(template), -(-template.sizes["case"] // block)
    if not sizes:
        return 1
    usual = GROUP_USUAL // (block * sum(sizes))
    wished = max(usual, math.ceil(blocks / max(1, _WISHED // len(sizes))))
    allowed = min(names.GROUP_AIM // (block * sum(sizes)), names.FILE_AIM // (block * max(sizes)))
    needed = min(math.ceil(blocks * len(sizes) / names.FILES_AIM), 2**32 // (block * max(sizes)))
    return max(1, min(blocks, max(min(wished, allowed), needed)))


def suggest_files(template: Labelled, block: int) -> int:
    """Number of data files that a finished store with blocks of so many cases has."""
    blocks = -(-template.sizes["case"] // block)
    return -(-blocks // suggest_group(template, block)) * len(_bytes_per_case(template))


def _bytes_per_case(template: Labelled) -> list[int]:
    return [_bytes(variable) for variable in template.data_vars.values() if "case" in variable.dims]


def _bytes(variable: xr.DataArray | Column) -> int:
    itemsize: int = 4 if variable.dtype.kind == "f" else variable.dtype.itemsize
    sizes: Mapping[Any, int] = variable.sizes
    return max(1, itemsize * math.prod(size for dim, size in sizes.items() if dim != "case"))


def check_counts(path: object, layout: Layout) -> None:
    """Refuse a layout of absurdly many files.

    Raises
    ------
    InputError
        With the number of files and what to change.
    """
    files = layout.groups * max(1, len(layout.variables)) + len(layout.fixed)
    if max(files, layout.blocks) > names.MAX_ENTRIES:
        raise InputError(f"{path}: {layout.blocks} blocks make {files} files; use larger blocks")


def differing(wanted: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """Names of the digests that differ, in the order of the wanted ones.

    Examples
    --------
    >>> differing({"scenario": "a", "seed": "7"}, {"scenario": "a", "seed": "8", "extra": "x"})
    ['seed', 'extra']
    """
    every: Iterable[str] = [*wanted, *(name for name in present if name not in wanted)]
    return [name for name in every if wanted.get(name) != present.get(name)]


def stored_type(name: str, dtype: np.dtype[Any]) -> str:
    """Type under which numbers are stored: single precision for all decimals.

    Raises
    ------
    InputError
        For anything but numbers.
    """
    if dtype.kind == "f":
        return "float32"
    if dtype.kind not in "biu" or str(dtype) not in NUMBERS:
        raise InputError(f"variable {name}: a store holds numbers and text coordinates, not {dtype}")
    return str(dtype)
