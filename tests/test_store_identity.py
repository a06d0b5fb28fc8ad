"""Every byte belongs to the store that was opened: moved, removed, replaced and copied stores."""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import xarray as xr

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RunError
from test_store import without_marks

OTHER = {**samples.DIGESTS, "seed": "8"}
LOST = "was moved, removed or replaced while it was being written; nothing more is written"
posix = pytest.mark.skipif(os.name != "posix", reason="an open folder cannot be moved there")


def write_other(writer: store.Writer, blocks) -> None:
    for block in blocks:
        cases = writer.layout.cases_of(block)
        one = samples.results(range(cases.start, cases.stop))
        writer.write(block, one.assign(knee_pain=one.knee_pain + 100))


def everything(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def move(path: Path) -> None:
    path.rename(path.with_name("moved.zarr"))


HARM = {"moved": move, "removed": shutil.rmtree}


@posix
@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize(("group", "turns"), [
    (1, (0, 1)), (6, (2, 4)), *((2, turns) for turns in itertools.combinations(range(5), 2)),
])  # fmt: skip
def test_seeds_are_never_mixed(tmp_path, harm, group, turns):
    """Writer A pauses, its folder goes, B (another seed) starts at the same path, and both go on in turns."""
    path = tmp_path / "sweep.zarr"
    old = samples.create(path, group=group)
    samples.write_blocks(old, [0, 1, 2])
    HARM[harm](path)
    with samples.create(path, digests=OTHER, group=group) as new:
        blocks = iter([3, 4, 5])
        for turn in range(5):
            if turn in turns:
                kept = everything(path)
                with pytest.raises(RunError, match=LOST) as caught:
                    samples.write_blocks(old, [next(blocks)])
                assert (caught.value.exit_code, everything(path)) == (1, kept)
            else:
                write_other(new, [turn])
        with pytest.raises((RunError, InputError)):
            old.complete()
        old.close()
        write_other(new, new.missing())
        new.complete()
    assert store.verify(path) == []
    assert store.status(path).digests["seed"] == "8"
    with store.open_results(path) as found:
        expected = samples.results(range(samples.CASES)).knee_pain + 100
        xr.testing.assert_equal(found.knee_pain.load(), expected)
    moved = tmp_path / "moved.zarr"
    if moved.exists():
        assert store.verify(moved) == []
        samples.finish(moved)
        with store.open_results(moved) as found:
            xr.testing.assert_identical(without_marks(found).load(), samples.results(range(samples.CASES)))


@posix
@pytest.mark.parametrize("harm", HARM)
def test_a_pause_between_check_and_write_lets_no_byte_into_another_store(tmp_path, harm, monkeypatch):
    """The checks are passed by, as they are when the writer pauses right after them."""
    path = tmp_path / "sweep.zarr"
    old = samples.create(path)
    samples.write_blocks(old, [0, 1, 2])
    HARM[harm](path)
    with samples.create(path, digests=OTHER) as new:
        write_other(new, [0])
        kept = everything(path)
        stat, here = os.stat, (tmp_path / "moved.zarr").stat() if harm == "moved" else None
        if here is not None:
            monkeypatch.setattr(os, "stat", lambda name, **more: here if name == path else stat(name, **more))
        acts = [
            lambda: samples.write_blocks(old, [3]),
            lambda: samples.write_blocks(old, [4, 5]),
            old.complete,
        ]
        for act in (*acts, old.complete):
            if harm == "moved":
                act()
            else:
                with pytest.raises((RunError, InputError)):
                    act()
        monkeypatch.undo()
        assert everything(path) == kept
    if harm == "moved":
        # It went on in the very store that it had opened.
        assert store.verify(tmp_path / "moved.zarr") == []
        assert store.status(tmp_path / "moved.zarr").state == "finished"


@posix
@pytest.mark.parametrize("harm", HARM)
def test_a_worker_of_a_store_that_is_gone_writes_into_no_other(tmp_path, harm):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as old:
        fresh = pickle.dumps(old.blocks)
        opened = pickle.loads(fresh)
        opened.write(0, samples.results(range(4)))
        HARM[harm](path)
        samples.finish(path, digests=OTHER)
        kept = everything(path)
        with pytest.raises(RunError, match="does not see this store"):
            pickle.loads(fresh).write(1, samples.results(range(4, 8)))
        if harm == "removed":
            with pytest.raises(RunError, match=LOST):
                opened.write(1, samples.results(range(4, 8)))
        assert everything(path) == kept


def test_a_copy_is_a_store_of_its_own(tmp_path):
    path, copy = tmp_path / "a.zarr", tmp_path / "b.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 1, 2])
        shutil.copytree(path, copy)
        with samples.create(copy) as second:
            assert second.finished() == {0, 1, 2}
            samples.write_blocks(second, [3])
        samples.write_blocks(writer, [5])
    assert (store.status(path).finished_blocks, store.status(copy).finished_blocks) == (4, 4)
    for one in (path, copy):
        samples.finish(one)
        assert store.verify(one) == []
    assert samples.tree(path) == samples.tree(copy)


def test_two_stores_of_the_same_results_have_identities_of_their_own(tmp_path):
    with samples.create(tmp_path / "a.zarr") as first, samples.create(tmp_path / "b.zarr") as second:
        assert first.layout.store != second.layout.store
        samples.write_blocks(first, [0])
    manifest = (tmp_path / "a.zarr" / "_retrowalk" / "manifest.jsonl").read_text()
    assert first.layout.store in manifest


@posix
def test_a_sweep_that_lost_its_store_exits_one_with_one_sentence(tmp_path):
    code = (
        "import sys, store_samples as samples; from pathlib import Path\n"
        "from retrowalk.errors import RetrowalkError\n"
        "path = Path(sys.argv[1]); writer = samples.create(path); samples.write_blocks(writer, [0])\n"
        "path.rename(path.with_name('moved.zarr'))\n"
        "try:\n    samples.write_blocks(writer, [1])\n"
        "except RetrowalkError as error:\n    print(error); sys.exit(error.exit_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "sweep.zarr"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert LOST in done.stdout


def test_looking_at_a_store_never_refuses_its_writer(tmp_path):
    """Readers look at the lock all the time while sweeps begin and end."""
    path, ended = tmp_path / "sweep.zarr", threading.Event()
    samples.create(path).close()
    seen = []

    def look():
        while not ended.is_set():
            seen.append(store.status(path).writer)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(25):
            samples.create(path).close()
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert seen
