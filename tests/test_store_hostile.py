"""Stores and files from strangers: one sentence, nothing followed, executed or written outside."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RetrowalkError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "sweep.zarr"
    samples.finish(path)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "sweep.zarr"))


def edit(file: Path, *keys, value) -> None:
    document = json.loads(file.read_text())
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(document))


def describe(path: Path, *keys, value) -> None:
    """Change the description of the store and seal it again, as somebody who means harm would."""
    file = path / "_retrowalk" / "store.json"
    document = json.loads(file.read_text().splitlines()[0])
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    body = json.dumps(document).encode()
    file.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")


def refused(path: Path, sentence: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError, match=sentence) as caught:
        store.open_results(path)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "name", ["knee_pain/c.2.0.0.0.0", "knee_pain", "_retrowalk/manifest.jsonl", "_retrowalk", "more"]
)
def test_symbolic_links_are_never_followed(path, tmp_path, name):
    outside = tmp_path / "outside"
    if (path / name).exists():
        shutil.move(path / name, outside)
    else:
        outside.mkdir()
    (path / name).symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    refused(path, "a symbolic link inside a store is never followed")
    for look in (store.verify, store.status, samples.create, lambda it: samples.create(it, repair=True)):
        with pytest.raises(InputError, match="a symbolic link inside a store is never followed"):
            look(path)
    assert sorted(tmp_path.rglob("*")) == before
    samples.finish(path, overwrite=True)
    assert outside.exists()
    assert store.verify(path) == []


@pytest.mark.parametrize(
    ("file", "keys", "value", "sentence"),
    [
        ("knee_pain", ("data_type",), "object", "data of type object are not read"),
        ("knee_pain", ("data_type",), {"name": "numpy.datetime64"}, "are not read"),
        ("knee_pain", ("shape",), [2**62, 3, 2, 2, 4], "the shape .* is impossible"),
        ("knee_pain", ("shape",), [-1, 3, 2, 2, 4], "the shape .* is impossible"),
        ("knee_pain", ("shape",), [23, 3, 2, 2, 4], "is not the one that the store describes"),
        ("knee_pain", ("shape",), "22", "the shape .* is impossible"),
        ("knee_pain", ("codecs",), [{"name": "numcodecs.pickle"}], "the codec .*pickle.* is not one"),
        ("knee_pain", ("codecs",), "gzip", "the codec"),
        ("knee_pain", ("storage_transformers",), ["x"], "not the description of an array as retrowalk"),
        ("knee_pain", ("zarr_format",), 2, "not a description in Zarr format 3"),
        ("knee_pain", ("node_type",), "group", "not the description of an array"),
        (
            "knee_pain",
            ("chunk_grid", "configuration", "chunk_shape"),
            [4, 3, 2, 2, 2**40],
            "chunks are not laid",
        ),
        ("knee_pain", ("chunk_grid", "configuration", "chunk_shape"), [1, 3, 2, 2, 4], "is not the one"),
        ("knee_pain", ("chunk_key_encoding", "configuration", "separator"), "/", "chunks are not laid out"),
        ("knee_pain", ("attributes",), [1], "the attributes are not a mapping"),
        ("knee_pain", ("attributes", "units"), {"a": 1}, "is neither text nor numbers"),
        ("knee_pain", ("attributes", "units"), 3, "the attribute 'units' is not text"),
        ("minutes", ("shape",), [2**25], "larger than any of retrowalk's"),
        ("label", ("shape",), [2**21], "larger than any of retrowalk's"),
        ("minutes", ("codecs",), [{"name": "blosc"}], "the codec"),
        ("", ("attributes", "retrowalk_format"), "theirs", "retrowalk_format is not"),
        ("", ("attributes",), {}, "retrowalk_format is not"),
    ],
)
def test_descriptions_that_are_not_what_they_claim(path, file, keys, value, sentence):
    edit(path / file / "zarr.json", *keys, value=value)
    refused(path, sentence)


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, '{"a": ' * 100_000, "\0\xff", "null", "1" * 5000, '"zarr"']
)
@pytest.mark.parametrize("name", ["zarr.json", "knee_pain/zarr.json"])
def test_descriptions_that_are_nothing_at_all(path, text, name):
    (path / name).write_text(text)
    refused(path, "is not a (readable )?description")


@pytest.mark.parametrize(
    ("keys", "value", "sentence"),
    [
        (("fixed", "../../outside"), [0, "00"], "leads out of the store"),
        (("fixed", "a/../b"), [0, "00"], "leads out of the store"),
        (("streamed", 0, "name"), "../outside", "not the description of a retrowalk store"),
        (("streamed", 0, "name"), "other", "variable other has no description"),
        (("streamed", 0, "dtype"), "object", "not one that retrowalk writes"),
        (("streamed", 0, "dims"), ["draw"], "has shape"),
        (("cases",), 2**62, "not the description of a retrowalk store"),
        (("cases",), 2**39, "not one that retrowalk writes"),
        (("block",), 0, "not the description of a retrowalk store"),
        (("format",), "retrowalk-store/2", "this store has the format"),
        (("extra",), 1, "not the description of a retrowalk store"),
    ],
)
def test_a_store_that_describes_itself_wrongly(path, keys, value, sentence):
    describe(path, *keys, value=value)
    refused(path, sentence)
    with pytest.raises(InputError, match=sentence):
        samples.create(path)
    assert not (path.parent / "outside").exists()


def test_absurdly_many_blocks_are_refused(path, tmp_path):
    describe(path, "streamed", value=[])
    describe(path, "cases", value=2**39)
    describe(path, "block", value=1)
    refused(path, "blocks make .* files; use larger blocks")
    plan = store.widen(samples.results(range(1)), xr.Dataset(coords={"case": np.arange(10**6)}))
    with pytest.raises(InputError, match="use larger blocks"):
        store.create(tmp_path / "b.zarr", plan, digests={}, block=1)


def test_large_files_are_refused_unread(path):
    os.truncate(path / "knee_pain" / "zarr.json", 2**30)
    refused(path, "a description of 1024 MiB")
    os.truncate(path / "knee_pain" / "zarr.json", 2**40)
    refused(path, "a file of 1024 GiB")


def test_a_large_manifest_is_refused_unread(path):
    os.truncate(path / "_retrowalk" / "manifest.jsonl", 2**30)
    with pytest.raises(InputError, match="a manifest of more than 64 MiB"):
        store.status(path)


def test_a_coordinate_of_another_size_is_refused_unread(path):
    os.truncate(path / "minutes" / "c.0", 2**31)
    refused(path, r"minutes/c\.0: is damaged")


def test_devices_and_deep_folders_have_no_place(path):
    os.mkfifo(path / "knee_pain" / "pipe")
    refused(path, "has no place in a retrowalk store")
    (path / "knee_pain" / "pipe").unlink()
    (path / "knee_pain" / "c" / "0").mkdir(parents=True)
    refused(path, "has no place in a retrowalk store")


def test_a_stray_file_does_no_harm_but_a_stray_folder_is_refused(path):
    (path / ".DS_Store").write_bytes(b"x")
    with store.open_results(path) as dataset:
        assert dataset.sizes["case"] == samples.CASES
    (path / "theirs").mkdir()
    refused(path, "does not belong to the store")


def test_zarr_stores_of_others_are_refused(tmp_path):
    zarr.create_group(tmp_path / "a.zarr")
    refused(tmp_path / "a.zarr", "is not a retrowalk store")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is not a retrowalk store")


def test_nothing_there_is_said(tmp_path):
    refused(tmp_path / "a.zarr", "does not exist; give a store or a netCDF file")
    for look in (store.status, store.verify, store.damaged_blocks):
        with pytest.raises(InputError, match="does not exist"):
            look(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    "data", [b"", b"CDF\x01", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\0" * 4096, b"\x1f\x8b"]
)
def test_files_that_are_no_netcdf_are_refused(tmp_path, data):
    (tmp_path / "a.nc").write_bytes(data)
    refused(tmp_path / "a.nc", r"a\.nc: is (not a netCDF file|damaged)")


@pytest.fixture
def one_file(tmp_path):
    return store.write_netcdf(samples.results(range(6)), tmp_path / "a.nc")


def external_link(file, tmp_path):
    file["more"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/data")


def soft_link(file, _):
    file["more"] = h5py.SoftLink("/knee_pain")


def external_data(file, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret!!")
    file.create_dataset("more", (1,), "f8", external=[(tmp_path / "secret", 0, 8)])


def virtual_data(file, tmp_path):
    layout = h5py.VirtualLayout((1,), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "data", (1,))
    file.create_virtual_dataset("more", layout)


def group(file, _):
    file.create_group("more")


def compound(file, _):
    file["more"] = np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])


def ragged(file, _):
    file.create_dataset("more", (2,), h5py.vlen_dtype(np.int32))


def huge(file, _):
    file.create_dataset("more", (2**25,), "f8", chunks=(1024,))


def huge_chunk(file, _):
    file.create_dataset("more", (4, 2**26), "f8", chunks=(1, 2**26))


def many_texts(file, _):
    file.attrs["more"] = ["x"] * 1000


def foreign(file, _):
    del file.attrs["retrowalk_format"]


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (external_link, "is a link, and links in result files are never followed"),
        (soft_link, "is a link"),
        (external_data, "keeps its numbers in other files"),
        (virtual_data, "keeps its numbers in other files"),
        (group, "results are one flat group"),
        (compound, "which is not read"),
        (ragged, "which is not read"),
        (huge, "larger than any of retrowalk's"),
        (huge_chunk, "chunks larger than any"),
        (many_texts, "has 1000 values"),
        (foreign, "holds no results of retrowalk"),
    ],
)
def test_netcdf_files_that_mean_harm_are_refused(one_file, tmp_path, harm, sentence):
    with h5py.File(one_file, "r+") as file:
        harm(file, tmp_path)
    refused(one_file, sentence)


def test_random_damage_gives_numbers_or_one_sentence(whole, tmp_path):
    """A short run of what the fuzzer does: bytes of any file of the store changed, cut or repeated."""
    rng = random.Random(7)
    names = [file.relative_to(whole) for file in sorted(whole.rglob("*")) if file.is_file()]
    for number in range(60):
        path = tmp_path / f"{number}.zarr"
        shutil.copytree(whole, path)
        file = path / rng.choice(names)
        data = bytearray(file.read_bytes())
        for _ in range(rng.choice([1, 3, 30])):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(bytes(data[: rng.choice([len(data), rng.randrange(len(data) + 1)])]))
        for look in (store.open_results, store.status, store.verify):
            said = ""
            try:
                look(path)
            except RetrowalkError as error:
                said = str(error)
            assert "\n" not in said
        shutil.rmtree(path)
