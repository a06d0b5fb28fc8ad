"""Large stores keep several blocks in one file: the same promises, with fewer files."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RunError
from retrowalk.store.blocks import FEW, WISHED
from test_store import opens_as_a_whole, without_marks
from test_store_damage import failing_at, flip, truncate
from test_store_hostile import describe, edit
from test_store_resume import (
    test_a_power_cut_after_any_flush_loses_no_finished_block,
    test_a_torn_line_counts_for_nothing,
    test_killed_at_random_moments_it_goes_on_to_the_same_bytes,
    whole,
)

#: Tests that are run here once more, with packs.
__all__ = [
    "test_a_power_cut_after_any_flush_loses_no_finished_block",
    "test_a_torn_line_counts_for_nothing",
    "test_killed_at_random_moments_it_goes_on_to_the_same_bytes",
    "whole",
]
#: Blocks 0 to 3, and 4 and 5.
FIRST, SECOND = "knee_pain/c.0.0.0.0.0", "knee_pain/c.1.0.0.0.0"


@pytest.fixture(scope="module", autouse=True)
def packs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "PACK", 4)
        yield


@pytest.fixture(scope="module")
def packed(tmp_path_factory, packs):
    path = tmp_path_factory.mktemp("packed") / "sweep.zarr"
    samples.finish(path)
    return path


@pytest.fixture
def path(packed, tmp_path):
    return Path(shutil.copytree(packed, tmp_path / "sweep.zarr"))


def pieces(path: Path) -> list[str]:
    return sorted(file.name for file in (path / "knee_pain").iterdir() if file.name != "zarr.json")


def same(path: Path, packed: Path) -> None:
    assert samples.tree(path) == samples.tree(packed)
    assert store.verify(path) == []


def expected(cases) -> xr.Dataset:
    return samples.results(np.concatenate([np.arange(one.start, one.stop) for one in cases]))


def test_a_finished_store_has_one_file_per_pack_that_any_reader_reads(packed):
    assert pieces(packed) == ["c.0.0.0.0.0", "c.1.0.0.0.0"]
    with store.open_results(packed) as dataset:
        xr.testing.assert_identical(without_marks(dataset).load(), samples.results(range(samples.CASES)))
        assert dataset.knee_pain.encoding["chunks"][0] == samples.BLOCK
    plain = xr.open_zarr(packed, consolidated=False, chunks=None)
    np.testing.assert_array_equal(plain.knee_pain, samples.results(range(samples.CASES)).knee_pain)
    np.testing.assert_array_equal(plain.knee_pain[13], samples.results([13]).knee_pain[0])


def test_an_unfinished_store_shows_its_finished_cases_from_packs_and_parts(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [5, 0, 2, 3])
        assert pieces(path)[:4] == [f"part.{block}.0.0.0.0" for block in (0, 2, 3, 5)]
        assert not opens_as_a_whole(path)
        blocks = [writer.layout.cases_of(block) for block in (0, 2, 3, 5)]
        early = store.open_results(path)
        xr.testing.assert_identical(without_marks(early).load(), expected(blocks))
        late = store.open_results(path)
        late.knee_pain[0].load()
        samples.write_blocks(writer, [1])
        assert pieces(path) == ["c.0.0.0.0.0", "part.5.0.0.0.0", "retrowalk.pending.json"]
        # Opened before its parts went into the pack.
        xr.testing.assert_identical(without_marks(late).load(), expected(blocks))
        with store.open_results(path) as dataset:
            blocks = [writer.layout.cases_of(block) for block in (0, 1, 2, 3, 5)]
            xr.testing.assert_identical(without_marks(dataset).load(), expected(blocks))
        assert store.verify(path) == []
        assert not opens_as_a_whole(path)


@pytest.mark.parametrize("order", list(itertools.islice(itertools.permutations(range(6)), 0, 720, 97)))
def test_the_order_of_the_blocks_and_where_it_stopped_change_no_byte(tmp_path, packed, order):
    path = tmp_path / "sweep.zarr"
    for block in order:
        with samples.create(path) as writer:
            samples.write_blocks(writer, [block])
        assert store.verify(path) == []
    samples.finish(path)
    same(path, packed)


@pytest.mark.parametrize(
    ("harm", "kind", "blocks"),
    [
        (lambda file: file.unlink(), "missing", [0, 1, 2, 3]),
        (truncate, "truncated", [3]),
        (flip, "altered", [1]),
        (lambda file: file.write_bytes(file.read_bytes() + b"more"), "altered", [0, 1, 2, 3]),
        (lambda file: file.write_bytes(b"x" + file.read_bytes()[1:]), "altered", [0, 1, 2, 3]),
        (lambda file: file.write_bytes(b""), "truncated", [0, 1, 2, 3]),
    ],
    ids=["missing", "truncated", "flipped", "longer", "index", "empty"],
)
def test_damage_is_named_by_block_and_just_those_are_computed_again(path, packed, harm, kind, blocks):
    harm(path / FIRST)
    assert [(one.file, one.kind, one.block) for one in store.verify(path)] == [
        (FIRST, kind, block) for block in blocks
    ]
    with samples.create(path, repair=True) as writer:
        assert writer.missing() == blocks
        assert not opens_as_a_whole(path)
        left = [block for block in range(4) if block not in blocks]
        assert [name for name in pieces(path) if name.startswith("part")] == [
            f"part.{block}.0.0.0.0" for block in left
        ]
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    same(path, packed)


def test_a_repair_that_is_interrupted_goes_on_without_being_asked_again(path, packed):
    flip(path / FIRST)
    samples.create(path, repair=True).close()
    assert store.status(path).missing == samples.BLOCK
    samples.finish(path)
    same(path, packed)


@pytest.mark.parametrize("count", range(40, 118, 6))
def test_a_disk_that_fails_at_any_write_leaves_a_store_that_goes_on(tmp_path, packed, count):
    path = tmp_path / "sweep.zarr"
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, count, errno.ENOSPC)
        with pytest.raises(RunError, match="the disk or quota is full"):
            samples.finish(path)
    if path.exists():
        assert store.verify(path) == []
        assert store.status(path).missing == 0 or not opens_as_a_whole(path)
    samples.finish(path)
    same(path, packed)


@pytest.mark.parametrize("number", range(8))
def test_a_damaged_line_of_the_manifest_costs_one_block_at_most(path, packed, number):
    file = path / "_retrowalk" / "manifest.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    packs_lost = "pack" in json.loads(lines[number])
    file.write_bytes(b"".join([*lines[:number], b"{" + lines[number], *lines[number + 1 :]]))
    with samples.create(path) as writer:
        assert writer.state == "unfinished"
        assert len(writer.missing()) == (0 if packs_lost else 1)
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    same(path, packed)


def test_damaged_parts_are_never_packed(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 1, 2])
        flip(path / "knee_pain" / "part.1.0.0.0.0")
        assert [one.block for one in store.verify(path)] == [1]
        with pytest.raises(RunError, match=r"the piece knee_pain/part\.1\.0\.0\.0\.0 is damaged; `retrowalk"):
            samples.write_blocks(writer, [3])
    with pytest.raises(RunError, match=r"the piece knee_pain/part\.1\.0\.0\.0\.0 is damaged"):
        store.open_results(path).load()
    with samples.create(path, repair=True) as writer:
        assert writer.missing() == [1, 4, 5]
    samples.finish(path)
    assert store.verify(path) == []


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("pieces",), {}),
        (("pieces", "knee_pain"), 10**9),
        (("pieces", "knee_pain"), 0),
        (("pieces", "knee_pain"), 2),
        (("pack",), 5),
        (("pack",), 2**39),
    ],
)
def test_packs_that_are_not_what_they_claim_are_refused(path, keys, value):
    describe(path, *keys, value=value)
    with pytest.raises(InputError, match=r"not laid out as retrowalk does|is not the one that the store"):
        store.open_results(path)


def test_an_index_somewhere_else_is_refused(path):
    document = json.loads((path / "knee_pain" / "zarr.json").read_text())
    codecs = document["codecs"]
    codecs[0]["configuration"]["index_location"] = "end"
    edit(path / "knee_pain" / "zarr.json", "codecs", value=codecs)
    with pytest.raises(InputError, match="is not the one that the store describes"):
        store.open_results(path)


def test_large_parts_of_several_pieces_are_packed_too(tmp_path):
    rng = np.random.default_rng(7)
    block = xr.Dataset({"o": (("case", "member"), rng.normal(size=(10, 700_000)).astype(np.float32))})
    plan = store.widen(block, xr.Dataset(coords={"case": np.arange(15)}))
    path = tmp_path / "a.zarr"
    with store.create(path, plan, digests={}, block=4, pack=3) as writer:
        assert writer.layout.pieces["o"] > 1
        for number in (3, 1, 0):
            writer.write(number, block.isel(case=slice(0, writer.layout.size_of(number))))
        with store.open_results(path) as dataset:
            np.testing.assert_array_equal(dataset.o.values[4:8], block.o.values[:4])
        writer.write(2, block.isel(case=slice(6, 10)))
        writer.complete()
    assert sorted(file.name for file in (path / "o").glob("[cp]*")) == ["c.0.0", "c.1.0"]
    found = xr.open_zarr(path, consolidated=False, chunks=None).o
    np.testing.assert_array_equal(found[8:12], block.o.values[6:10])
    np.testing.assert_array_equal(found[12:], block.o.values[:3])
    assert store.verify(path) == []


@pytest.mark.parametrize("variables", [8, 28, 104])
@pytest.mark.parametrize("cases", [10, 1_000, 100_000])
@pytest.mark.parametrize("numbers", [40, 5000])
def test_any_number_of_cases_is_hundreds_of_files(variables, cases, numbers):
    one = {f"v{number}": (("case", "x"), np.ones((1, numbers), np.float32)) for number in range(variables)}
    plan = store.widen(xr.Dataset(one), xr.Dataset(coords={"case": np.arange(cases)}))
    block = store.suggest_block(plan, memory=2**24, most=max(1, cases // 32))
    pack = store.suggest_pack(plan, block)
    files = variables * -(-cases // (block * pack))
    in_gigabytes = 4e-9 * variables * cases * numbers
    assert files <= (WISHED if pack > 1 else FEW) or files <= WISHED + variables * in_gigabytes


def test_stores_without_packs_are_described_as_before(tmp_path):
    """A store begun before there were packs goes on."""
    with samples.create(tmp_path / "a.zarr", pack=1) as writer:
        samples.write_blocks(writer, [0])
    file = tmp_path / "a.zarr" / "_retrowalk" / "store.json"
    document = json.loads(file.read_bytes().splitlines()[0])
    assert (document.pop("pack"), document.pop("pieces")) == (1, {})
    body = json.dumps(document).encode()
    file.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")
    with samples.create(tmp_path / "a.zarr") as writer:
        assert writer.finished() == {0}
        writer.blocks.check_reachable()
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    assert len(pieces(tmp_path / "a.zarr")) == samples.BLOCKS
