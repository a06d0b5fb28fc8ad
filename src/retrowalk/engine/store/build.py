"""Create a store beside its place, then rename it there; find out what already lies there."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from retrowalk.engine.store import names
from retrowalk.engine.store.files import put, rename, saying, sync_folder
from retrowalk.engine.store.guard import check_count, is_store
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.lock import Lock
from retrowalk.errors import InputError

if TYPE_CHECKING:
    from retrowalk.engine.table import Labelled

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

    from retrowalk.engine.store.durable import DurableStore
    from retrowalk.engine.store.template import streamed_variables, write_layout

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
