"""The store of a sweep: blocks of cases written durably to Zarr, resumed, checked, read and exported.

Files of a store, `o` being a variable, 3 a group of blocks and 17 a block::

    sweep.zarr/zarr.json                     written as the very last step; plain Zarr needs it
    sweep.zarr/o/zarr.json                   written when all blocks are there
    sweep.zarr/o/c.3.0.0                     a shard: the pieces of one variable and group of blocks
    sweep.zarr/_retrowalk/store.json         identity, digests, blocks, variables, descriptions
    sweep.zarr/_retrowalk/manifest.jsonl     a line per finished block or group: digest of its record
    sweep.zarr/_retrowalk/blocks/000017-...  a block that waits for the others of its group, with its record
    sweep.zarr/_retrowalk/groups/0003-...    the record of a group: digests of all its pieces
    sweep.zarr/_retrowalk/lock               held by the one writer
    sweep.zarr/_retrowalk/speed.json         how long the cases took

In an object store the manifest, blocks and groups lie below ``_retrowalk/IDENTITY``, and each line of the
manifest is an object.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from retrowalk.store.block_records import BlockRecord
from retrowalk.store.descriptions import widen
from retrowalk.store.encode import compressed_size
from retrowalk.store.folder import LostStoreError
from retrowalk.store.format import is_url
from retrowalk.store.layout import Layout, differing, suggest_block, suggest_files
from retrowalk.store.netcdf import check_target, write_netcdf
from retrowalk.store.opening import create
from retrowalk.store.verify import Damage, StoreStatus, status, verify
from retrowalk.store.writer import BlockWriter, Writer

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "BlockRecord",
    "BlockWriter",
    "Damage",
    "Layout",
    "LostStoreError",
    "StoreStatus",
    "Writer",
    "check_target",
    "compressed_size",
    "create",
    "differing",
    "export",
    "is_url",
    "open_results",
    "status",
    "suggest_block",
    "suggest_files",
    "verify",
    "widen",
    "write_netcdf",
]


def open_results(path: str | os.PathLike[str], *, chunks: dict[str, int] | None = None) -> xr.Dataset:
    """Open results for reading; numbers are read, and verified, when they are needed.

    Parameters
    ----------
    path : path
        A store of a sweep, finished or not, or a netCDF file.
    chunks : optional
        As for `xarray.open_dataset`: ``{}`` gives Dask arrays.

    Returns
    -------
    xr.Dataset
        Of an unfinished store only the finished cases; its attributes `retrowalk_finished_cases` and
        `retrowalk_missing_cases` count both.

    Raises
    ------
    InputError
        When there is nothing, or something that is not retrowalk's or not safe to read; later, when what is
        to be read does not fit the free memory.
    RunError
        Later, when what is read is not what was written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import retrowalk
    >>> from retrowalk.scenario import parse_scenario, template
    >>> text = template("knee_oa").replace("size: 1000", "size: 50").replace("draws: 100", "draws: 4")
    >>> with TemporaryDirectory() as folder:
    ...     retrowalk.sweep(parse_scenario(text), store=f"{folder}/knee.zarr", threads=1).close()
    ...     with open_results(f"{folder}/knee.zarr") as result:
    ...         print(result.attrs["reference_arm"], result["day"].values.tolist())
    usual [0, 21, 42]
    """
    from retrowalk.store.dataset import open_dataset

    return open_dataset(path, chunks)


def export(store: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write the (finished cases of the) store at `store` as one netCDF file at `path`.

    One variable at a time is in memory. Errors as `open_results` and `write_netcdf`.
    """
    with open_results(store) as dataset:
        return write_netcdf(dataset, path, overwrite=overwrite)
