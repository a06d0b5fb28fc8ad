"""Stopping a writer anywhere and going on: kills, power cuts, torn lines, other digests, two writers."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RunError
from test_store import opens_as_a_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "sweep.zarr"
    samples.finish(path)
    return samples.tree(path)


def start(path: Path, pause: float) -> subprocess.Popen[str]:
    script = Path(samples.__file__)
    return subprocess.Popen(
        [sys.executable, script, path, str(pause), str(samples.GROUP)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3000)])])
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(tmp_path, whole, kills):
    path, rng, kept = tmp_path / "sweep.zarr", random.Random(20261122), set()
    for _ in range(kills):
        with start(path, 0.03) as process:
            line = process.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.08))
            finished = store.status(path).finished_blocks == samples.BLOCKS
            process.kill()
        assert line == "ready\n"
        assert finished or not opens_as_a_whole(path)
        with samples.create(path) as writer:
            assert kept <= writer.finished()
            kept = writer.finished()
        assert store.verify(path) == []
        if len(kept) == samples.BLOCKS:
            shutil.rmtree(path)
            kept = set()
    samples.finish(path)
    assert samples.tree(path) == whole
    assert store.verify(path) == []


class PowerCut(BaseException):
    """The moment of the cut."""


class Disk:
    """What would survive a power cut: contents and names at the last flush of each file and folder."""

    def __init__(self, monkeypatch, cut_after: int) -> None:
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, dict[str, tuple[bool, int]]] = {}
        self.left = cut_after
        monkeypatch.setattr("os.fsync", self.fsync)

    def remember(self, folder: Path) -> None:
        """Take a folder and what is in it for flushed long ago."""
        for place in [folder, *folder.rglob("*")]:
            self.flushed(place, place.stat().st_ino)

    def fsync(self, handle: int) -> None:
        if self.left == 0:
            raise PowerCut
        self.left -= 1
        self.flushed(Path(f"/proc/self/fd/{handle}").readlink(), os.fstat(handle).st_ino)

    def flushed(self, place: Path, inode: int) -> None:
        if place.is_dir():
            self.folders[inode] = {entry.name: (entry.is_dir(), entry.inode()) for entry in os.scandir(place)}
        else:
            self.files[inode] = place.read_bytes()

    def survive(self, inode: int, target: Path) -> None:
        target.mkdir()
        for name, (folder, child) in self.folders.get(inode, {}).items():
            if folder:
                self.survive(child, target / name)
            else:
                (target / name).write_bytes(self.files.get(child, b""))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_power_cut_after_any_flush_loses_no_finished_block(tmp_path, whole):
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, cut_after=10**6)
        samples.finish(tmp_path / "count.zarr")
        flushes = 10**6 - disk.left
    assert flushes > 40
    for cut_after in range(3, flushes, 4):
        before, after = tmp_path / f"{cut_after}", tmp_path / f"{cut_after}-after"
        before.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, cut_after)
            with pytest.raises(PowerCut):
                samples.finish(before / "sweep.zarr")
        disk.survive(before.stat().st_ino, after)
        path = after / "sweep.zarr"
        if path.exists():
            assert store.verify(path) == []
            assert store.status(path).missing == 0 or not opens_as_a_whole(path)
        samples.finish(path)
        assert samples.tree(path) == whole
        assert [entry.name for entry in after.iterdir()] == ["sweep.zarr"]
        shutil.rmtree(before)
        shutil.rmtree(after)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("cut_after", [2, 20, 30, 35, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 55, 60, 65])
def test_a_power_cut_while_overwriting_leaves_the_old_store_or_the_new(tmp_path, whole, cut_after):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    samples.finish(before / "sweep.zarr", digests={"scenario": "old"})
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, cut_after)
        disk.remember(before)
        with pytest.raises(PowerCut):
            samples.finish(before / "sweep.zarr", overwrite=True)
    disk.survive(before.stat().st_ino, after)
    found = store.status(after / "sweep.zarr")
    assert found.digests in ({"scenario": "old"}, samples.DIGESTS)
    assert found.digests == samples.DIGESTS or found.state == "finished"
    assert store.verify(after / "sweep.zarr") == []
    samples.finish(after / "sweep.zarr", overwrite=True)
    assert samples.tree(after / "sweep.zarr") == whole
    assert [entry.name for entry in after.iterdir()] == ["sweep.zarr"]


@pytest.mark.parametrize(
    "torn", [b'{"block": 3, "ca', b"\0" * 300, b'{"block": 1, "file": ""}\n', b"[" * 5000 + b"\n"]
)
def test_a_torn_line_counts_for_nothing(tmp_path, whole, torn):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 1])
    with (path / "_retrowalk" / "manifest.jsonl").open("ab") as manifest:
        manifest.write(torn)
    assert store.status(path).finished_blocks == 2
    with samples.create(path) as writer:
        assert writer.missing() == [2, 3, 4, 5]
        samples.write_blocks(writer, [2])
    assert store.status(path).finished_blocks == 3
    samples.finish(path)
    assert samples.tree(path) == whole


def test_leftovers_of_interrupted_writes_are_removed(tmp_path, whole):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        writer.blocks.write(2, samples.results(range(8, 12)))
    (path / "knee_pain" / "c.1.0.0.0.0.ab.partial").write_bytes(b"half")
    (path / "knee_pain" / "c.0.0.0.0.0").write_bytes(b"never recorded")
    with samples.create(path) as writer:
        assert writer.state == "unfinished"
        assert list((path / "knee_pain").glob("c.*")) == []
        assert samples.block_files(path) == []
    samples.finish(path)
    assert samples.tree(path) == whole


def test_what_a_killed_worker_left_is_gone_from_a_complete_store(tmp_path, whole):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, writer.missing())
        (path / "knee_pain" / "c.1.0.0.0.0.ab.partial").write_bytes(b"half")
        writer.complete()
    assert samples.tree(path) == whole


def test_a_finished_store_says_so_and_stays(tmp_path, whole):
    path = tmp_path / "sweep.zarr"
    samples.finish(path)
    times = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.name != "lock"}
    with samples.create(path) as writer:
        assert writer.state == "finished"
        assert writer.missing() == []
        writer.complete()
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.name != "lock"} == times


@pytest.mark.parametrize("name", list(samples.DIGESTS))
@pytest.mark.parametrize("done", [False, True])
def test_other_digests_are_refused_by_name(tmp_path, name, done):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, writer.missing() if done else [0])
        if done:
            writer.complete()
    before = samples.tree(path)
    with pytest.raises(InputError, match=rf"holds other results \({name} differs\)"):
        samples.create(path, digests={**samples.DIGESTS, name: "other"})
    assert samples.tree(path) == before


def test_several_differing_digests_are_all_named(tmp_path):
    samples.create(tmp_path / "a.zarr").close()
    with pytest.raises(InputError, match=r"\(seed, extra, posterior differ\)"):
        samples.create(
            tmp_path / "a.zarr", digests={"scenario": "1f", "seed": "8", "results": "1", "extra": "x"}
        )


def test_the_same_digests_with_other_sizes_are_refused(tmp_path):
    samples.create(tmp_path / "a.zarr").close()
    with pytest.raises(InputError, match="holds other variables or sizes"):
        store.create(tmp_path / "a.zarr", samples.template(23), digests=samples.DIGESTS, block=4)


def test_a_continued_store_keeps_its_blocks(tmp_path, whole):
    path = tmp_path / "sweep.zarr"
    samples.create(path).close()
    with samples.create(path, block=7) as writer:
        assert writer.layout.block == samples.BLOCK
    samples.finish(path, block=7)
    assert samples.tree(path) == whole


def test_overwrite_continues_the_same_and_replaces_the_rest(tmp_path, whole):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0])
    with samples.create(path, overwrite=True) as writer:
        assert writer.finished() == {0}
    with samples.create(path, overwrite=True, digests={"scenario": "other"}) as writer:
        assert (writer.state, writer.finished()) == ("new", set())
    samples.finish(path, overwrite=True)
    assert samples.tree(path) == whole
    with samples.create(path, overwrite=True) as writer:
        assert (writer.state, writer.finished()) == ("new", set())
    assert [entry.name for entry in tmp_path.iterdir()] == ["sweep.zarr"]


def test_an_overwrite_that_fails_keeps_the_old_store(tmp_path, monkeypatch, whole):
    path = tmp_path / "sweep.zarr"
    samples.finish(path)
    real = Path.replace

    def failing(self, target):
        if self.name.endswith(".staging"):
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(RunError, match="could not be created: Input/output error"):
        samples.create(path, overwrite=True)
    assert samples.tree(path) == whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["sweep.zarr"]


def test_a_store_moved_aside_by_a_killed_overwrite_comes_back(tmp_path, whole):
    path = tmp_path / "sweep.zarr"
    samples.finish(path)
    path.rename(tmp_path / ".sweep.zarr.0123456789ab.replaced")
    (tmp_path / ".sweep.zarr.ba9876543210.staging" / "_retrowalk").mkdir(parents=True)
    (tmp_path / ".sweep.zarr.ba9876543210.staging" / "_retrowalk" / "lock").touch()
    with samples.create(path) as writer:
        assert writer.state == "finished"
    assert samples.tree(path) == whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["sweep.zarr"]


def folder_with_a_file(path):
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


def link(path):
    samples.finish(path.with_name("real.zarr"))
    path.symlink_to(path.with_name("real.zarr"))


def zarr_group(path):
    path.mkdir()
    (path / "zarr.json").write_text("{}")


@pytest.mark.parametrize(
    ("make", "replaceable"),
    [
        (lambda path: path.write_text("mine"), True),
        (lambda path: path.mkdir(), True),
        (zarr_group, True),
        (folder_with_a_file, False),
        (link, False),
        (os.mkfifo if hasattr(os, "mkfifo") else folder_with_a_file, False),
    ],
    ids=["file", "empty folder", "zarr group", "folder", "link", "pipe"],
)
def test_what_belongs_to_something_else_is_left_alone(tmp_path, make, replaceable):
    path = tmp_path / "sweep.zarr"
    make(path)
    before = path.lstat()
    with pytest.raises(InputError, match=r"sweep\.zarr: (exists|is not)"):
        samples.create(path)
    assert path.lstat().st_ino == before.st_ino
    if replaceable:
        samples.finish(path, overwrite=True)
        assert store.status(path).state == "finished"
    else:
        with pytest.raises(InputError, match="is left alone; choose another output or remove it"):
            samples.create(path, overwrite=True)
        assert path.lstat().st_ino == before.st_ino


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist; create it first"):
        samples.create(tmp_path / "nowhere" / "a.zarr")


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path):
    path = tmp_path / "sweep.zarr"
    with start(path, 30) as process:
        process.stdout.readline()
        for options in ({}, {"overwrite": True}, {"repair": True}):
            with pytest.raises(InputError, match=f"process {process.pid} on .* is writing this store"):
                samples.create(path, **options)
        assert str(process.pid) in store.status(path).writer
        process.kill()
    assert store.status(path).writer is None
    with samples.create(path) as writer:
        assert writer.state == "unfinished"
        with pytest.raises(InputError, match="is writing this store"):
            samples.create(path)


def without_kernel_locks(monkeypatch):
    for module in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, module, None)


def owner(folder: Path, **changes) -> str:
    """What this process writes into its lock, changed."""
    samples.create(folder).close()
    with samples.create(folder):
        text = (folder / "_retrowalk" / "lock.owner").read_text()
    return json.dumps({**json.loads(text), **changes})


def gone() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_without_kernel_locks_a_second_writer_is_refused_too(tmp_path, monkeypatch, whole):
    without_kernel_locks(monkeypatch)
    path = tmp_path / "sweep.zarr"
    with samples.create(path):
        assert f"process {os.getpid()}" in store.status(path).writer
        with pytest.raises(InputError, match=r"if that process is gone, delete .*lock\.owner"):
            samples.create(path)
    assert store.status(path).writer is None
    samples.finish(path)
    assert samples.tree(path) == whole


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"pid": gone()}, True),
        ({"started": "1"}, True),
        ({"boot": "another boot"}, True),
        ({}, False),
        ({"host": "another host"}, False),
    ],
    ids=["process gone", "number reused", "machine restarted", "living", "unknown host"],
)
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs /proc")
def test_without_kernel_locks_a_stale_lock_is_recognised(tmp_path, monkeypatch, changes, stale):
    without_kernel_locks(monkeypatch)
    path = tmp_path / "sweep.zarr"
    samples.create(path).close()
    file = path / "_retrowalk" / "lock.owner"
    changed = owner(tmp_path / "other.zarr", **changes)
    file.write_text(changed)
    if stale:
        samples.create(path).close()
        assert sorted(entry.name for entry in file.parent.glob("lock*")) == ["lock"]
    else:
        with pytest.raises(InputError, match="is writing this store"):
            samples.create(path)
        assert file.read_text() == changed


def test_without_kernel_locks_an_empty_lock_is_a_writer_that_starts(tmp_path, monkeypatch):
    without_kernel_locks(monkeypatch)
    path = tmp_path / "sweep.zarr"
    samples.create(path).close()
    file = path / "_retrowalk" / "lock.owner"
    file.touch()
    with pytest.raises(InputError, match="is writing this store"):
        samples.create(path)
    os.utime(file, (0, 0))
    samples.create(path).close()
