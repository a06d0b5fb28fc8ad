"""What a sweep says it takes, what it refuses, and that its memory does not grow with its cases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli_runner import retrowalk as command
from retrowalk import store
from retrowalk.errors import DocumentError, InputError
from retrowalk.scenario import cases, parse_scenario
from retrowalk.simulation.table import Shape
from retrowalk.sweeps import plan as machine
from retrowalk.sweeps.plan import bytes_of, plan
from retrowalk.sweeps.runs import plan_sweep, sweep
from sweep_samples import SWEPT, swept

GIB = 2**30


def test_a_plan_counts_what_the_store_will_hold(tmp_path):
    scenario = parse_scenario(SWEPT)
    found = plan_sweep(scenario, store=tmp_path / "a.zarr")
    assert (found.cases, found.arms, found.members, found.draws, found.replicates) == (44, 2, 40, 6, 1)
    sweep(scenario, store=tmp_path / "a.zarr").close()
    done = store.status(tmp_path / "a.zarr")
    assert (done.blocks, done.block) == (found.blocks, found.block)
    layout = store.check.read_layout(tmp_path / "a.zarr")
    assert sum(len(layout.files_of(block)) for block in range(layout.blocks)) == found.files
    with store.open_results(tmp_path / "a.zarr") as result:
        assert found.numbers == sum(variable.nbytes for variable in result.data_vars.values())
    assert done.size / 3 < found.disk < 3 * done.size
    again = plan_sweep(scenario, store=tmp_path / "a.zarr")
    assert (again.disk, again.seconds) == (0, 0.0)


def test_bytes_are_those_of_the_arrays():
    scenario = next(cases(parse_scenario(SWEPT))).scenario
    assert bytes_of(Shape.of(scenario), 3) == 3 * bytes_of(Shape.of(scenario), 1)


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
def test_what_does_not_fit_is_refused_with_numbers_and_a_way_out(
    tmp_path, monkeypatch, memory, disk, more, sentence
):
    monkeypatch.setattr(machine, "free_memory", lambda: memory)
    monkeypatch.setattr(machine, "free_disk", lambda _store: disk)
    text = swept(size=100_000 if memory and more else 40, draws=100) if memory else SWEPT
    with pytest.raises(InputError, match=sentence):
        sweep(parse_scenario(more + text), store=tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == []


def test_too_many_workers_for_the_memory_are_counted(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 2 * GIB)
    found = plan(parse_scenario(SWEPT), block=4, workers=16, timed=False)
    assert found.problem(parse_scenario(SWEPT)).endswith("--workers 4 makes it fit")


def test_what_it_advises_does_fit(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: GIB)
    scenario = parse_scenario(swept(size=900_000, draws=100).replace("weeks: 6", "weeks: 50"))
    big = scenario.model_copy(
        update={"population": scenario.population.model_copy(update={"size": 9_000_000})}
    )
    advised = int(plan(big, block=1, timed=False).problem(big).split("population.size=")[1].split()[0])
    small = big.model_copy(update={"population": big.population.model_copy(update={"size": advised})})
    assert plan(small, block=1, timed=False).problem(small) is None


def test_the_command_line_prints_the_plan_and_refuses_what_does_not_fit(tmp_path):
    (tmp_path / "s.yaml").write_text(SWEPT)
    found = command("sweep", "s.yaml", "-o", "s.zarr", "--dry-run", "--workers", "2", cwd=tmp_path)
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0] == "44 cases x 2 arms x 40 members x 6 draws x 1 replicates"
    assert [line.split(":")[0] for line in lines[3:]] == ["outcomes", "results", "memory", "blocks", "time"]
    assert "with 2 workers" in lines[-1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.yaml"]


def test_a_plan_that_does_not_fit_is_printed_and_refused(monkeypatch, capsys):
    from retrowalk.cli.running import show_plan

    monkeypatch.setattr(machine, "free_memory", lambda: GIB)
    scenario = parse_scenario("record: members\n" + swept(size=100_000, draws=100))
    with pytest.raises(InputError, match="--set record=summaries"):
        show_plan(scenario, None, threads=1, workers=None)
    assert capsys.readouterr().out.startswith("44 cases x 2 arms x 100000 members")


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


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@needs_proc
def test_memory_is_flat_and_what_the_plan_says(tmp_path):
    few, many = measured(tmp_path / "few.zarr", 1)[0], measured(tmp_path / "many.zarr", 200)[0]
    assert many < 1.1 * few
    assert 0.4 * machine.PROGRAM < few < 1.3 * machine.PROGRAM


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
