"""Create a store in object storage, continue it, repair it, or say why not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from retrowalk.engine.store import names
from retrowalk.engine.store.check import damaged_blocks, damaged_layout
from retrowalk.engine.store.documents import check_documents
from retrowalk.engine.store.guard import check_count, is_store, is_whole, read_layout
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.objects.bucket import Bucket, ObjectPath, asking
from retrowalk.engine.store.objects.lock import LOCK, ObjectLock
from retrowalk.engine.store.objects.writer import ObjectWriter, clear
from retrowalk.errors import InputError

if TYPE_CHECKING:
    from retrowalk.engine.table import Labelled

Found = Literal["nothing", "store", "half", "replaceable", "foreign"]


def create(
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
    from retrowalk.engine.store.opening import check_same

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

    from retrowalk.engine.store.objects.arrays import ObjectArrays
    from retrowalk.engine.store.template import streamed_variables, write_layout

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
