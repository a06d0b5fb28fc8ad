"""What a store holds and in which files: blocks of cases, and packs of blocks in large stores."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from retrowalk.engine.store.files import Stamp
from retrowalk.engine.store.names import MAX_ARRAYS, MAX_DIMENSIONS, MAX_SIZE, PART, PENDING, PIECE, ZARR

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
    pack
        Blocks of one file. Where it is 1, a block is one file per variable. Otherwise blocks are written as
        parts, and once all parts of a pack are there they are put together into one file.
    pieces
        Compressed pieces of one part by variable, only where there are packs.
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
    pack: int = Field(1, ge=1, le=MAX_SIZE)
    pieces: dict[str, int] = Field(default_factory=dict)
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

    @property
    def packs(self) -> int:
        """Number of packs."""
        return -(-self.blocks // self.pack)

    def blocks_of(self, pack: int) -> range:
        """Blocks of one pack."""
        return range(pack * self.pack, min((pack + 1) * self.pack, self.blocks))

    def files_of(self, block: int) -> dict[str, str]:
        """Name of the variable by file (relative to the store) for one block."""
        return self._files(PART if self.pack > 1 else PIECE, block)

    def files_of_pack(self, pack: int) -> dict[str, str]:
        """Name of the variable by file for one pack once it is put together; none where packs are blocks."""
        return self._files(PIECE, pack) if self.pack > 1 else {}

    def _files(self, start: str, number: int) -> dict[str, str]:
        return {
            f"{variable.name}/{start}{number}" + ".0" * (len(variable.shape) - 1): variable.name
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
    return last == "c" or last.startswith(PIECE)


def waiting(name: str) -> str:
    """Name under which a description waits while the store is unfinished: ``a/zarr.json`` and the like."""
    folder, _, last = name.rpartition("/")
    return (f"{folder}/" if folder else "") + (PENDING if last == ZARR else last)


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Names of the digests that differ, in the order asked for."""
    names = [*wanted, *(name for name in found if name not in wanted)]
    return [name for name in names if wanted.get(name) != found.get(name)]
