"""A sweep that is stopped, killed or runs out of disk goes on with the same command to the same bytes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import retrowalk
from cli_runner import SCRIPT
from cli_runner import retrowalk as command
from retrowalk import store
from retrowalk.errors import RunError
from retrowalk.scenario import parse_scenario
from sweep_samples import SLOW, SWEPT, data_of
from test_store import opens_as_a_whole
from test_store_damage import failing_at, flip, small_disk, truncate

__all__ = ["small_disk"]
SWEEP = ("sweep", "s.yaml", "-o", "s.zarr")
posix = pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "sweep.zarr"
    retrowalk.sweep(parse_scenario(SWEPT), store=path).close()
    return path


@pytest.fixture
def place(tmp_path):
    (tmp_path / "s.yaml").write_text(SWEPT)
    return tmp_path


# One process for many kills: the program is loaded once, then a copy of it is killed each time.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import retrowalk
from retrowalk import store
from retrowalk.scenario import parse_scenario
import sweep_samples

scenario, path, rng = parse_scenario(sweep_samples.SWEPT), Path(sys.argv[1]), random.Random(20261122)
retrowalk.sweep(scenario, store=path.with_name("warm.zarr"), threads=1).close()
start = time.monotonic()
retrowalk.sweep(scenario, store=path.with_name("timed.zarr"), threads=1).close()
usual, kept, whole = time.monotonic() - start, [], 0
for kill in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        retrowalk.sweep(scenario, store=path, threads=1).close()
        os._exit(0)
    time.sleep(rng.uniform(0, usual / 2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not path.exists():
        continue
    finished = store.status(path).finished_blocks == store.status(path).blocks
    opens = sweep_samples.opens_plainly(path)
    assert finished or not opens, "an unfinished store opens as a whole"
    assert store.verify(path) == [], "wrong bytes"
    now = store.open_results(path).case.values.tolist()
    assert set(kept) <= set(now), "finished cases were lost"
    kept = now
    if finished and opens:
        assert sweep_samples.data_of(path) == sweep_samples.data_of(path.with_name("timed.zarr"))
        whole += 1
        sweep_samples.remove(path)
        kept = []
retrowalk.sweep(scenario, store=path, threads=1).close()
assert sweep_samples.data_of(path) == sweep_samples.data_of(path.with_name("timed.zarr"))
print(sys.argv[2], "kills,", whole, "sweeps completed between them")
"""


@posix
@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3000)])])
def test_killed_at_random_moments_a_sweep_goes_on_to_the_same_bytes(tmp_path, kills):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "s.zarr", str(kills)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stdout)


def start(place: Path, text: str, *options: str) -> subprocess.Popen[str]:
    (place / "s.yaml").write_text(text)
    process = subprocess.Popen([SCRIPT, *SWEEP, *options], cwd=place, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while not ((place / "s.zarr/_retrowalk/store.json").exists() and store.status(place / "s.zarr").finished):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    return process


def last_words(process: subprocess.Popen[str]) -> str:
    try:
        return process.communicate(timeout=90)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


@posix
@pytest.mark.parametrize(
    ("name", "options"), [("SIGINT", ["--workers", "2"]), ("SIGTERM", ["--threads", "1"])]
)
def test_the_first_signal_ends_after_the_cases_in_hand(place, name, options):
    with start(place, SLOW, *options) as process:
        # As a terminal does: the whole group gets the signal, workers too.
        os.killpg(process.pid, getattr(signal, name))
        said = last_words(process)
    assert process.returncode == 130
    lines = [line for line in said.splitlines() if line]
    assert lines[0] == "retrowalk: ending after the cases in hand; once more (Ctrl-C) ends it at once"
    again = f"Go on with: retrowalk sweep s.yaml -o s.zarr {' '.join(options)}"
    assert f"retrowalk: interrupted; finished cases are kept. {again}" in lines
    found = store.status(place / "s.zarr")
    assert 0 < found.finished < found.total
    assert store.verify(place / "s.zarr") == []


@posix
def test_the_second_signal_ends_at_once_and_the_sweep_goes_on(place):
    with start(place, SLOW, "--threads", "1") as process:
        process.send_signal(signal.SIGINT)
        # Two signals before the first is handled would be one.
        while "once more (Ctrl-C) ends it at once" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = last_words(process)
    assert process.returncode == 130
    assert said.rstrip().endswith("Go on with: retrowalk sweep s.yaml -o s.zarr --threads 1")
    found = store.status(place / "s.zarr")
    assert found.writer is None
    assert found.finished < found.total
    assert store.verify(place / "s.zarr") == []


def test_a_finished_sweep_says_so_and_another_is_refused(place, alone):
    shutil.copytree(alone, place / "s.zarr")
    again = command(*SWEEP, cwd=place)
    assert (again.code, "already holds this sweep, finished" in again.err) == (0, True)
    other = command(*SWEEP, "--seed", "8", cwd=place)
    assert other.code == 2
    assert "holds other results (scenario, seed differ)" in other.err


def test_damage_is_found_and_repaired_by_computing_just_those_blocks(place, alone):
    path = place / "s.zarr"
    shutil.copytree(alone, path)
    shard = path / "knee_pain_change" / "c.0.0.0.0.0.0"
    flip(shard)
    truncate(shard)
    damaged = {one.block for one in store.verify(path)}
    found = command("status", "s.zarr", "--verify", cwd=place)
    assert found.code == 1
    assert found.out.count("damaged: knee_pain_change/c.") == len(damaged) == 2
    assert "--repair" in found.err
    again = command(*SWEEP, "--repair", "--json-progress", cwd=place)
    assert again.code == 0
    done = sum(1 for block in range(11) if block not in damaged)
    assert any(f'"done": {4 * done}' in line for line in again.errors)
    assert command("status", "s.zarr", "--verify", cwd=place).code == 0
    assert data_of(path) == data_of(alone)


def test_a_full_disk_exits_one_and_goes_on_after_space_is_freed(small_disk, alone):
    (small_disk / "s.yaml").write_text(SWEPT)
    remount = ["mount", "-o", "remount,size=6m", small_disk]
    subprocess.run(["mount", "-o", "remount,size=550k", small_disk], check=True)
    # The plan would refuse at once; here the space goes while the sweep runs.
    code = (
        "import shutil, sys; shutil.disk_usage = open; "
        "from retrowalk.cli import main; sys.argv[0] = 'retrowalk'; sys.exit(main())"
    )
    full = subprocess.run([sys.executable, "-c", code, *SWEEP], cwd=small_disk, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert full.returncode == 1, full.stderr
    assert "the disk or quota is full; free some space" in full.stderr
    assert "Go on with: retrowalk sweep s.yaml -o s.zarr" in full.stderr
    assert not opens_as_a_whole(small_disk / "s.zarr")
    subprocess.run(remount, check=True)
    assert command(*SWEEP, cwd=small_disk).code == 0
    assert data_of(small_disk / "s.zarr") == data_of(alone)


def test_a_disk_without_room_is_refused_before_the_first_case(small_disk):
    (small_disk / "s.yaml").write_text(SWEPT.replace("draws: 6", "draws: 600"))
    refused = command(*SWEEP, cwd=small_disk)
    assert refused.code == 2
    assert "on the disk, " in refused.err
    assert "--set draws=" in refused.err
    assert not (small_disk / "s.zarr").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("count", [40, 60, 70, 110])
def test_a_disk_that_errs_at_the_nth_write_leaves_a_sweep_that_goes_on(tmp_path, alone, number, count):
    path, scenario = tmp_path / "s.zarr", parse_scenario(SWEPT)
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, count, number)
        with pytest.raises(RunError):
            retrowalk.sweep(scenario, store=path)
    retrowalk.sweep(scenario, store=path).close()
    assert data_of(path) == data_of(alone)


def test_a_sweep_runs_where_fcntl_signals_and_modes_do_not_exist(place, alone):
    code = (
        "import os, signal, sys; sys.modules['fcntl'] = None; sys.modules['msvcrt'] = None; "
        "sys.modules['resource'] = None; del signal.SIGKILL, signal.SIGTERM, os.sched_getaffinity; "
        "from retrowalk.cli import main; sys.argv[0] = 'retrowalk'; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, *SWEEP], cwd=place, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert data_of(place / "s.zarr") == data_of(alone)


def test_signals_outside_the_main_thread_are_left_alone():
    import threading

    from retrowalk.cli.progress import stopping_in_two_steps

    seen = []

    def run():
        with stopping_in_two_steps("", lambda: None) as stop:
            seen.append(stop())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]


def test_progress_counts_the_cases_that_are_in_the_store(tmp_path):
    path, seen = tmp_path / "s.zarr", []

    def progress(done, total):
        seen.append((done, store.status(path).finished))

    retrowalk.sweep(parse_scenario(SWEPT), store=path, threads=1, progress=progress).close()
    assert len(seen) > 2
    assert all(done == finished for done, finished in seen)


def test_progress_in_a_log_is_a_line_a_minute(capsys):
    from retrowalk.cli.progress import Progress

    now = [0.0]
    with Progress("log", clock=lambda: now[0]) as progress:
        for done in range(100, 400):
            progress(done, 1000)
            now[0] += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == "160 of 1000 cases, 1 cases/s, 14 min left"


def test_speed_is_recorded_beside_the_data(alone):
    assert store.status(alone).seconds_per_case > 0
    (speed := alone / "_retrowalk" / "speed.json").write_text('{"cases": 1e400, "seconds": []}')
    assert store.status(alone).seconds_per_case is None
    with contextlib.suppress(OSError):
        speed.unlink()
    assert store.verify(alone) == []
