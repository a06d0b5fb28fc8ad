"""Open results: a finished store, the finished part of an unfinished one, or one netCDF file.

A store as one netCDF file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.errors import InputError, RetrowalkError
from retrowalk.store import format as names
from retrowalk.store.checks import check_documents, is_store, is_whole, read_layout
from retrowalk.store.format import is_url
from retrowalk.store.manifest import Contents, contents
from retrowalk.store.netcdf import check_netcdf, write_netcdf
from retrowalk.store.packs import Parts
from retrowalk.store.places import Place, located
from retrowalk.store.skeleton import plain_text

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.store.manifest import Layout

# Results hold days as numbers; decoding dates would only give strangers' units something to do.
_NO_DATES: Any = {"decode_times": False, "decode_timedelta": False}


def open_results(path: str | os.PathLike[str], *, chunks: dict[str, int] | None = None) -> xr.Dataset:
    """Open results for reading; numbers are read when they are needed.

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
        When there is nothing, or something that is not retrowalk's or not safe to read.

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
    try:
        return plain_text(_open_store(located(path), chunks) if is_url(path) else _open(Path(path), chunks))
    except RetrowalkError:
        raise
    except Exception as error:
        # A damaged or hostile file makes the libraries raise anything.
        reason = (str(error).splitlines() or [""])[0][:200]
        raise InputError(f"{path}: cannot be read as results ({type(error).__name__}: {reason})") from error


def _open(path: Path, chunks: dict[str, int] | None) -> xr.Dataset:
    if path.is_dir():
        return _open_store(path, chunks)
    if path.is_file():
        return _open_netcdf(path, chunks)
    what = "is neither a file nor a folder" if os.path.lexists(path) else "does not exist"
    raise InputError(f"{path}: {what}; give a store or a netCDF file that retrowalk wrote")


def _open_store(root: Place, chunks: dict[str, int] | None) -> xr.Dataset:
    import xarray as xr

    if not is_store(root):
        raise InputError(f"{root}: this folder is not a retrowalk store")
    layout = read_layout(root)
    check_documents(root, layout)
    found = contents(root / names.OWN / names.MANIFEST, layout)
    whole = is_whole(root, layout, found)
    dataset = xr.open_zarr(
        _arrays(root, layout, found, whole=whole),
        chunks=chunks,
        consolidated=False,
        zarr_format=3,
        **_NO_DATES,
    )
    ours = [variable.name for variable in layout.streamed]
    dataset = dataset[[*ours, *(name for name in dataset.data_vars if name not in ours)]]
    return dataset if whole else _finished_part(dataset, layout, found)


def _arrays(root: Place, layout: Layout, found: Contents, *, whole: bool) -> Any:  # noqa: ANN401  either kind of store
    written = layout.fixed_stamps()
    for files in (*(one.files for one in found.records.values()), *found.packs.values()):
        written |= files
    parts = Parts(root, layout, found.records) if layout.pack > 1 and not whole else None
    if isinstance(root, Path):
        from retrowalk.store.arrays import DurableStore

        return DurableStore(root.absolute(), read_only=True, written=written, parts=parts)
    from retrowalk.store.arrays import ObjectArrays
    from retrowalk.store.places import Bucket

    return ObjectArrays(Bucket(str(root)), read_only=True, written=written, parts=parts)


def _open_netcdf(path: Path, chunks: dict[str, int] | None) -> xr.Dataset:
    import xarray as xr

    check_netcdf(path)
    return xr.open_dataset(path.absolute(), engine="h5netcdf", chunks=chunks, **_NO_DATES)


def _finished_part(dataset: xr.Dataset, layout: Layout, found: Contents) -> xr.Dataset:
    blocks = sorted(found.records)
    cases = [np.arange(part.start, part.stop) for part in map(layout.cases_of, blocks)]
    done = np.concatenate(cases) if cases else np.arange(0)
    part = dataset.isel(case=slice(0, done.size) if _from_start(done) else done)
    return part.assign_attrs(
        {names.FINISHED_ATTRIBUTE: int(done.size), names.MISSING_ATTRIBUTE: layout.cases - int(done.size)}
    )


def _from_start(cases: np.ndarray[Any, np.dtype[Any]]) -> bool:
    return bool(cases.size == 0 or cases[-1] == cases.size - 1)


def export(store: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write the (finished cases of the) store at `store` as one netCDF file at `path`.

    One variable at a time is in memory. Errors as `open_results` and `write_netcdf`.
    """
    with open_results(store) as dataset:
        return write_netcdf(dataset, path, overwrite=overwrite)
