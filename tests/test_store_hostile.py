"""Stores and files from strangers: one sentence, nothing followed, executed or written outside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RetrowalkError, RunError

#: No file from a stranger holds a test up for long.
pytestmark = pytest.mark.timeout(60)


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
    with pytest.raises(InputError, match=sentence) as caught:
        store.open_results(path)
    assert "\n" not in str(caught.value)


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


def redescribe(path: Path, folder: str, *keys, value) -> None:
    """Change Zarr's description of an array, in its place and in the sealed description of the store."""
    file = path / "_retrowalk" / "store.json"
    document = json.loads(json.loads(file.read_text().splitlines()[0])["documents"][folder])
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    describe(path, "documents", folder, value=json.dumps(document))
    (path / folder / "zarr.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("file", "keys", "value", "sentence"),
    [
        ("knee_pain", ("data_type",), "object", "'data_type' is not what retrowalk writes there"),
        ("knee_pain", ("shape",), [2**62, 3, 2, 2, 4], "'shape' is not what"),
        ("knee_pain", ("codecs",), [{"name": "numcodecs.pickle"}], "'codecs' is not what"),
        ("knee_pain", ("codecs",), "gzip", "'codecs' is not what"),
        ("knee_pain", ("codecs", 0, "configuration", "index_location"), "end", "'codecs' is not what"),
        ("knee_pain", ("storage_transformers",), ["x"], "'storage_transformers' is not what"),
        ("knee_pain", ("zarr_format",), 2, "'zarr_format' is not what"),
        ("knee_pain", ("more",), 2, "'more' is not what"),
        ("knee_pain", ("node_type",), "group", "not the description of an array"),
        ("knee_pain", ("chunk_grid", "configuration", "chunk_shape"), [4, 3, 2, 2, 2**40], "'chunk_grid'"),
        ("knee_pain", ("chunk_key_encoding", "configuration", "separator"), "/", "'chunk_key_encoding'"),
        ("knee_pain", ("attributes",), [1], "the attributes are not a mapping"),
        ("knee_pain", ("attributes", "units"), {"a": 1}, "is neither text nor numbers"),
        ("knee_pain", ("attributes", "more"), [[["deep"]]], "is neither text nor numbers"),
        ("knee_pain", ("attributes", "more"), True, "is neither text nor numbers"),
        ("knee_pain", ("attributes", "units"), 3, "the attribute 'units' is not text"),
        ("knee_pain", ("attributes", "scale_factor"), -3, "'scale_factor' would change numbers"),
        ("minutes", ("data_type",), "object", "data of type object are not read"),
        ("minutes", ("data_type",), {"name": "numpy.datetime64"}, "are not read"),
        ("minutes", ("shape",), [-1], "the shape .* is impossible"),
        ("minutes", ("shape",), "22", "the shape .* is impossible"),
        ("minutes", ("shape",), [2**25], "is too large"),
        ("minutes", ("dimension_names",), [3], "are not names"),
        ("label", ("shape",), [2**21], "is too large"),
        ("minutes", ("codecs",), [{"name": "blosc"}], "'codecs' is not what"),
        ("", ("attributes", "retrowalk_format"), "theirs", "retrowalk_format is not"),
        ("", ("attributes",), {}, "retrowalk_format is not"),
        ("", ("node_type",), "array", "not the description of a group"),
    ],
)
def test_descriptions_that_are_not_what_they_claim(path, file, keys, value, sentence):
    redescribe(path, file, *keys, value=value)
    refused(path, sentence)


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("knee_pain", ("attributes", "scale_factor"), -3),
        ("knee_pain", ("attributes", "units"), "km"),
        ("", ("attributes", "scenario"), "another title"),
        ("minutes", ("attributes", "units"), "h"),
        ("weight", ("shape",), [3]),
    ],
)
def test_descriptions_edited_after_they_were_written(path, file, keys, value):
    edit(path / file / "zarr.json", *keys, value=value)
    refused(path, r"zarr\.json: is not as it was written")


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, '{"a": ' * 100_000, "\0\xff", "null", "1" * 5000, '"zarr"']
)
@pytest.mark.parametrize("name", ["zarr.json", "knee_pain/zarr.json"])
def test_descriptions_that_are_nothing_at_all(path, text, name):
    (path / name).write_text(text)
    refused(path, "is not as it was written")
    describe(path, "documents", name.rpartition("/")[0], value=text)
    refused(path, "is not (a readable|the) description")


@pytest.mark.parametrize(
    ("keys", "value", "sentence"),
    [
        (("fixed", "../../outside"), [0, "00"], "does not belong to the store"),
        (("documents", "../outside"), "{}", "leads out of the store"),
        (("documents", "a/../b"), "{}", "leads out of the store"),
        (("documents", "more"), "{}", "not the description of an array"),
        (("variables", 0, "name"), "../outside", "not the description of a retrowalk store"),
        (("variables", 0, "name"), "other", "variable other has no description"),
        (("variables", 0, "dtype"), "object", "not one that retrowalk writes"),
        (("variables", 0, "dims"), ["draw"], "has shape"),
        (("variables", 0, "shape"), [22, 2**39, 1, 1, 1], "is impossible"),
        (("variables", 0, "shape"), [22, -2, 1, 1, 1], "is impossible"),
        (("store",), "../../x", "not the description of a retrowalk store"),
        (("cases",), 2**62, "not the description of a retrowalk store"),
        (("cases",), 2**39, "not one that retrowalk writes"),
        (("block",), 0, "not the description of a retrowalk store"),
        (("format",), "retrowalk-store/1", "'retrowalk-store/1', and this version .* with --overwrite"),
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
    describe(path, "variables", value=[])
    describe(path, "cases", value=2**39)
    describe(path, "block", value=1)
    refused(path, "blocks make .* files; use larger blocks")
    plan = store.widen(samples.results(range(1)), xr.Dataset(coords={"case": np.arange(10**6 + 1)}))
    with pytest.raises(InputError, match="use larger blocks"):
        store.create(tmp_path / "b.zarr", plan, digests={}, block=1)


def test_large_files_are_refused_unread(path):
    os.truncate(path / "knee_pain" / "zarr.json", 2**30)
    refused(path, "is not as it was written")
    os.truncate(path / "_retrowalk" / "store.json", 2**30)
    refused(path, "a description of 1024 MiB")
    os.truncate(path / "_retrowalk" / "store.json", 2**40)
    refused(path, "a file of 1024 GiB")


def test_a_large_manifest_is_refused_unread(path):
    os.truncate(path / "_retrowalk" / "manifest.jsonl", 2**30)
    with pytest.raises(InputError, match="a manifest of 1024 MiB is not one of this store"):
        store.status(path)


def test_a_store_of_the_old_format_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "old.zarr"
    (path / "_retrowalk").mkdir(parents=True)
    body = json.dumps({"format": "retrowalk-store/1", "digests": {}, "cases": 3, "block": 1, "streamed": []})
    seal = hashlib.sha256(body.encode()).hexdigest()
    (path / "_retrowalk" / "store.json").write_text(f"{body}\n{seal}\n")
    for look in (store.status, store.verify, store.open_results, samples.create):
        with pytest.raises(InputError, match=r"'retrowalk-store/1'.*'retrowalk-store/2'.*--overwrite"):
            look(path)
    samples.finish(path, overwrite=True)
    assert store.verify(path) == []


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
    for look in (store.status, store.verify):
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


def scaled(file, _):
    file["knee_pain"].attrs["scale_factor"] = -3.0


def bomb(file, _):
    """Sixteen million draws in a few kilobytes."""
    file.create_dataset("more", (1, 2**24, 40), "f4", chunks=(1, 2**16, 40), compression=9)


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
        (scaled, "'scale_factor' of 'knee_pain' would change numbers"),
        (bomb, "claims .* MiB of numbers in a file of"),
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


def frames(path: Path, size: int) -> None:
    """Let every compressed frame of the first shard claim another size, and seal its digests again."""
    record = next((path / "_retrowalk" / "groups").iterdir())
    shard = path / "knee_pain" / "c.0.0.0.0.0"
    data, entry = bytearray(shard.read_bytes()), json.loads(record.read_text())
    start = 16 * samples.GROUP + 4
    for block in entry["blocks"]:
        (piece,) = block[0]
        data[start + 4 : start + 8] = size.to_bytes(4, "little")
        piece[1] = hashlib.sha256(data[start : start + piece[0]]).hexdigest()
        start += piece[0]
    shard.write_bytes(data)
    text = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
    record.write_bytes(text)
    manifest = path / "_retrowalk" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        if line.get("file") == record.name:
            line["record"] = [len(text), hashlib.sha256(text).hexdigest()]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_frame_that_claims_gigabytes_is_not_decoded(tmp_path):
    path = tmp_path / "sweep.zarr"
    samples.finish(path, group=samples.BLOCKS)
    for record in (path / "_retrowalk" / "groups").iterdir():
        assert json.loads(record.read_text())["group"] == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "GROUP", samples.BLOCKS)
        frames(path, 2**31 - 16)
    assert store.verify(path) == []
    with pytest.raises(RunError, match="a compressed piece claims 2147483632 bytes where"):
        store.open_results(path).knee_pain.load()


def reseal(path: Path, name: str, data: bytes) -> None:
    """Replace a coordinate, and its digest in the description of the store."""
    (path / name).write_bytes(data)
    describe(path, "fixed", name, value=[len(data), hashlib.sha256(data).hexdigest()])


def test_texts_that_would_take_gigabytes_are_not_decoded(path):
    long = b"x" * 10**7
    texts = [long] + [b""] * (samples.CASES - 1)
    body = len(texts).to_bytes(4, "little") + b"".join(len(one).to_bytes(4, "little") + one for one in texts)
    reseal(path, "label/c.0", body + bytes(4))
    refused(path, "texts of up to 10000000 bytes are longer than any")
    reseal(path, "label/c.0", body[:50] + bytes(4))
    refused(path, "holds another number of values than its shape says")
    more = len(texts).to_bytes(4, "little") + bytes(4 * (samples.CASES + 1))
    reseal(path, "label/c.0", more + bytes(4))
    refused(path, "holds another number of texts than its shape says")


def test_a_coordinate_with_another_number_of_values_is_not_decoded(path):
    reseal(path, "minutes/c.0", bytes(1000))
    refused(path, "holds another number of values than its shape says")


def test_a_read_that_does_not_fit_the_memory_is_refused_with_the_numbers(tmp_path, monkeypatch):
    path = tmp_path / "large.zarr"
    one = xr.Dataset({"o": (("case", "member"), np.zeros((1, 2_000_000), np.float32))})
    plan = store.widen(one, xr.Dataset(coords={"case": np.arange(100_000)}))
    with store.create(path, plan, digests={}, block=1, group=1):
        pass
    file = path / "_retrowalk" / "manifest.jsonl"
    identity = json.loads((path / "_retrowalk" / "store.json").read_text().splitlines()[0])["store"]
    line = {"store": identity, "file": "x", "record": [10, "00"], "size": 20}
    file.write_text("".join(json.dumps(line | {"block": block}) + "\n" for block in range(100_000)))
    with store.open_results(path) as dataset:
        assert dataset.o.shape == (100_000, 2_000_000)
        with pytest.raises(InputError, match=r"reading this takes 800 GB of memory, .* are free; select"):
            dataset.o.load()
        assert store.open_results(path, chunks={}).o.chunks is not None


def test_a_netcdf_that_never_returns_is_given_up(one_file, monkeypatch, tmp_path):
    """A child process looks through the file; here it sleeps in place of the HDF5 library."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "h5py.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(slow))
    monkeypatch.setenv("RETROWALK_NETCDF_SECONDS", "0.5")
    refused(one_file, "the HDF5 library did not get through it")


def test_mutated_netcdf_files_are_numbers_or_one_sentence(one_file, tmp_path):
    rng, whole_file = random.Random(11), one_file.read_bytes()
    for number in range(12):
        data = bytearray(whole_file)
        for _ in range(rng.choice([1, 5, 40])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (mutated := tmp_path / f"{number}.nc").write_bytes(data)
        said = ""
        try:
            with store.open_results(mutated) as dataset:
                dataset.load()
        except (RetrowalkError, OSError, ValueError, RuntimeError) as error:
            said = str(error) if isinstance(error, RetrowalkError) else ""
        assert "\n" not in said


@pytest.mark.parametrize("name", ["_retrowalk/lock", "_retrowalk/manifest.jsonl"])
def test_files_with_a_second_name_are_not_written_through(tmp_path, name):
    path, other = tmp_path / "sweep.zarr", tmp_path / "precious"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0])
    other.write_bytes((path / name).read_bytes() + b"\n")
    kept = other.read_bytes()
    (path / name).unlink()
    os.link(other, path / name)
    # The lock is changed in place, which is refused; a manifest is replaced as a whole.
    with contextlib.suppress(InputError, RunError):
        samples.finish(path)
    assert name.endswith("jsonl") or store.status(path).missing
    assert other.read_bytes() == kept


@pytest.mark.parametrize("name", ["a" * 300 + ".zarr", "a" * 230, "a\0b.zarr", "/".join("ab" * 2000)])
def test_names_that_no_disk_can_hold_are_one_sentence(tmp_path, name):
    for act in (
        samples.create,
        store.status,
        store.verify,
        store.open_results,
        lambda path: store.write_netcdf(samples.results(range(1)), path),
    ):
        with pytest.raises(InputError, match=r"too long|NUL") as caught:
            act(f"{tmp_path}/{name}")
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["s3://me:secret@bucket/a.zarr", "gs://secret@bucket/a.zarr", "s3://bucket/a?secret"]
)
def test_passwords_in_addresses_are_refused_and_never_repeated(url):
    for act in (samples.create, store.status, store.verify, store.open_results):
        with pytest.raises(InputError, match="do not belong into an address") as caught:
            act(url)
        assert "secret" not in str(caught.value)
