"""Damage is found, named and repaired; failing disks give one sentence and a store that goes on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RunError
from test_store import opens_as_a_whole, without_marks


@pytest.fixture(scope="module", autouse=True)
def groups():
    """One block to a file, so that damage to a file is damage to one block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "GROUP", 1)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, groups):
    path = tmp_path_factory.mktemp("whole") / "sweep.zarr"
    samples.finish(path)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "sweep.zarr"))


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


HARM = {"missing": Path.unlink, "truncated": truncate, "altered": flip}


@pytest.mark.parametrize("kind", list(HARM))
@pytest.mark.parametrize("name", ["knee_pain/c.2.0.0.0.0", "assessed/c.5.0.0", "knee_pain_grade/c.0.0"])
def test_a_damaged_shard_is_named_and_repaired(path, whole, name, kind):
    HARM[kind](path / name)
    block = int(name.split(".")[1])
    found = store.verify(path)
    assert [(damage.file, damage.kind, damage.block) for damage in found] == [(name, kind, block)]
    assert str(found[0]) == f"{name}: {kind} (block {block})"
    with samples.create(path, repair=True) as writer:
        assert writer.missing() == [block]
        assert not opens_as_a_whole(path)
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    assert store.verify(path) == []
    assert samples.tree(path) == samples.tree(whole)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in ("minutes/c.0", "arm/c.0") for kind in HARM),
    ],
)
def test_damage_to_coordinates_is_named(path, name, kind):
    HARM[kind](path / name)
    assert [(damage.file, damage.kind, damage.block) for damage in store.verify(path)] == [(name, kind, None)]
    with pytest.raises(InputError, match="writing blocks again cannot mend that; run again with --overwrite"):
        samples.create(path, repair=True)
    samples.finish(path, overwrite=True)
    assert store.verify(path) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("knee_pain/zarr.json", kind) for kind in HARM),
        ("zarr.json", "truncated"),
        ("zarr.json", "altered"),
        ("_retrowalk/zarr.json", "missing"),
    ],
)
def test_damage_to_descriptions_is_named_and_repaired(path, whole, name, kind):
    HARM[kind](path / name)
    assert [(damage.file, damage.kind, damage.block) for damage in store.verify(path)] == [(name, kind, None)]
    with pytest.raises(InputError, match=r"zarr.json: is not as it was written .* with --repair writes it"):
        store.open_results(path)
    samples.finish(path, repair=True)
    assert samples.tree(path) == samples.tree(whole)


@pytest.mark.parametrize("flushes", range(0, 40, 3))
def test_a_repair_cut_short_leaves_a_store_that_is_not_taken_for_whole(path, whole, flushes):
    flip(path / "knee_pain" / "c.2.0.0.0.0")
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, flushes, errno.EIO)
        with pytest.raises(RunError, match="Input/output error"):
            samples.finish(path, repair=True)
    assert not opens_as_a_whole(path) or store.verify(path) != []
    # What was withdrawn stays so; what was not begun has to be asked for again.
    samples.finish(path, repair=True)
    assert samples.tree(path) == samples.tree(whole)


def test_repairing_a_whole_store_changes_nothing(path, whole):
    with samples.create(path, repair=True) as writer:
        assert writer.state == "finished"
    assert samples.tree(path) == samples.tree(whole)


def test_a_lost_manifest_means_unknown_blocks(path, whole):
    (path / "_retrowalk" / "manifest.jsonl").unlink()
    assert [damage.block for damage in store.verify(path)] == [0, 1, 2, 3, 4, 5]
    samples.finish(path)
    assert samples.tree(path) == samples.tree(whole)
    assert store.verify(path) == []


def test_a_damaged_description_of_the_store_is_said(path):
    flip(path / "_retrowalk" / "store.json")
    for look in (store.verify, store.status, store.open_results, samples.create):
        with pytest.raises(InputError, match="the description of the store is damaged"):
            look(path)
    samples.finish(path, overwrite=True)
    assert store.verify(path) == []


def test_a_missing_piece_is_never_read_as_no_number(path):
    (path / "knee_pain" / "c.2.0.0.0.0").unlink()
    dataset = store.open_results(path)
    dataset.knee_pain.isel(case=slice(0, 8)).load()
    with pytest.raises(RunError, match=r"the piece knee_pain/c\.2\.0\.0\.0\.0 is missing"):
        dataset.knee_pain.load()


def test_a_flipped_bit_is_one_sentence(path):
    flip(path / "knee_pain" / "c.2.0.0.0.0")
    with pytest.raises(RunError, match=r"the piece knee_pain/c\.2\.0\.0\.0\.0 is damaged; `retrowalk status"):
        store.open_results(path).knee_pain.load()


def test_a_flipped_bit_is_noticed_by_any_reader(path):
    flip(path / "knee_pain" / "c.2.0.0.0.0")
    with pytest.raises(ValueError, match="checksum"):
        xr.open_zarr(path, consolidated=False, chunks=None).knee_pain.load()


def failing_at(monkeypatch, count: int, number: int) -> None:
    """From the `count`-th flush on the disk gives an error."""
    real, left = os.fsync, [count]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr("os.fsync", fsync)


SENTENCES = {
    errno.ENOSPC: "the disk or quota is full; free some space and give the same command again",
    errno.EDQUOT: "the disk or quota is full",
    errno.EROFS: "read-only disk or no permission",
    errno.EACCES: "read-only disk or no permission",
    errno.EIO: "Input/output error",
}


@pytest.mark.parametrize("number", list(SENTENCES))
@pytest.mark.parametrize("count", [0, 5, 25, 40, 60, 61, 62, 75, 85])
def test_a_disk_that_fails_at_any_write_leaves_a_store_that_goes_on(tmp_path, whole, number, count):
    path = tmp_path / "sweep.zarr"
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, count, number)
        with pytest.raises(RunError, match=SENTENCES[number]) as caught:
            samples.finish(path)
    assert "\n" not in str(caught.value)
    assert not (path.exists() and store.status(path).missing and opens_as_a_whole(path))
    samples.finish(path)
    assert samples.tree(path) == samples.tree(whole)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sweep.zarr"]


def test_netcdf_on_a_failing_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    failing_at(monkeypatch, 0, errno.ENOSPC)
    with pytest.raises(RunError, match=r"a\.nc: the disk or quota is full"):
        store.write_netcdf(samples.results(range(4)), tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


HALF = """
import sys, xarray
import store_samples as samples
from retrowalk import store

def half(dataset, file, **options):
    file.write(b"half")
    print("half", flush=True)
    sys.stdin.read()

xarray.Dataset.to_netcdf = half
store.write_netcdf(samples.results(range(2)), sys.argv[1])
"""


def test_the_next_export_removes_what_a_killed_one_left_and_nothing_of_a_living_one(tmp_path):
    target = tmp_path / "a.nc"
    with subprocess.Popen(
        [sys.executable, "-c", HALF, target], cwd=Path(__file__).parent,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        assert writer.stdout.readline() == "half\n"
        store.write_netcdf(samples.results(range(2)), target)
        assert len(list(tmp_path.iterdir())) == 2
        writer.kill()
    store.write_netcdf(samples.results(range(2)), target, overwrite=True)
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    how = [mount, "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder]
    if mount is None or subprocess.run(how, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run([shutil.which("umount"), folder], check=True)


def test_a_full_disk_is_said_and_the_store_goes_on_when_there_is_space(small_disk, whole):
    path, filler = small_disk / "sweep.zarr", small_disk / "filler"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 1])
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(b"x" * max(0, free - 12 * 1024))
    with pytest.raises(RunError, match="the disk or quota is full; free some space"):
        samples.finish(path)
    assert not opens_as_a_whole(path)
    assert store.status(path).finished_blocks >= 2
    assert not list(path.rglob("*.partial"))
    filler.unlink()
    samples.finish(path)
    assert samples.tree(path) == samples.tree(whole)


def test_a_full_disk_leaves_no_half_netcdf(small_disk):
    results = samples.results(range(3000))
    with pytest.raises(RunError, match=r"a\.nc: the disk or quota is full"):
        store.write_netcdf(results, small_disk / "a.nc")
    assert list(small_disk.iterdir()) == []
    plan = store.widen(results, results.coords.to_dataset())
    with (
        store.create(small_disk / "a.zarr", plan, digests={}, block=3000) as writer,
        pytest.raises(RunError, match=r"a\.zarr: the disk or quota is full"),
    ):
        writer.write(0, results)


def test_a_read_only_disk_is_said(small_disk):
    store.write_netcdf(samples.results(range(2)), small_disk / "a.nc")
    with samples.create(small_disk / "a.zarr") as writer:
        samples.write_blocks(writer, [0])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with store.open_results(small_disk / "a.zarr") as dataset:
        assert dataset.sizes["case"] == 4
    assert store.verify(small_disk / "a.zarr") == []
    for write in (
        lambda: samples.create(small_disk / "b.zarr"),
        lambda: samples.create(small_disk / "a.zarr"),
        lambda: store.write_netcdf(samples.results(range(2)), small_disk / "b.nc"),
        lambda: store.write_netcdf(samples.results(range(2)), small_disk / "a.nc", overwrite=True),
    ):
        with pytest.raises(RunError, match="read-only disk or no permission"):
            write()


def test_nothing_needs_fcntl_at_import():
    code = (
        "import sys; sys.modules['fcntl'] = None; sys.modules['msvcrt'] = None; "
        "import signal; del signal.SIGKILL; import retrowalk.store as s; print(s.create.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "create\n"


def test_export_of_an_unfinished_store_says_what_is_missing(tmp_path):
    with samples.create(tmp_path / "a.zarr") as writer:
        samples.write_blocks(writer, [1])
    with store.open_results(store.export(tmp_path / "a.zarr", tmp_path / "a.nc")) as found:
        assert found.attrs["retrowalk_missing_cases"] == 18
        xr.testing.assert_identical(without_marks(found).load(), samples.results(range(4, 8)))
