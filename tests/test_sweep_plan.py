"""What a sweep says it takes, what it refuses, and that its memory does not grow with its cases."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli_runner import retrowalk as command
from retrowalk import store
from retrowalk.errors import DocumentError, InputError
from retrowalk.scenario import Scenario, cases, parse_scenario
from retrowalk.simulation.memory import PROGRAM, needed_memory, readable, result_bytes
from retrowalk.simulation.table import Shape
from retrowalk.sweeps.plan import plan
from retrowalk.sweeps.runs import plan_sweep, sweep
from retrowalk.sweeps.timing import cut_down, seconds_per_case
from sweep_samples import SWEPT, swept

GIB = 2**30
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
#: About 15 GB a case.
HUGE = "record: members\n" + swept(steps=2, size=1_000_000, draws=80)
LIMITED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30)); "
    "from retrowalk.cli import main; sys.argv[0] = 'retrowalk'; sys.exit(main())"
)


def limited(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line with 8 GB of address space."""
    return subprocess.run([sys.executable, "-c", LIMITED, *words], cwd=cwd, capture_output=True, text=True,
                          check=False)  # fmt: skip


def test_a_plan_counts_what_the_store_will_hold(tmp_path):
    scenario = parse_scenario(SWEPT)
    found = plan_sweep(scenario, store=tmp_path / "a.zarr")
    assert (found.cases, found.arms, found.members, found.draws, found.replicates) == (44, 2, 40, 6, 1)
    sweep(scenario, store=tmp_path / "a.zarr").close()
    done = store.status(tmp_path / "a.zarr")
    assert (done.blocks, done.block) == (found.blocks, found.block)
    assert done.files == found.files <= len(data_of(tmp_path / "a.zarr", "c.*"))
    with store.open_results(tmp_path / "a.zarr") as result:
        assert found.numbers == sum(variable.nbytes for variable in result.data_vars.values())
    assert done.size / 3 < found.disk < 3 * done.size
    again = plan_sweep(scenario, store=tmp_path / "a.zarr")
    assert (again.disk, again.seconds) == (0, 0.0)


def data_of(path: Path, pattern: str) -> list[Path]:
    return list(path.rglob(pattern))


def test_bytes_are_those_of_the_arrays():
    scenario = next(cases(parse_scenario(SWEPT))).scenario
    assert result_bytes(Shape.of(scenario), 3) == 3 * result_bytes(Shape.of(scenario), 1)


@pytest.mark.parametrize(
    ("memory", "disk", "more", "sentence"),
    [
        (GIB // 4, None, "", r"needs about 4\d\d MB of memory, 268 MB are free; --set population.size="),
        (3 * GIB // 2, None, "record: members\n", r"of memory, 1\.61 GB are free; --set record=summaries"),
        (None, 10**5, "", r"on the disk, 100 kB are free; --set draws=\d makes it fit"),
        (None, 10**5, "record: members\n", r"on the disk, 100 kB are free; --set record=summaries"),
        (None, 10**3, "", r"use another disk, or fewer cases"),
    ],
)
def test_what_does_not_fit_is_refused_with_numbers_and_a_way_out(memory, disk, more, sentence):
    text = swept(size=100_000 if memory and more else 40, draws=100) if memory else SWEPT
    with pytest.raises(InputError, match=sentence):
        plan(parse_scenario(more + text), block=4, memory=memory, disk=disk, timed=False).check()


@needs_proc
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("run", "-o", "s.nc"), "this run"),
        (("sweep", "-o", "s.zarr"), "this sweep"),
        (("sweep", "--dry-run"), ""),
    ],
)
def test_what_no_memory_holds_is_refused_before_anything_is_written(tmp_path, words, what):
    (tmp_path / "s.yaml").write_text(HUGE)
    found = limited(*words, "s.yaml", cwd=tmp_path)
    assert found.returncode == 2, found.stderr
    assert re.search(what + r" needs about [\d.]+ GB of memory, [\d.]+ GB are free; --set record=summaries",
                     found.stderr)  # fmt: skip
    assert found.stdout.startswith("8 cases x 2 arms x 1000000 members") is (not what)
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.yaml"]


def test_memory_counts_members_that_are_kept():
    scenario = parse_scenario("record: members\n" + SWEPT)
    big = sized(scenario, 3_000_000)
    kept = result_bytes(Shape.of(big), 1)
    assert needed_memory(big, cases=1, threads=1) > PROGRAM + kept
    assert needed_memory(big, cases=1, threads=1, workers=3) > 3 * needed_memory(big, cases=1, threads=1)
    assert readable(kept) == "1.73 GB"


def sized(scenario: Scenario, size: int) -> Scenario:
    return scenario.model_copy(update={"population": scenario.population.model_copy(update={"size": size})})


def test_too_many_workers_for_the_memory_are_counted():
    found = plan(parse_scenario(SWEPT), block=4, workers=16, timed=False, memory=2 * GIB)
    assert found.problem.endswith("--workers 4 makes it fit")


def test_what_it_advises_does_fit():
    scenario = parse_scenario(swept(size=900_000, draws=100).replace("weeks: 6", "weeks: 50"))
    big = sized(scenario, 9_000_000)
    advised = int(plan(big, block=1, timed=False, memory=GIB).problem.split("population.size=")[1].split()[0])
    assert plan(sized(big, advised), block=1, timed=False, memory=GIB).problem is None


def counted(prepare: float, each: tuple[float, float, float, float]):
    """A stopwatch for a machine whose cases take exactly what the estimate supposes."""

    def stopwatch(scenarios):
        total = 0.0
        for one in scenarios:
            m, d = one.population.size, one.draws
            total += prepare + one.replicates * (each[0] + each[1] * m + each[2] * d + each[3] * m * d)
        return total

    return stopwatch


@pytest.mark.parametrize("each", [(1e-3, 0, 0, 0), (1e-3, 2e-6, 1e-4, 3e-7), (0, 1e-8, 0, 1e-9)])
@pytest.mark.parametrize("sizes", [(40, 1, 1), (5000, 1, 7), (10, 1000, 1), (3_000_000, 500, 4)])
def test_time_grows_with_members_draws_and_replicates(each, sizes):
    size, draws, replicates = sizes
    case = next(cases(parse_scenario(swept(size=40, draws=draws)))).scenario
    case = sized(case, size).model_copy(update={"replicates": replicates})
    stopwatch = counted(2e-3, each)
    of = seconds_per_case([case, case], stopwatch=stopwatch)
    assert of(size) == pytest.approx(stopwatch([case]), rel=1e-6)


def test_what_is_timed_is_small_beside_a_large_case():
    case = sized(next(cases(parse_scenario(swept(draws=1000)))).scenario, 10_000_000)
    spent = []
    stopwatch = counted(0.0, (1e-3, 1e-7, 1e-4, 5e-9))

    def noted(scenarios):
        spent.append(stopwatch(scenarios))
        return spent[-1]

    assert seconds_per_case([case], stopwatch=noted)(10_000_000) > 50
    assert sum(spent) < 2


def test_cutting_a_case_down_changes_its_size_alone():
    case = next(cases(parse_scenario(SWEPT))).scenario
    small = cut_down(case, members=10, draws=2)
    assert (small.population.size, small.draws, small.arms) == (10, 2, case.arms)
    assert cut_down(case, members=10_000, draws=10_000, replicates=9) == case


def test_the_command_line_prints_the_plan_and_refuses_what_does_not_fit(tmp_path):
    (tmp_path / "s.yaml").write_text(SWEPT)
    found = command("sweep", "s.yaml", "-o", "s.zarr", "--dry-run", "--workers", "2", cwd=tmp_path)
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0] == "44 cases x 2 arms x 40 members x 6 draws x 1 replicates"
    assert [line.split(":")[0] for line in lines[3:]] == ["outcomes", "results", "memory", "blocks", "time"]
    assert "with 2 workers" in lines[-1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.yaml"]


def test_combinations_that_make_no_scenario_are_refused_before_the_first_case(tmp_path):
    text = SWEPT.replace(
        "  arms.walking.phases.0.sessions.0.minutes: [10, 20, 30, 40]\n",
        "  arms.walking.phases.0.sessions.0.speed: [0.8, 1.2]\n"
        "  arms.walking.phases.0.sessions.0.grade: [0, 0.1]\n",
    )
    assert len(list(cases(parse_scenario(text)))) == 44
    bad = parse_scenario(text).model_copy()
    broken = bad.sweep.model_copy()
    object.__setattr__(broken, "__pydantic_extra__", {**bad.sweep.axes, "population.size": (10, -1)})
    with pytest.raises(DocumentError, match=r"case \d+ \(.*population.size = -1\)"):
        sweep(bad.model_copy(update={"sweep": broken}), store=tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == []


MEASURED = """
import sys, time
from pathlib import Path
import retrowalk
from retrowalk.scenario import parse_scenario
from sweep_samples import WIDE
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
scenario = parse_scenario(WIDE.replace("STEPS", sys.argv[2]))
start = time.monotonic()
retrowalk.sweep(scenario, store=Path(sys.argv[1]), threads=1).close()
print(peak(), time.monotonic() - start, time.process_time(), sum(1 for _ in Path(sys.argv[1]).rglob("*")))
"""


def measured(path: Path, steps: int) -> tuple[int, float, float, int]:
    """Peak memory, seconds, processor seconds and files of a sweep of ten times as many cases as steps."""
    done = subprocess.run([sys.executable, "-c", MEASURED, path, str(steps)], cwd=Path(__file__).parent,
                          capture_output=True, text=True, check=True)  # fmt: skip
    peak, seconds, busy, files = done.stdout.split()
    return int(peak), float(seconds), float(busy), int(files)


@needs_proc
def test_memory_is_flat_and_what_the_plan_says(tmp_path):
    few, many = measured(tmp_path / "few.zarr", 1)[0], measured(tmp_path / "many.zarr", 200)[0]
    assert many < 1.1 * few
    assert 0.4 * PROGRAM < few < 1.3 * PROGRAM


@needs_proc
@pytest.mark.long
@pytest.mark.timeout(6000)
def test_a_hundred_thousand_cases_take_the_memory_of_a_thousand(tmp_path):
    measured(tmp_path / "warm.zarr", 1)
    found = {cases: measured(tmp_path / f"{cases}.zarr", cases // 10) for cases in (1_000, 10_000, 100_000)}
    for number, (peak, seconds, busy, files) in found.items():
        sys.stdout.write(
            f"{number} cases: {peak / 1e6:.0f} MB, {1e3 * seconds / number:.2f} ms per case "
            f"({1e3 * busy / number:.2f} ms of one processor, starting up included), {files} files\n"
        )
    assert found[100_000][0] < 1.1 * found[1_000][0]
    # In processor time: other work on the machine is no cost of a case.
    assert found[100_000][2] / 10 < 1.1 * found[10_000][2]
    assert found[100_000][3] < 1000
