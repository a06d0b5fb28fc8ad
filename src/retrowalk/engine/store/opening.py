"""Create a store, continue it, repair it, or say why not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from retrowalk.engine.store import names
from retrowalk.engine.store.build import build, look, recover
from retrowalk.engine.store.check import damaged_blocks, damaged_layout
from retrowalk.engine.store.documents import check_documents
from retrowalk.engine.store.files import saying
from retrowalk.engine.store.guard import check_tree, is_whole, read_layout
from retrowalk.engine.store.layout import Layout, differing
from retrowalk.engine.store.lock import Lock
from retrowalk.engine.store.names import is_url
from retrowalk.engine.store.writer import Writer
from retrowalk.errors import InputError

if TYPE_CHECKING:
    from retrowalk.engine.table import Labelled


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
        from retrowalk.engine.store.objects import opening as objects

        return objects.create(
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
    from retrowalk.engine.store.template import streamed_variables

    if names_differing := differing(digests, layout.digests):
        verb = "differs" if len(names_differing) == 1 else "differ"
        raise InputError(
            f"{path}: holds other results ({', '.join(names_differing)} {verb}); "
            "choose another output or use --overwrite"
        )
    if set(streamed_variables(template)) != set(layout.streamed):
        raise InputError(f"{path}: holds other variables or sizes; choose another output or use --overwrite")
