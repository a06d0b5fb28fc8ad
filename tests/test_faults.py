"""No fault at any system call loses a block, changes a byte or makes a store look whole that is not."""

from __future__ import annotations

import shutil

import pytest

from fault_bench import CHANGES, KINDS, TASKS, a_chunk, judge_words, plain, try_writers, workbench
from fault_injection import SCENARIO, SWEEP, Done, Fault, as_typed, build_shim

#: How many calls of each task are tried on every change; the long form tries all.
TRIED = {"eio": 6, "full": 3, "eintr": 2, "short": 2, "kill": 6, "tear": 2}


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library = build_shim(tmp_path_factory.mktemp("shim"))
    if library is None:
        pytest.skip("FAULT INJECTION NOT RUN: it needs Linux and a C compiler (cc or gcc)")
    return library


@pytest.fixture(scope="module")
def bench(shim):
    with workbench(shim) as ready:
        yield ready


def spread(places: list[int], number: int) -> list[int]:
    """Some of the places, from the first to nearly the last."""
    return places[:: max(1, (len(places) - 1) // (number - 1))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_fault_at_some_calls(bench, task, kind):
    places = bench.places(task, kind)
    assert len(places) >= TRIED[kind]
    tried = TRIED[kind] // 2 + 1 if task.name == "export" else TRIED[kind]
    assert bench.try_all(task, kind, spread(places, tried)) == []


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_fault_at_every_call(bench, task, kind):
    assert bench.try_all(task, kind, bench.places(task, kind)) == []


@pytest.mark.parametrize("change", CHANGES)
def test_two_writers_never_mix_their_results(bench, change):
    places = bench.places(TASKS[0], "hold")
    assert try_writers(bench, change, spread(places, 5)) == []


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("change", CHANGES)
def test_two_writers_never_mix_at_any_call(bench, change):
    assert try_writers(bench, change, bench.places(TASKS[0], "hold")) == []


def test_a_typed_command_is_killed_and_goes_on(shim, tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    log = tmp_path.with_name(f"{tmp_path.name}.log")
    killed = as_typed(shim, SWEEP, tmp_path, log, Fault("kill", 300))
    assert killed.code == -9
    assert plain(tmp_path / "s.zarr") is None
    done = as_typed(shim, SWEEP, tmp_path, log)
    assert done.code == 0, done.err
    assert plain(tmp_path / "s.zarr").sizes["case"] == 3


def test_what_the_injector_does_is_seen(bench, tmp_path):
    """A missing chunk, a traceback and a kill do not pass."""
    shutil.copytree(bench.folder / "seven", tmp_path, dirs_exist_ok=True)
    a_chunk(tmp_path / "s.zarr").unlink()
    done = bench.server.run(("status", "s.zarr"), tmp_path)
    _, wrong = bench.judge_store(TASKS[0], tmp_path / "s.zarr", done)
    assert "plain xarray opens a store that is not whole" in wrong
    assert "exit 0 without the whole result" in wrong
    assert any(words.startswith("--verify: ") for words in wrong)
    assert judge_words(Done(70, "", "Traceback (most recent call last)", ()), Fault("eio", 1))
    assert bench.server.run(SWEEP, tmp_path, Fault("kill", 1)).code in (0, -9)
