"""The store of a sweep: blocks of cases written durably to Zarr, resumed, checked, read and exported.

Files of a store while it is written, `o` being a variable and 3 a block::

    sweep.zarr/retrowalk.pending.json       becomes zarr.json as the very last step
    sweep.zarr/o/retrowalk.pending.json     becomes zarr.json when all blocks are there
    sweep.zarr/o/c.3.0.0                    one file per variable and block, or pack of blocks in large stores
    sweep.zarr/o/part.17.0.0                a block that waits for the others of its pack
    sweep.zarr/_retrowalk/store.json        digests, blocks, variables, stamps of the fixed files
    sweep.zarr/_retrowalk/manifest.jsonl    one line per finished block or pack with the stamps of its files
    sweep.zarr/_retrowalk/lock              held by the one writer
    sweep.zarr/_retrowalk/speed.json        how long the cases took
"""

from __future__ import annotations

from retrowalk.engine.store.blocks import BlockWriter
from retrowalk.engine.store.check import Damage, StoreStatus, damaged_blocks, status, verify
from retrowalk.engine.store.export import export
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.manifest import BlockRecord
from retrowalk.engine.store.names import is_url
from retrowalk.engine.store.netcdf import write_netcdf
from retrowalk.engine.store.opening import create
from retrowalk.engine.store.results import open_results
from retrowalk.engine.store.sizes import suggest_block, suggest_pack
from retrowalk.engine.store.template import widen
from retrowalk.engine.store.writer import Writer

__all__ = [
    "BlockRecord",
    "BlockWriter",
    "Damage",
    "Layout",
    "StoreStatus",
    "Writer",
    "create",
    "damaged_blocks",
    "export",
    "is_url",
    "open_results",
    "status",
    "suggest_block",
    "suggest_pack",
    "verify",
    "widen",
    "write_netcdf",
]
