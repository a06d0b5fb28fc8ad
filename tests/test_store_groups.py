"""Finished blocks are put together by groups: the same promises whatever the size of a group."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError, RunError
from retrowalk.scenario import parse_scenario
from retrowalk.simulation.table import Shape, Table, imagine, tabulate
from retrowalk.store import format as names
from retrowalk.store.layout import Layout, suggest_group
from retrowalk.sweeps.plan import BLOCK_BYTES, most_per_block, template
from sweep_samples import SWEPT, swept
from test_store import opens_as_a_whole, without_marks
from test_store_damage import failing_at, flip, truncate
from test_store_resume import (
    test_a_power_cut_after_any_flush_loses_no_finished_block,
    test_a_torn_line_counts_for_nothing,
    test_killed_at_random_moments_it_goes_on_to_the_same_bytes,
    whole,
)

#: Tests that are run here once more, with other groups.
__all__ = [
    "test_a_power_cut_after_any_flush_loses_no_finished_block",
    "test_a_torn_line_counts_for_nothing",
    "test_killed_at_random_moments_it_goes_on_to_the_same_bytes",
    "whole",
]
#: Blocks 0 to 3, and 4 and 5.
FIRST, SECOND = "knee_pain/c.0.0.0.0.0", "knee_pain/c.1.0.0.0.0"


@pytest.fixture(scope="module", autouse=True)
def groups():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "GROUP", 4)
        yield


@pytest.fixture(scope="module")
def grouped(tmp_path_factory, groups):
    path = tmp_path_factory.mktemp("grouped") / "sweep.zarr"
    samples.finish(path)
    return path


@pytest.fixture
def path(grouped, tmp_path):
    return Path(shutil.copytree(grouped, tmp_path / "sweep.zarr"))


def shards(path: Path) -> list[str]:
    return sorted(file.name for file in (path / "knee_pain").glob("c.*"))


def waiting(path: Path) -> list[int]:
    return [int(file.name.partition("-")[0]) for file in samples.block_files(path)]


def same(path: Path, grouped: Path) -> None:
    assert samples.tree(path) == samples.tree(grouped)
    assert store.verify(path) == []
    assert waiting(path) == []


def expected(cases) -> xr.Dataset:
    return samples.results(np.concatenate([np.arange(one.start, one.stop) for one in cases]))


def test_a_finished_store_has_one_file_per_group_that_any_reader_reads(grouped):
    assert shards(grouped) == ["c.0.0.0.0.0", "c.1.0.0.0.0"]
    with store.open_results(grouped) as dataset:
        xr.testing.assert_identical(without_marks(dataset).load(), samples.results(range(samples.CASES)))
    plain = xr.open_zarr(grouped, consolidated=False, chunks=None)
    np.testing.assert_array_equal(plain.knee_pain, samples.results(range(samples.CASES)).knee_pain)
    np.testing.assert_array_equal(plain.knee_pain[13], samples.results([13]).knee_pain[0])


def test_an_unfinished_store_shows_its_finished_cases_from_shards_and_blocks(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [5, 0, 2, 3])
        assert waiting(path) == [0, 2, 3, 5]
        assert not opens_as_a_whole(path)
        blocks = [writer.layout.cases_of(block) for block in (0, 2, 3, 5)]
        with store.open_results(path) as dataset:
            xr.testing.assert_identical(without_marks(dataset).load(), expected(blocks))
        samples.write_blocks(writer, [1])
        assert (shards(path), waiting(path)) == (["c.0.0.0.0.0"], [5])
        with store.open_results(path) as dataset:
            blocks = [writer.layout.cases_of(block) for block in (0, 1, 2, 3, 5)]
            xr.testing.assert_identical(without_marks(dataset).load(), expected(blocks))
        assert store.verify(path) == []
        assert not opens_as_a_whole(path)


def test_what_was_opened_before_its_blocks_were_put_together_goes_on_being_read(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 2, 3])
        early = store.open_results(path)
        early.knee_pain[0].load()
        samples.write_blocks(writer, [1])
        blocks = [writer.layout.cases_of(block) for block in (0, 2, 3)]
        xr.testing.assert_identical(without_marks(early).load(), expected(blocks))


@pytest.mark.parametrize("order", list(itertools.islice(itertools.permutations(range(6)), 0, 720, 97)))
def test_the_order_of_the_blocks_and_where_it_stopped_change_no_byte(tmp_path, grouped, order):
    path = tmp_path / "sweep.zarr"
    for block in order:
        with samples.create(path) as writer:
            samples.write_blocks(writer, [block])
        assert store.verify(path) == []
    samples.finish(path)
    same(path, grouped)


@pytest.mark.parametrize(
    ("harm", "kind", "blocks"),
    [
        (lambda file: file.unlink(), "missing", [0, 1, 2, 3]),
        (truncate, "truncated", [3]),
        (flip, "altered", [1]),
        (lambda file: file.write_bytes(file.read_bytes() + b"more"), "altered", [0]),
        (lambda file: file.write_bytes(b"x" + file.read_bytes()[1:]), "altered", [0]),
        (lambda file: file.write_bytes(b""), "truncated", [0, 1, 2, 3]),
    ],
    ids=["missing", "truncated", "flipped", "longer", "index", "empty"],
)
def test_damage_is_named_by_block_and_just_those_are_computed_again(path, grouped, harm, kind, blocks):
    harm(path / FIRST)
    assert [(one.file, one.kind, one.block) for one in store.verify(path)] == [
        (FIRST, kind, block) for block in blocks
    ]
    with samples.create(path, repair=True) as writer:
        assert writer.missing() == blocks
        assert not opens_as_a_whole(path)
        assert waiting(path) == [block for block in range(4) if block not in blocks]
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    same(path, grouped)


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), truncate], ids=["missing", "truncated"])
def test_a_store_that_lost_files_is_not_taken_for_finished_by_its_sweep(path, grouped, harm):
    """The sizes of recorded files are compared on takeover, without being asked to repair."""
    harm(path / SECOND)
    with samples.create(path) as writer:
        assert writer.state == "unfinished"
        assert set(writer.missing()) <= {4, 5}
        assert writer.missing()
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    same(path, grouped)


@pytest.mark.parametrize("harm", [Path.unlink, truncate, flip], ids=["missing", "truncated", "altered"])
def test_a_lost_record_of_a_group_costs_its_blocks(path, grouped, harm):
    harm(sorted((path / "_retrowalk" / "groups").iterdir())[1])
    assert {one.block for one in store.verify(path)} == {4, 5}
    with pytest.raises(RunError, match="is damaged or missing; `retrowalk status"):
        store.open_results(path).load()
    samples.finish(path, repair=True)
    same(path, grouped)


def test_a_repair_that_is_interrupted_goes_on_without_being_asked_again(path, grouped):
    flip(path / FIRST)
    samples.create(path, repair=True).close()
    assert store.status(path).missing == samples.BLOCK
    samples.finish(path)
    same(path, grouped)


@pytest.mark.parametrize("count", range(20, 84, 6))
def test_a_disk_that_fails_at_any_write_leaves_a_store_that_goes_on(tmp_path, grouped, count):
    path = tmp_path / "sweep.zarr"
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, count, errno.ENOSPC)
        with pytest.raises(RunError, match="the disk or quota is full"):
            samples.finish(path)
    if path.exists():
        assert store.verify(path) == []
        assert store.status(path).missing == 0 or not opens_as_a_whole(path)
    samples.finish(path)
    same(path, grouped)


def test_a_damaged_line_of_the_manifest_costs_its_group_at_most(path, grouped):
    file = path / "_retrowalk" / "manifest.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if json.loads(line).get("group") == 0)
    file.write_bytes(b"".join([*lines[:number], b"{" + lines[number], *lines[number + 1 :]]))
    with samples.create(path) as writer:
        assert writer.state == "unfinished"
        assert writer.missing() == [0, 1, 2, 3]
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    same(path, grouped)


def test_damaged_blocks_are_never_put_together(tmp_path, grouped):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 1, 2])
        file = samples.block_files(path)[1]
        truncate(file)
        file.write_bytes(file.read_bytes() + b"x")
        assert [one.block for one in store.verify(path)] == [1]
        with pytest.raises(RunError, match="is damaged; give the same command again with --repair"):
            samples.write_blocks(writer, [3])
    with pytest.raises(RunError, match=r"the piece _retrowalk/blocks/.* is damaged"):
        store.open_results(path).load()
    with samples.create(path, repair=True) as writer:
        assert writer.missing() == [1, 4, 5]
    samples.finish(path)
    same(path, grouped)


def test_records_of_blocks_are_compared_too(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0, 1])
    file = samples.block_files(path)[0]
    data = bytearray(file.read_bytes())
    data[60] ^= 1
    file.write_bytes(data)
    assert [(one.kind, one.block) for one in store.verify(path)] == [("altered", 0)]
    with pytest.raises(RunError, match="is damaged or missing"):
        store.open_results(path).load()


def test_blocks_exchanged_with_each_other_or_another_store_are_never_read(tmp_path, grouped):
    paths = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    for path, blocks in zip(paths, ([0, 1], [0]), strict=True):
        with samples.create(path) as writer:
            samples.write_blocks(writer, blocks)
    first, second = samples.block_files(paths[0])
    (other,) = samples.block_files(paths[1])
    kept = first.read_bytes()
    for stranger in (second.read_bytes(), other.read_bytes()):
        first.write_bytes(stranger)
        with pytest.raises(RunError, match="is damaged or missing"):
            store.open_results(paths[0]).knee_pain.load()
    first.write_bytes(kept)
    # Lines of another store's manifest count for nothing.
    own, strange = (path / "_retrowalk" / "manifest.jsonl" for path in paths)
    own.write_bytes(strange.read_bytes())
    assert store.status(paths[0]).finished == 0


def test_shards_exchanged_give_no_other_cases_numbers(path):
    first, second = path / FIRST, path / "knee_pain" / "c.0.0.0.0.0"
    shutil.copy(path / SECOND, tmp := path.parent / "tmp")
    shutil.copy(first, path / SECOND)
    shutil.copy(tmp, second)
    # Pieces are read side by side: which of the two is named first is a matter of luck.
    with pytest.raises(RunError, match=r"the piece knee_pain/c\.[01]\.0.0.0.0 is damaged"):
        store.open_results(path).knee_pain.load()
    # Other variables are not read for it.
    store.open_results(path).assessed.load()


def planned(cases: int, outcomes: int, draws: int, arms: int) -> Table:
    """The template of a sweep, without the members."""
    every = "knee_pain, disability, quadriceps_strength, balance, stride_length, walking_speed, "
    every += "backward_walking_speed, timed_up_and_go, vo2max, oxygen_cost_forward, oxygen_cost_backward, "
    every += "body_fat, cognition"
    chosen = every.split(", ")[:outcomes]
    scenario = parse_scenario(swept(draws=draws))
    shape = Shape.of(scenario)
    shape = Shape(
        shape.draws,
        1,
        tuple(f"arm_{number}" for number in range(arms)),
        tuple(chosen),
        (0, 14, 28, 42, 70),
        0,
    )
    one = tabulate(imagine(Shape.of(parse_scenario(SWEPT)), 1), scenario, {"case": [0]}, [], {})
    data = {
        f"v{number}": type(one["knee_pain"])(
            ("case", *(f"d{axis}" for axis in range(values.ndim - 1))), values
        )
        for number, values in enumerate(imagine(shape, 1).values())
    }
    case = {"case": type(one["knee_pain"])(("case",), np.broadcast_to(np.int64(0), (cases,)))}
    return Table(data, {}, {}).widened(case)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10**6), st.integers(1, 13), st.integers(1, 1000), st.integers(1, 4), st.integers(1, 256)
)
def test_what_can_be_planned_can_be_read(cases, outcomes, draws, arms, most):
    """Limits of the reader hold for any layout, by calculation: nothing is written."""
    plan = planned(cases, outcomes, draws, arms)
    block = store.suggest_block(plan, memory=BLOCK_BYTES, most=most)
    group, blocks = suggest_group(plan, block), -(-cases // block)
    files = store.suggest_files(plan, block)
    assert 1 <= group <= blocks
    assert files == -(-blocks // group) * len(plan.data_vars)
    assert files + blocks % group + group < names.MAX_ENTRIES
    largest = max(values.dtype.itemsize * values.values[:1].size for values in plan.data_vars.values())
    assert min(cases, group * block) * largest < names.MAX_FILE
    # A line of the manifest for each group, and for each block that waits, of some hundred bytes each.
    assert blocks <= 10**6


@pytest.mark.parametrize(("outcomes", "most"), [(3, 4000), (13, 10_000)])
def test_a_hundred_thousand_cases_stay_below_ten_thousand_files(outcomes, most):
    plan = planned(100_000, outcomes, 100, 2)
    block = store.suggest_block(plan, memory=BLOCK_BYTES, most=256)
    assert store.suggest_files(plan, block) <= most


def test_thousands_of_records_are_read_back(tmp_path):
    """13 outcomes, 20 001 cases in blocks of one: what once reached a limit and could not be opened."""
    path, cases = tmp_path / "a.zarr", 20_001
    one = xr.Dataset({f"v{number}": (("case",), np.zeros(1, np.float32)) for number in range(143)})
    plan = store.widen(one, xr.Dataset(coords={"case": np.arange(cases)}))
    with store.create(path, plan, digests={}, block=1, group=cases) as writer:
        record = writer.blocks.write(0, plan.isel(case=[0]))
        line = record.entry()
        with (path / "_retrowalk" / "manifest.jsonl").open("ab") as manifest:
            for block in range(cases):
                entry = {"store": writer.layout.store} | line | {"block": block}
                manifest.write(json.dumps(entry).encode() + b"\n")
    found = store.status(path)
    assert (found.finished, found.missing) == (cases, 0)


def test_a_manifest_of_too_many_lines_or_bytes_is_refused(path):
    file = path / "_retrowalk" / "manifest.jsonl"
    lines = file.read_bytes()
    file.write_bytes(b"{}\n" * 5000)
    with pytest.raises(InputError, match="a manifest of 5000 lines is not one of this store"):
        store.status(path)
    file.write_bytes(lines + b" " * 2**22)
    with pytest.raises(InputError, match="a manifest of 4 MiB is not one of this store"):
        store.status(path)


@pytest.mark.parametrize(("keys", "value"), [(("group",), 7), (("group",), 2**39), (("block",), 23)])
def test_groups_that_are_not_what_they_claim_are_refused(path, keys, value):
    from test_store_hostile import describe

    describe(path, *keys, value=value)
    with pytest.raises(InputError, match=r"not laid out as retrowalk does|is not what retrowalk writes"):
        store.open_results(path)


def test_plans_and_stores_agree_on_the_files(tmp_path):
    scenario = parse_scenario(SWEPT)
    shape = template(scenario)
    block = store.suggest_block(shape, memory=BLOCK_BYTES, most=most_per_block(scenario))
    with store.create(tmp_path / "a.zarr", shape, digests={}, block=block) as writer:
        layout: Layout = writer.layout
    assert store.status(tmp_path / "a.zarr").files == store.suggest_files(shape, block)
    assert layout.groups * len(layout.variables) == store.suggest_files(shape, block)
