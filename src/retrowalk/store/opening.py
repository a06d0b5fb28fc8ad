"""Create a store, continue it, repair it, or say why not."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.bucket import Bucket, Place
from retrowalk.store.checks import read_layout, waiting_text
from retrowalk.store.descriptions import describe, fixed_file, variables_of
from retrowalk.store.encode import Piece, encode_fixed
from retrowalk.store.folder import Folder, check_name, saying, sync_folder
from retrowalk.store.format import is_url
from retrowalk.store.layout import Layout, check_counts, differing, suggest_group
from retrowalk.store.lock import BucketLock, FolderLock, HeldError, Lock
from retrowalk.store.manifest import Manifest
from retrowalk.store.verify import damaged_coordinates, damages, lost_files
from retrowalk.store.writer import Writer

if TYPE_CHECKING:
    from retrowalk.simulation.table import Labelled

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

    It lies in a folder whose parent must exist, or at an address such as ``s3://bucket/name.zarr``. The
    template holds all variables of the sweep, in which `case` comes first; values of those that depend on it
    are ignored (`widen` makes them from nothing), those of coordinates and other variables are written at
    once. The digests name everything that the results follow from. A continued store keeps its own numbers
    of cases per block and of blocks per file (`group`).

    `overwrite` replaces what is there: a store, a file, an empty folder or a Zarr group, never any other
    folder or a link; an unfinished store of the same digests is continued all the same. `repair` checks
    every file of a store with the same digests and counts damaged blocks as missing. The state of the writer
    says how the store was found; a finished one needs no writing.
    """
    if block < 1:
        raise InputError(f"block: {block} cases cannot be written at a time; use 1 or more")

    def lay_out(place: Place) -> Layout:
        return _lay_out(place, template, digests, block, group)

    def go_on(place: Place, lock: Lock, held: ExitStack) -> Writer | None:
        """Continue the store under its lock; None when it is to be replaced."""
        try:
            writer = _continued(place, lock, template, digests, repair=repair)
        except InputError:
            if overwrite:
                return None
            raise
        if writer.state != "finished":
            held.pop_all()
            return writer
        if overwrite and not repair:
            return None
        writer.close()
        return writer

    target = Bucket(str(path)) if is_url(path) else _recovered(path)
    found = _look(target)
    if found == "foreign":
        what = "holds other objects, which are" if is_url(path) else "is not a retrowalk store and is"
        raise InputError(f"{path}: {what} left alone; choose another output or remove it")
    if found == "replaceable" and not overwrite:
        raise InputError(
            f"{path}: exists and is not a retrowalk store; choose another output or use --overwrite"
        )
    with ExitStack() as held:
        lock: Lock
        if isinstance(target, Bucket):
            lock = BucketLock.acquire(target)
            held.callback(lock.release)
            if _look(target) == "store" and (present := go_on(target, lock, held)):
                return present
            # Objects cannot be renamed together, so a store that is replaced goes first.
            _clear(target)
            writer = Writer(target, lay_out(target), "new", lock)
            writer.begin()
            held.pop_all()
            return writer
        if found == "store":
            folder = Folder(target)
            held.callback(folder.close)
            try:
                folder.check_tree()
                with folder.errors():
                    lock = FolderLock.acquire(folder)
            except InputError as error:
                # What is not safe to touch can still be moved aside, unless somebody writes it.
                if not overwrite or isinstance(error, HeldError):
                    raise
            else:
                held.callback(lock.release)
                if present := go_on(folder, lock, held):
                    return present
        return _build(target, lay_out, replace=found != "nothing")


def _continued(
    place: Place, lock: Lock, template: Labelled, digests: Mapping[str, str], *, repair: bool
) -> Writer:
    layout = read_layout(place)
    if others := differing(digests, layout.digests):
        verb = "differs" if len(others) == 1 else "differ"
        raise InputError(
            f"{place}: holds other results ({', '.join(others)} {verb}); "
            "choose another output or use --overwrite"
        )
    if set(variables_of(template)) != set(layout.variables):
        raise InputError(f"{place}: holds other variables or sizes; choose another output or use --overwrite")
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
    place.prepare(layout.folders(), waiting_text(layout))
    for name, data in files.items():
        place.put(name, [data])
    place.put(names.DESCRIPTION, [layout.sealed()])
    return layout


def _look(target: Path | Bucket) -> Literal["nothing", "store", "replaceable", "foreign"]:
    """What lies at a path or address.

    ``replaceable`` is what `overwrite` may remove besides stores: a regular file, an empty folder, a Zarr
    group. Any other folder, a link or a device is ``foreign`` and never touched.
    """
    if isinstance(target, Bucket):
        if names.DESCRIPTION in target.sizes:
            return "store"
        # A writer that was killed while it laid the store out has left its lock or its own folder.
        if not target.sizes or any(name.startswith(f"{names.OWN}/") for name in target.sizes):
            return "nothing"
        return "replaceable" if names.ZARR in target.sizes else "foreign"
    if not target.name:
        raise InputError(f"{target}: name a folder for the store, such as results.zarr")
    if not target.parent.is_dir():
        raise InputError(f"{target}: the folder {target.parent} does not exist; create it first")
    if not os.path.lexists(target):
        return "nothing"
    if target.is_symlink() or not target.is_dir():
        return "replaceable" if target.is_file() and not target.is_symlink() else "foreign"
    if (target / names.DESCRIPTION).is_file():
        return "store"
    zarr = any((target / name).is_file() for name in (names.ZARR, ".zgroup", ".zarray"))
    return "replaceable" if zarr or not any(target.iterdir()) else "foreign"


def _build(path: Path, lay_out: Callable[[Place], Layout], *, replace: bool) -> Writer:
    """Lay out a new store in a hidden folder beside `path`, flush it, and rename it into place.

    Nothing at `path` is touched before the new store is whole on the disk. The lock on the new store is held
    from before it appears.
    """
    staging = _beside(path, _STAGING)
    with ExitStack() as undo, saying(path, "created"):
        undo.callback(shutil.rmtree, staging, ignore_errors=True)
        (staging / names.OWN).mkdir(parents=True)
        folder = Folder(staging)
        undo.callback(folder.close)
        lock = FolderLock.acquire(folder)
        undo.callback(lock.release)
        layout = lay_out(folder)
        _install(staging, path, replace=replace)
        undo.pop_all()
    folder.path = path
    return Writer(folder, layout, "new", lock)


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


def _recovered(given: str | os.PathLike[str]) -> Path:
    """The folder, once what a killed `_build` left beside it is cleared and a store moved aside is back."""
    check_name(given)
    path = Path(given).absolute()
    with saying(path, "created"):
        for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
            kind = leftover.suffix
            if kind not in (_STAGING, _REPLACED) or leftover.is_symlink() or not _is_abandoned(leftover):
                continue
            if kind == _REPLACED and not os.path.lexists(path):
                leftover.replace(path)
                sync_folder(path.parent)
            else:
                _remove(leftover)
    return path


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
        with closing(Folder(leftover)) as folder:
            FolderLock.acquire(folder).release()
    except (InputError, OSError):
        return False
    return True


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{ending}")


def _clear(bucket: Bucket) -> None:
    """Remove a store's objects: the root's description first and the store's own last."""
    kept = (names.LOCK, names.DESCRIPTION)
    bucket.remove([names.ZARR])
    bucket.remove([name for name in sorted(bucket.sizes) if name not in kept])
    bucket.remove([names.DESCRIPTION])
