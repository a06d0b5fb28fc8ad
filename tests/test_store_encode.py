"""Shards and coordinates hold the bytes that Zarr itself would write, and its descriptions say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from retrowalk import store

CASES, BLOCK = 11, 4


def dataset(dtype: str) -> xr.Dataset:
    rng = np.random.default_rng(7)
    values = (100 * rng.standard_normal((CASES, 2, 3))).astype(dtype)
    if dtype == "float32":
        values[0, 0] = np.nan
        values[4:8] = np.nan
    return xr.Dataset(
        {"a": (("case", "arm", "day"), values, {"units": "1"}), "b": (("case",), np.zeros(CASES, dtype))},
        coords={
            "case": ("case", np.arange(CASES)),
            "day": ("day", np.arange(3.0)),
            "label": ("case", [f"{number} µ" for number in range(CASES)]),
        },
    )


def write(path: Path, data: xr.Dataset, group: int) -> None:
    with store.create(path, data, digests={"x": "y"}, block=BLOCK, group=group) as writer:
        for number in writer.missing():
            writer.write(number, data.isel(case=writer.layout.cases_of(number)))
        writer.complete()


@pytest.mark.parametrize("group", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "int8", "int32", "int64", "uint16", "bool"])
def test_every_file_has_the_bytes_and_the_description_that_zarr_writes(tmp_path, dtype, group):
    data, path, twin = dataset(dtype), tmp_path / "a.zarr", tmp_path / "b.zarr"
    write(path, data, group)
    root = zarr.create_group(twin, zarr_format=3)
    for name, array in data.data_vars.items():
        tail = array.shape[1:]
        made = root.create_array(
            name,
            shape=array.shape,
            dtype=dtype,
            chunks=(BLOCK, *tail),
            shards={"shape": (BLOCK * group, *tail), "index_location": "start"},
            fill_value=np.nan if dtype == "float32" else 0,
            compressors=[BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=array.dims,
            attributes=array.attrs,
            config={"write_empty_chunks": True},
        )
        made[...] = array.values
        ours, theirs = (json.loads((place / name / "zarr.json").read_text()) for place in (path, twin))
        assert ours == theirs
        for file in sorted((twin / name).glob("c.*")):
            assert (path / name / file.name).read_bytes() == file.read_bytes(), file.name
    for name in ("case", "day", "label"):
        values = data[name].values
        text = values.dtype.kind == "U"
        made = root.create_array(
            name,
            shape=values.shape,
            dtype=np.dtypes.StringDType() if text else values.dtype,
            chunks=values.shape,
            fill_value="" if text else np.nan if values.dtype.kind == "f" else 0,
            compressors=[Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=data[name].dims,
        )
        made[...] = values.astype(np.dtypes.StringDType()) if text else values
        assert json.loads((path / name / "zarr.json").read_text()) == json.loads(
            (twin / name / "zarr.json").read_text()
        )
        assert (path / name / "c.0").read_bytes() == (twin / name / "c.0").read_bytes()
    with xr.open_zarr(path, consolidated=False) as opened:
        xr.testing.assert_equal(opened[["a", "b"]].load(), data[["a", "b"]])


def test_pieces_at_an_edge_and_variables_without_dimensions_come_back(tmp_path):
    rng = np.random.default_rng(7)
    values = rng.normal(size=(3, 5, 1_700_000)).astype(np.float32)
    data = xr.Dataset(
        {"a": (("case", "arm", "member"), values), "b": ((), 2.5), "c": (("none",), np.zeros(0))},
        coords={"case": ("case", np.arange(3))},
    )
    with store.create(tmp_path / "a.zarr", data, digests={}, block=2, group=2) as writer:
        writer.write(0, data.isel(case=slice(2)))
        with store.open_results(tmp_path / "a.zarr") as opened:
            np.testing.assert_array_equal(opened.a[1, 3, -5:], values[1, 3, -5:])
        writer.write(1, data.isel(case=slice(2, 3)))
        writer.complete()
    for opened in (
        xr.open_zarr(tmp_path / "a.zarr", consolidated=False),
        store.open_results(tmp_path / "a.zarr"),
    ):
        with opened:
            np.testing.assert_array_equal(opened.a[2, 4, 1_000_000:], values[2, 4, 1_000_000:])
            np.testing.assert_array_equal(opened.a[:, 0, ::-1000], values[:, 0, ::-1000])
            assert (float(opened.b), opened.c.size) == (2.5, 0)
