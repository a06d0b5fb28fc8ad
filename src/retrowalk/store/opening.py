"""Create a store beside its place, then rename it there; find out what already lies there.

Create a store in object storage, continue it, repair it, or say why not.

Create a store, continue it, repair it, or say why not.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.checks import check_count, check_documents, check_tree, is_store, is_whole, read_layout
from retrowalk.store.format import is_url
from retrowalk.store.locks import LOCK, Lock, ObjectLock
from retrowalk.store.manifest import Layout, differing
from retrowalk.store.places import Bucket, ObjectPath, asking, put, rename, saying, sync_folder
from retrowalk.store.verify import damaged_blocks, damaged_layout
from retrowalk.store.writer import ObjectWriter, Writer, clear

if TYPE_CHECKING:
    from retrowalk.simulation.table import Labelled

Place = Literal["nothing", "store", "replaceable", "foreign"]

_STAGING, _REPLACED = ".staging", ".replaced"


def look(path: Path) -> Place:
    """What lies at `path`.

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
    if is_store(path):
        return "store"
    if any((path / name).is_file() for name in (names.ZARR, ".zgroup", ".zarray")) or not any(path.iterdir()):
        return "replaceable"
    return "foreign"


def build(
    path: Path,
    template: Labelled,
    *,
    digests: Mapping[str, str],
    block: int,
    pack: int,
    replace: bool,
) -> tuple[Layout, Lock]:
    """Lay out a new store in a hidden folder beside `path`, flush it, and rename it into place.

    Nothing at `path` is touched before the new store is whole on the disk.

    Returns
    -------
    tuple of Layout and Lock
        The lock on the new store is held from before it appears.
    """
    staging = _beside(path, _STAGING)
    lock: Lock | None = None
    try:
        with saying(path, "created"):
            (staging / names.OWN).mkdir(parents=True)
            lock = Lock.acquire(staging / names.OWN / names.LOCK, store=path)
            layout = _fill(staging, path, template, dict(digests), block, pack)
            _install(staging, path, replace=replace)
            lock.moved(path / names.OWN)
    except BaseException:
        if lock is not None:
            lock.release()
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return layout, lock


def recover(path: Path) -> None:
    """Clear what a killed `build` left beside `path`; give back a store it moved aside if none is there."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        kind = leftover.suffix
        if kind not in (_STAGING, _REPLACED) or leftover.is_symlink() or not _abandoned(leftover, path):
            continue
        if kind == _REPLACED and not os.path.lexists(path):
            rename(leftover, path)
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _abandoned(leftover: Path, path: Path) -> bool:
    own = leftover / names.OWN
    if own.is_symlink() or (own / names.LOCK).is_symlink():
        return False
    if leftover.suffix == _REPLACED and not own.is_dir():
        return True
    try:
        Lock.acquire(own / names.LOCK, store=path).release()
    except (InputError, OSError):
        return False
    return True


def _fill(
    root: Path, path: Path, template: Labelled, digests: dict[str, str], block: int, pack: int
) -> Layout:
    import zarr

    from retrowalk.store.arrays import DurableStore
    from retrowalk.store.skeleton import streamed_variables, write_layout

    store = DurableStore(root)
    block = min(block, max(1, template.sizes.get("case", 0)))
    pieces = write_layout(store, template, block, pack)
    zarr.create_group(store, path=names.OWN, zarr_format=3)
    layout = Layout(
        format=names.STORE_FORMAT,
        digests=digests,
        cases=template.sizes["case"],
        block=block,
        pack=pack,
        pieces=pieces,
        streamed=streamed_variables(template),
        fixed={name: (stamp.size, stamp.sha256) for name, stamp in sorted(store.stamps().items())},
    )
    check_count(path, layout)
    body = layout.model_dump_json().encode()
    put(root / names.OWN / names.MANIFEST, b"")
    put(
        root / names.OWN / names.DESCRIPTION, body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"
    )
    for folder in [root, *(entry for entry in root.iterdir() if entry.is_dir())]:
        sync_folder(folder)
    return layout


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
        rename(staging, path)
    except BaseException:
        aside.rename(path)
        raise
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{ending}")


Found = Literal["nothing", "store", "half", "replaceable", "foreign"]


def create_in_bucket(
    url: str,
    template: Labelled,
    *,
    digests: Mapping[str, str],
    block: int,
    pack: int = 1,
    overwrite: bool = False,
    repair: bool = False,
) -> ObjectWriter:
    """As `store.create`, for an address in object storage.

    An old store that `overwrite` replaces is removed before the new one is laid out, because objects cannot
    be renamed all at once.
    """
    bucket = Bucket(url)
    found = _look(bucket)
    if found == "foreign":
        raise InputError(f"{url}: holds other objects, which are left alone; choose another output")
    if found == "replaceable" and not overwrite:
        raise InputError(f"{url}: is not a retrowalk store; choose another output or use --overwrite")
    lock = ObjectLock.acquire(bucket)
    try:
        bucket.refresh()
        if _look(bucket) == "store":
            try:
                writer = _continued(bucket, template, digests, lock, repair=repair)
            except InputError:
                if not overwrite:
                    raise
            else:
                if writer.state != "finished" or repair or not overwrite:
                    if writer.state == "finished":
                        writer.close()
                    return writer
        clear(bucket)
        return ObjectWriter(bucket.root(), _build(bucket, template, digests, block, pack), "new", lock)
    except BaseException:
        lock.release()
        raise


def _look(bucket: Bucket) -> Found:
    root = bucket.root()
    if not bucket.sizes:
        return "nothing"
    if is_store(root):
        return "store"
    # A writer that was killed while it laid the store out.
    if LOCK in bucket.sizes or names.PENDING in bucket.sizes:
        return "half"
    return "replaceable" if names.ZARR in bucket.sizes else "foreign"


def _continued(
    bucket: Bucket,
    template: Labelled,
    digests: Mapping[str, str],
    lock: ObjectLock,
    *,
    repair: bool,
) -> ObjectWriter:

    root: ObjectPath = bucket.root()
    layout = read_layout(root)
    check_same(bucket.url, layout, template, digests)
    if repair and (damage := damaged_layout(root, layout)):
        raise InputError(
            f"{root / damage[0].file}: is {damage[0].kind}, and writing blocks again cannot mend that; "
            "run again with --overwrite"
        )
    check_documents(root, layout)
    writer = ObjectWriter(root, layout, "unfinished", lock)
    bad = sorted(damaged_blocks(bucket.url)) if repair else []
    if is_whole(root, layout, writer.contents()) and not bad:
        writer.state = "finished"
        return writer
    if bad:
        writer.withdraw(bad)
    writer.take_over()
    return writer


def _build(bucket: Bucket, template: Labelled, digests: Mapping[str, str], block: int, pack: int) -> Layout:
    """Lay the store out; its own description comes last and makes it one."""
    import zarr

    from retrowalk.store.arrays import ObjectArrays
    from retrowalk.store.skeleton import streamed_variables, write_layout

    store = ObjectArrays(bucket)
    block = min(block, max(1, template.sizes.get("case", 0)))
    with asking(bucket.url):
        pieces = write_layout(store, template, block, pack)
        zarr.create_group(store, path=names.OWN, zarr_format=3)
    layout = Layout(
        format=names.STORE_FORMAT,
        digests=dict(digests),
        cases=template.sizes["case"],
        block=block,
        pack=pack,
        pieces=pieces,
        streamed=streamed_variables(template),
        fixed={name: (stamp.size, stamp.sha256) for name, stamp in sorted(store.stamps().items())},
    )
    check_count(bucket.url, layout)
    body = layout.model_dump_json().encode()
    seal = hashlib.sha256(body).hexdigest().encode()
    bucket.put(f"{names.OWN}/{names.DESCRIPTION}", body + b"\n" + seal + b"\n")
    bucket.refresh()
    return layout


def create(
    path: str | os.PathLike[str],
    template: Labelled,
    *,
    digests: Mapping[str, str],
    block: int,
    pack: int = 1,
    overwrite: bool = False,
    repair: bool = False,
) -> Writer:
    """Create a store, or continue the one that is there when it holds the same results.

    Parameters
    ----------
    path : path
        Folder of the store, usually ending in ``.zarr``; its parent must exist.
    template : xr.Dataset or Table
        Variables, dimensions, coordinates and attributes of the whole sweep; `case` comes first in every
        variable that depends on it. Values of such variables are ignored (`widen` makes them from
        nothing), those of coordinates and other variables are written at once.
    digests : mapping of str to str
        Everything that the results follow from, by name: scenario, seed, results version, posterior.
    block : int
        Cases per block (`suggest_block`); a continued store keeps its own.
    pack : int
        Blocks per file (`suggest_pack`); likewise.
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
    if is_url(path):
        return create_in_bucket(
            str(path), template, digests=digests, block=block, pack=pack, overwrite=overwrite, repair=repair
        )
    target = Path(path).absolute()
    if block < 1:
        raise InputError(f"block: {block} cases cannot be written at a time; use 1 or more")
    if target.parent.is_dir():
        with saying(target, "created"):
            recover(target)
    place = look(target)
    if place == "foreign":
        raise InputError(
            f"{path}: is not a retrowalk store and is left alone; choose another output or remove it"
        )
    if place == "replaceable" and not overwrite:
        raise InputError(
            f"{path}: exists and is not a retrowalk store; choose another output or use --overwrite"
        )
    old: Lock | None = None
    if place == "store":
        found = _existing(target, template, digests, overwrite=overwrite, repair=repair)
        if isinstance(found, Writer):
            return found
        old = found
    try:
        layout, lock = build(
            target, template, digests=digests, block=block, pack=pack, replace=place != "nothing"
        )
    finally:
        if old is not None:
            old.release()
    return Writer(target, layout, "new", lock)


def _existing(
    path: Path, template: Labelled, digests: Mapping[str, str], *, overwrite: bool, repair: bool
) -> Writer | Lock | None:
    """Continue the store, or hold its lock while it is replaced (none if it is not safe to touch)."""
    try:
        check_tree(path)
    except InputError:
        if overwrite:
            return None
        raise
    with saying(path):
        lock = Lock.acquire(path / names.OWN / names.LOCK, store=path)
    try:
        layout = read_layout(path)
        check_same(path, layout, template, digests)
        writer = _opened(path, layout, lock, repair=repair)
    except BaseException as error:
        if overwrite and isinstance(error, InputError):
            return lock
        lock.release()
        raise
    if writer.state == "finished":
        if overwrite and not repair:
            return lock
        writer.close()
    return writer


def _opened(path: Path, layout: Layout, lock: Lock, *, repair: bool) -> Writer:
    if repair and (damage := damaged_layout(path, layout)):
        raise InputError(
            f"{path / damage[0].file}: is {damage[0].kind}, and writing blocks again cannot mend that; "
            "run again with --overwrite"
        )
    check_documents(path, layout)
    bad = sorted(damaged_blocks(path)) if repair else []
    writer = Writer(path, layout, "unfinished", lock)
    if is_whole(path, layout, writer.contents()) and not bad:
        writer.state = "finished"
        return writer
    # Withdrawn first: a crash in between leaves a store that is known not to be whole.
    if bad:
        writer.withdraw(bad)
    writer.take_over()
    return writer


def check_same(
    path: str | os.PathLike[str], layout: Layout, template: Labelled, digests: Mapping[str, str]
) -> None:
    """Refuse a store of other results.

    Raises
    ------
    InputError
        Naming the digests that differ.
    """
    from retrowalk.store.skeleton import streamed_variables

    if names_differing := differing(digests, layout.digests):
        verb = "differs" if len(names_differing) == 1 else "differ"
        raise InputError(
            f"{path}: holds other results ({', '.join(names_differing)} {verb}); "
            "choose another output or use --overwrite"
        )
    if set(streamed_variables(template)) != set(layout.streamed):
        raise InputError(f"{path}: holds other variables or sizes; choose another output or use --overwrite")
