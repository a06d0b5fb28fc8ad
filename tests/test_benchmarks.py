"""The benchmarks run, and all contestants compute the same thing."""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("suite",)
#: First parameters only, so that a test takes a moment.
SMALL = {"link": "logit", "members": 50, "threads": 2, "weeks": 6, "draws": 1, "cases": 2}


@pytest.fixture(autouse=True)
def _import_from_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def timings() -> Iterator[tuple[str, str, str]]:
    sys.path.insert(0, str(ROOT))
    try:
        for module in MODULES:
            for name, found in inspect.getmembers(
                importlib.import_module(f"benchmarks.{module}"), inspect.isclass
            ):
                if found.__module__ == f"benchmarks.{module}":
                    for method in vars(found):
                        if method.startswith(("time_", "peakmem_")):
                            yield module, name, method
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.parametrize(("module", "name", "method"), list(timings()))
def test_asv_classes_run(module: str, name: str, method: str) -> None:
    suite = getattr(importlib.import_module(f"benchmarks.{module}"), name)()
    assert len(suite.params) == len(suite.param_names)
    assert all(len(values) >= 2 for values in suite.params)
    arguments = [SMALL[parameter] for parameter in suite.param_names]
    suite.setup(*arguments)
    assert getattr(suite, method)(*arguments) is None
    if hasattr(suite, "teardown"):
        suite.teardown(*arguments)


def test_contestants_agree_with_the_reference_and_are_timed_in_turns() -> None:
    from benchmarks.peers.contest import Contest

    contest = Contest(130)
    assert 0 <= contest.check() <= 1 / 64
    for seconds in contest.time(2, 2).values():
        assert {"retrowalk", "NumPy"} <= set(seconds)
        assert all(values.shape == (2,) and np.all(values > 0) for values in seconds.values())


def test_check_notices_a_contestant_that_errs() -> None:
    from benchmarks.peers.contest import Contest

    contest = Contest(40)
    follow = contest.numpy.follow

    def wrong(k: int) -> None:
        follow(k)
        contest.numpy.curves[k] *= 1.001

    contest.numpy.follow = wrong
    with pytest.raises(AssertionError, match="Not equal"):
        contest.check()


def test_without_a_compiler_the_contest_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks.peers.contest import Contest

    monkeypatch.setenv("PATH", str(tmp_path))
    alone = Contest(30)
    assert any("no compiler" in words for words in alone.skipped)
    assert not any(name.startswith("C++") for name in alone.time(1, 1)["summaries"])


def test_report_names_each_target_and_its_verdict(tmp_path: Path) -> None:
    from benchmarks.peers import report
    from benchmarks.peers.targets import beside_peers

    fast, slow = np.full(3, 1.0), np.full(3, 40.0)
    summaries = {
        "retrowalk": fast,
        "C++ one pass": slow,
        "C++ one pass, -ffast-math": fast / 9,
        "NumPy": slow,
    }
    trajectories = {"retrowalk": fast, "C++": slow, "C++, 512-bit": fast / 2}
    rows = beside_peers(summaries, trajectories, 0.003)
    assert [row.verdict for row in rows] == ["met", "not measured", "missed"]
    data = {
        "short": True, "machine": report.machine(), "load_before": 1.7, "skipped": ["C++: none"], "rounds": 3,
        "members": 10, "size": 100, "quantile_error": 0.003,
        "seconds": {2: {"summaries": summaries}}, "targets": rows,
    }  # fmt: skip
    report.write(data, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "busy" in page
    assert "on one machine" in page
    assert "| C++ one pass | 4e+08" in page
    assert page.count("| met |") == 1
    assert json.loads((tmp_path / "benchmarks.json").read_text())["targets"][2]["verdict"] == "missed"


def test_whole_runs_and_starts_are_measured() -> None:
    from benchmarks import start
    from benchmarks.peers.targets import many_members, preparing, store_against_memory

    for target in (store_against_memory(2, 20, 1), many_members(200, 1), preparing(2, 1)):
        assert target.measured is not None
        assert target.measured.median > 0
    times = start.measure(1, cold_rounds=0)
    assert set(times) == {"imports", "sweep, warm", "summary"}
    times["sweep, cold"] = times["sweep, warm"] + 3.0
    assert start.compiling(times).median == pytest.approx(3.0)
    assert start.warm_ratio(times).median > 0
    with pytest.raises(RuntimeError, match="No module named"):
        start.run((sys.executable, "-c", "import nothing_of_that_name"), ROOT)


def test_interleaving_turns_the_order_round() -> None:
    from benchmarks.rounds import interleave

    order: list[str] = []
    seconds = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert "".join(order) == "ab" + "ab" + "ba"
    assert all(values.shape == (2,) for values in seconds.values())


def test_core_work_is_the_engine_s_own() -> None:
    """The timed kernels fill what `simulate` returns for the same scenario."""
    import retrowalk
    from retrowalk.simulation.core_work import core_work

    work = core_work(70, count=3, weeks=6)
    scenario = work.prepared.scenario
    work.summarize()
    result = retrowalk.simulate(scenario)
    for k, name in enumerate(scenario.outcomes):
        np.testing.assert_array_equal(result[name].values[0, 0, 0], work.statistics[0][k, 0, 0])
    work.follow()
    assert work.curves.shape == (3, 43, 70)
    assert work.size == 3 * 42 * 70


def test_bench_prints_four_figures() -> None:
    from retrowalk.cli.maintenance import bench

    done = CliRunner().invoke(bench, ["--members", "60", "--json"])
    assert done.exit_code == 0, done.output
    figures: dict[str, Any] = json.loads(done.output)
    assert figures.pop("unit") == "ns per member-outcome-day"
    assert figures.pop("members") == 60
    works = ("summaries", "trajectories")
    expected = {f"{work}, {n}" for work, n in itertools.product(works, ("1 thread", "2 threads"))}
    assert set(figures) == expected
    assert all(value > 0 for value in figures.values())
