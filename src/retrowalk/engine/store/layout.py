"""What a store holds and in which files: blocks of cases, one file per variable and block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from retrowalk.engine.store.files import Stamp
from retrowalk.engine.store.names import (
    CHUNK_AIM,
    CHUNK_MOST,
    MAX_ARRAYS,
    MAX_DIMENSIONS,
    MAX_SIZE,
    PENDING,
    ZARR,
)

if TYPE_CHECKING:
    import xarray as xr

#: Names of variables, which are names of folders too.
NAME = r"[A-Za-z][A-Za-z0-9_.\-]{0,199}"


class Variable(BaseModel):
    """One case-dependent variable: dimensions with `case` first, shape and dtype as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=f"^{NAME}$")
    dims: tuple[str, ...] = Field(max_length=MAX_DIMENSIONS)
    shape: tuple[int, ...] = Field(max_length=MAX_DIMENSIONS)
    dtype: str = Field(max_length=10)


class Layout(BaseModel):
    """The description of a store: its identity, its blocks, its variables and its fixed files.

    Attributes
    ----------
    digests
        Named digests of everything the results follow from (scenario, seed, results version, posterior).
    cases, block
        Number of cases, and how many of them make a block (the last one may be shorter).
    streamed
        The variables written block by block.
    fixed
        Size and SHA-256 of every file written with the layout: descriptions and coordinates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: str
    digests: dict[str, str]
    cases: int = Field(ge=1, le=MAX_SIZE)
    block: int = Field(ge=1, le=MAX_SIZE)
    streamed: tuple[Variable, ...] = Field(max_length=MAX_ARRAYS)
    fixed: dict[str, tuple[int, str]]

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.cases // self.block)

    def cases_of(self, block: int) -> slice:
        """Cases of one block as a slice.

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

    def files_of(self, block: int) -> dict[str, str]:
        """Name of the variable by file (relative to the store) for one block."""
        return {
            f"{variable.name}/c.{block}" + ".0" * (len(variable.shape) - 1): variable.name
            for variable in self.streamed
        }

    def fixed_stamps(self) -> dict[str, Stamp]:
        """Stamps of the files written with the layout, by name in a complete store."""
        return {name: Stamp(*stamp) for name, stamp in self.fixed.items()}

    def described(self) -> list[str]:
        """Folders whose descriptions are hidden until the store is complete; the root (empty) last."""
        documents = [name.rpartition("/")[0] for name in self.fixed if name.rpartition("/")[2] == ZARR]
        return sorted(documents, reverse=True)


def is_piece(key: str) -> bool:
    """Whether a name is that of a piece of an array, not of a description."""
    last = key.rpartition("/")[2]
    return last == "c" or last.startswith("c.")


def waiting(name: str) -> str:
    """Name under which a description waits while the store is unfinished: ``a/zarr.json`` and the like."""
    folder, _, last = name.rpartition("/")
    return (f"{folder}/" if folder else "") + (PENDING if last == ZARR else last)


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
    template: xr.Dataset, *, memory: int = 256 * 2**20, files: int = 900, most: int | None = None
) -> int:
    """How many cases to compute and write at a time.

    Chunks of the largest variable reach about 4 MB, the store has at most about `files` data files, and
    one block of all variables stays within `memory`, which goes before the other two.

    Parameters
    ----------
    template : xr.Dataset
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


def _bytes_per_case(variable: xr.DataArray) -> int:
    itemsize: int = 4 if variable.dtype.kind == "f" else variable.dtype.itemsize
    return max(1, itemsize * math.prod(variable.sizes[dim] for dim in variable.dims if dim != "case"))


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Names of the digests that differ, in the order asked for."""
    names = [*wanted, *(name for name in found if name not in wanted)]
    return [name for name in names if wanted.get(name) != found.get(name)]
