"""Create a store, continue it, repair it, or say why not."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.bucket import Bucket
from retrowalk.store.checks import read_layout, waiting_text
from retrowalk.store.descriptions import describe, fixed_file, variables_of
from retrowalk.store.encode import Piece, encode_fixed
from retrowalk.store.format import is_url
from retrowalk.store.layout import Layout, check_counts, differing, suggest_group
from retrowalk.store.lock import BucketLock, FolderLock, HeldError, Lock, acquire
from retrowalk.store.manifest import Manifest
from retrowalk.store.places import Folder, Place, check_name, saying, sync_folder
from retrowalk.store.verify import damaged_coordinates, damages, lost_files
from retrowalk.store.writer import Writer

if TYPE_CHECKING:
    from retrowalk.simulation.table import Labelled

Found = Literal["nothing", "store", "half", "replaceable", "foreign"]

_STAGING, _REPLACED = ".staging", ".replaced"


def create(
    path: str | os.PathLike[str],
    template: Labelled,
    *,
    digests: Mapping[str, str],
    block: int,
    group: int | None = None,
    overwrite: bool = False,
    repair: bool = False,
) -> Writer:
    """Create a store, or continue the one that is there when it holds the same results.

    Parameters
    ----------
    path : path
        Folder of the store, usually ending in ``.zarr``, whose parent must exist; or an address such as
        ``s3://bucket/name.zarr``.
    template : xr.Dataset or Table
        Variables, dimensions, coordinates and attributes of the whole sweep; `case` comes first in every
        variable that depends on it. Values of such variables are ignored (`widen` makes them from
        nothing), those of coordinates and other variables are written at once.
    digests : mapping of str to str
        Everything that the results follow from, by name: scenario, seed, results version, posterior.
    block : int
        Cases per block (`suggest_block`); a continued store keeps its own.
    group : int, optional
        Blocks per file, by default those of `suggest_group`; likewise.
    overwrite : bool
        Replace what is there: a store, a file, an empty folder or a Zarr group, never any other folder
        or a link. An unfinished store of the same digests is continued all the same.
    repair : bool
        Check every file of a store with the same digests and count damaged blocks as missing.

    Returns
    -------
    Writer
        Its `state` says how the store was found; a finished one needs no writing.

    Raises
    ------
    InputError
        When something else is there, digests differ (named), or another process is writing the store.
    RunError
        When the disk is full, read-only or failing.
    """
    if block < 1:
        raise InputError(f"block: {block} cases cannot be written at a time; use 1 or more")

    def lay_out(place: Place) -> Layout:
        return _lay_out(place, template, digests, block, group)

    def go_on(place: Place, lock: Lock) -> Writer:
        return _continued(place, lock, template, digests, repair=repair)

    if is_url(path):
        return _in_bucket(Bucket(str(path)), lay_out, go_on, overwrite=overwrite, repair=repair)
    return _in_folder(path, lay_out, go_on, overwrite=overwrite, repair=repair)


def _in_folder(
    path: str | os.PathLike[str],
    lay_out: Callable[[Place], Layout],
    go_on: Callable[[Place, Lock], Writer],
    *,
    overwrite: bool,
    repair: bool,
) -> Writer:
    check_name(path)
    target = Path(path).absolute()
    if target.parent.is_dir():
        with saying(target, "created"):
            _recover(target)
    found = _look(target)
    if found == "foreign":
        raise InputError(
            f"{path}: is not a retrowalk store and is left alone; choose another output or remove it"
        )
    if found == "replaceable" and not overwrite:
        raise InputError(
            f"{path}: exists and is not a retrowalk store; choose another output or use --overwrite"
        )
    old: Lock | None = None
    if found == "store":
        present = _present(Folder(target), go_on, overwrite=overwrite, repair=repair)
        if isinstance(present, Writer):
            return present
        old = present
    try:
        place, layout, lock = _build(target, lay_out, replace=found != "nothing")
    finally:
        if old is not None:
            old.release()
    return Writer(place, layout, "new", lock)


def _present(
    folder: Folder, go_on: Callable[[Place, Lock], Writer], *, overwrite: bool, repair: bool
) -> Writer | Lock | None:
    """Continue the store, or hold its lock while it is replaced (none if it is not safe to touch)."""
    try:
        folder.check_tree()
        with folder.errors():
            lock = acquire(folder)
    except BaseException as error:
        folder.close()
        if overwrite and isinstance(error, InputError) and not isinstance(error, HeldError):
            return None
        raise
    return _go_on(folder, lock, go_on, overwrite=overwrite, repair=repair) or lock


def _go_on(
    place: Place, lock: Lock, go_on: Callable[[Place, Lock], Writer], *, overwrite: bool, repair: bool
) -> Writer | None:
    """Continue the store under its lock; None when it is to be replaced."""
    try:
        writer = go_on(place, lock)
    except BaseException as error:
        if overwrite and isinstance(error, InputError):
            return None
        lock.release()
        place.close()
        raise
    if writer.state == "finished":
        if overwrite and not repair:
            return None
        writer.close()
    return writer


def _continued(
    place: Place, lock: Lock, template: Labelled, digests: Mapping[str, str], *, repair: bool
) -> Writer:
    layout = read_layout(place)
    _check_same(place, layout, template, digests)
    if repair and (damage := next(damaged_coordinates(place, layout), None)):
        raise InputError(
            f"{place}/{damage.file}: is {damage.kind}, and writing blocks again cannot mend that; "
            "run again with --overwrite"
        )
    writer = Writer(place, layout, "unfinished", lock)
    manifest = Manifest(place, layout)
    damaged = list(damages(place, layout, manifest)) if repair else []
    if writer.is_complete() and not damaged and not any(lost_files(place, layout, manifest)):
        writer.state = "finished"
        return writer
    writer.take_over({damage.block for damage in damaged if damage.block is not None})
    return writer


def _check_same(place: Place, layout: Layout, template: Labelled, digests: Mapping[str, str]) -> None:
    if others := differing(digests, layout.digests):
        verb = "differs" if len(others) == 1 else "differ"
        raise InputError(
            f"{place}: holds other results ({', '.join(others)} {verb}); "
            "choose another output or use --overwrite"
        )
    if set(variables_of(template)) != set(layout.variables):
        raise InputError(f"{place}: holds other variables or sizes; choose another output or use --overwrite")


def _lay_out(
    place: Place, template: Labelled, digests: Mapping[str, str], block: int, group: int | None
) -> Layout:
    """Write everything but blocks; the description of the store comes last and makes it one."""
    variables = variables_of(template)
    block = min(block, template.sizes["case"])
    blocks = -(-template.sizes["case"] // block)
    group = min(blocks, group or suggest_group(template, block))
    documents, values = describe(template, variables, block, group)
    files = {fixed_file(name, {"shape": value.shape}): encode_fixed(value) for name, value in values.items()}
    layout = Layout(
        format=names.STORE_FORMAT,
        store=uuid.uuid4().hex,
        digests=dict(digests),
        cases=template.sizes["case"],
        block=block,
        group=group,
        variables=variables,
        documents=documents,
        fixed={name: (len(data), Piece.of(data).sha256) for name, data in sorted(files.items())},
    )
    check_counts(place, layout)
    place.adopt(layout.store)
    if isinstance(place, Folder):
        for folder in (
            *filter(None, layout.folders()),
            f"{place.own}/{names.BLOCKS}",
            f"{place.own}/{names.GROUPS}",
        ):
            place.make_folder(folder)
    else:
        # Our own first: what a writer that is killed here leaves behind is known to be ours.
        for folder in sorted(layout.folders(), key=lambda folder: folder != names.OWN):
            place.put(f"{folder}/{names.ZARR}" if folder else names.ZARR, [waiting_text(layout)])
    for name, data in files.items():
        place.put(name, [data])
    if isinstance(place, Folder):
        place.put(f"{place.own}/{names.MANIFEST}.jsonl", [b""])
    place.put(names.DESCRIPTION, [layout.sealed()])
    if isinstance(place, Folder):
        place.sync()
    return layout


def _look(path: Path) -> Found:
    """What lies at a path.

    ``replaceable`` is what `overwrite` may remove besides stores: a regular file, an empty folder, a Zarr
    group. Any other folder, a link or a device is ``foreign`` and never touched.

    Raises
    ------
    InputError
        When the folder that should hold the store does not exist.
    """
    if not path.name:
        raise InputError(f"{path}: name a folder for the store, such as results.zarr")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.is_symlink():
        return "foreign"
    if not path.exists():
        return "nothing"
    if path.is_file():
        return "replaceable"
    if not path.is_dir():
        return "foreign"
    if (path / names.DESCRIPTION).is_file():
        return "store"
    if any((path / name).is_file() for name in (names.ZARR, ".zgroup", ".zarray")) or not any(path.iterdir()):
        return "replaceable"
    return "foreign"


def _build(path: Path, lay_out: Callable[[Place], Layout], *, replace: bool) -> tuple[Folder, Layout, Lock]:
    """Lay out a new store in a hidden folder beside `path`, flush it, and rename it into place.

    Nothing at `path` is touched before the new store is whole on the disk. The lock on the new store is held
    from before it appears.
    """
    staging = _beside(path, _STAGING)
    folder: Folder | None = None
    lock: Lock | None = None
    try:
        with saying(path, "created"):
            (staging / names.OWN).mkdir(parents=True)
            folder = Folder(staging)
            lock = FolderLock.acquire(folder)
            layout = lay_out(folder)
            _install(staging, path, replace=replace)
            folder.path = path
    except BaseException:
        if lock is not None:
            lock.release()
        if folder is not None:
            folder.close()
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return folder, layout, lock


def _install(staging: Path, path: Path, *, replace: bool) -> None:
    if not replace:
        try:
            # Fails on anything but an empty folder: a rival that was faster keeps its store.
            staging.rename(path)
        except OSError:
            if os.path.lexists(path):
                raise InputError(f"{path}: appeared while the store was being laid out; run again") from None
            raise
        sync_folder(path.parent)
        return
    aside = _beside(path, _REPLACED)
    path.rename(aside)
    try:
        staging.replace(path)
        sync_folder(path.parent)
    except BaseException:
        aside.rename(path)
        raise
    _remove(aside)


def _recover(path: Path) -> None:
    """Clear what a killed `_build` left beside `path`; give back a store it moved aside if none is there."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        kind = leftover.suffix
        if kind not in (_STAGING, _REPLACED) or leftover.is_symlink() or not _is_abandoned(leftover):
            continue
        if kind == _REPLACED and not os.path.lexists(path):
            leftover.replace(path)
            sync_folder(path.parent)
        else:
            _remove(leftover)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_abandoned(leftover: Path) -> bool:
    own = leftover / names.OWN
    if own.is_symlink() or (leftover / names.LOCK).is_symlink():
        return False
    if not own.is_dir():
        return leftover.suffix == _REPLACED
    try:
        folder = Folder(leftover)
        try:
            FolderLock.acquire(folder).release()
        finally:
            folder.close()
    except (InputError, OSError):
        return False
    return True


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{ending}")


def _in_bucket(
    bucket: Bucket,
    lay_out: Callable[[Place], Layout],
    go_on: Callable[[Place, Lock], Writer],
    *,
    overwrite: bool,
    repair: bool,
) -> Writer:
    """As `_in_folder`, but a store that is replaced goes first: objects cannot be renamed at once."""
    found = _look_into(bucket)
    if found == "foreign":
        raise InputError(f"{bucket}: holds other objects, which are left alone; choose another output")
    if found == "replaceable" and not overwrite:
        raise InputError(f"{bucket}: is not a retrowalk store; choose another output or use --overwrite")
    lock = BucketLock.acquire(bucket)
    bucket.refresh()
    if _look_into(bucket) == "store":
        writer = _go_on(bucket, lock, go_on, overwrite=overwrite, repair=repair)
        if writer is not None:
            return writer
    try:
        _clear(bucket)
        layout = lay_out(bucket)
        writer = Writer(bucket, layout, "new", lock)
        writer.begin()
    except BaseException:
        lock.release()
        raise
    return writer


def _look_into(bucket: Bucket) -> Found:
    if not bucket.sizes:
        return "nothing"
    if names.DESCRIPTION in bucket.sizes:
        return "store"
    # A writer that was killed while it laid the store out has left its lock or its own folder.
    if any(name.startswith(f"{names.OWN}/") for name in bucket.sizes):
        return "half"
    return "replaceable" if names.ZARR in bucket.sizes else "foreign"


def _clear(bucket: Bucket) -> None:
    """Remove a store's objects: the root's description first and the store's own last."""
    kept = (names.LOCK, names.DESCRIPTION)
    bucket.remove([names.ZARR])
    bucket.remove([name for name in sorted(bucket.sizes) if name not in kept])
    bucket.remove([names.DESCRIPTION])
