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

from retrowalk.store.blocks import BlockWriter, suggest_block, suggest_pack
from retrowalk.store.format import is_url
from retrowalk.store.manifest import BlockRecord, Layout
from retrowalk.store.netcdf import write_netcdf
from retrowalk.store.opening import create
from retrowalk.store.results import export, open_results
from retrowalk.store.skeleton import widen
from retrowalk.store.verify import Damage, StoreStatus, damaged_blocks, status, verify
from retrowalk.store.writer import Writer

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
