"""Files of blocks hold the bytes that Zarr itself would write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from retrowalk import store
from retrowalk.store import format as names
from retrowalk.store.arrays import DurableStore
from retrowalk.store.encode import encoders

CASES, BLOCK = 11, 4


def dataset(dtype: str) -> xr.Dataset:
    rng = np.random.default_rng(7)
    values = (100 * rng.standard_normal((CASES, 2, 3))).astype(dtype)
    if dtype == "float32":
        values[0, 0] = np.nan
        values[4:8] = np.nan
    return xr.Dataset(
        {"a": (("case", "arm", "day"), values), "b": (("case",), np.zeros(CASES, dtype))},
        coords={"case": ("case", np.arange(CASES)), "day": ("day", np.arange(3))},
    )


@pytest.mark.parametrize("pack", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "int8", "int32", "int64", "uint16", "bool"])
def test_every_block_has_the_bytes_that_zarr_writes(tmp_path: Path, dtype: str, pack: int) -> None:
    data = dataset(dtype)
    with store.create(tmp_path / "a.zarr", data, digests={"x": "y"}, block=BLOCK, pack=pack) as writer:
        known = encoders(writer.path, writer.layout)
        assert set(known) == {"a", "b"}
        for number in range(writer.layout.blocks):
            part = writer.layout.cases_of(number)
            ours = writer.blocks.write(number, data.isel(case=part))
            written = {file: (writer.path / file).read_bytes() for file in ours.files}
            for file, name in writer.layout.files_of(number).items():
                zarrs = zarr.open_array(
                    DurableStore(writer.path, layout=writer.layout), path=name, mode="r+"
                ).with_config({"write_empty_chunks": True})
                zarrs[part] = data[name].values[part]
                assert (writer.path / file).read_bytes() == written[file], file
            writer.record(ours)
        writer.complete()
    with xr.open_zarr(tmp_path / "a.zarr", consolidated=False) as found:
        for name in ("a", "b"):
            np.testing.assert_array_equal(found[name].values, data[name].values)


@pytest.mark.parametrize("change", [
    lambda told: told["codecs"][1]["configuration"].update(clevel=1),
    lambda told: told["codecs"][1]["configuration"].pop("typesize"),
    lambda told: told["codecs"].pop(),
    lambda told: told.update(fill_value=1.0),
    lambda told: told["chunk_grid"]["configuration"].update(chunk_shape=[2, 2, 3]),
])  # fmt: skip
def test_descriptions_are_followed_or_left_to_zarr(tmp_path: Path, change) -> None:
    data = dataset("float32")
    with store.create(tmp_path / "a.zarr", data, digests={"x": "y"}, block=BLOCK) as writer:
        file = writer.path / "a" / names.PENDING
        told = json.loads(file.read_text())
        change(told)
        file.write_text(json.dumps(told))
        known = encoders(writer.path, writer.layout).get("a")
        assert known is None or known.blosc["clevel"] == 1
        assert "b" in encoders(writer.path, writer.layout)
        file.write_text("no JSON")
        assert "a" not in encoders(writer.path, writer.layout)
