"""Sweeps on Dask workers: the same bytes, whoever dies on the way."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pickle
import random
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
from retrowalk.errors import InputError, MissingExtraError, RunError
from retrowalk.scenario import parse_scenario
from retrowalk.simulation.provenance import digests
from retrowalk.sweeps import workers as dasks
from retrowalk.sweeps.plan import template
from sweep_samples import SLOW, SWEPT, data_of, swept

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


@pytest.fixture(scope="module")
def client():
    with dasks.local_client(2) as found:
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "sweep.zarr"
    retrowalk.sweep(parse_scenario(SWEPT), store=path).close()
    return data_of(path)


def pids(client) -> list[int]:
    return [pid for pid in client.run(os.getpid, on_error="ignore").values() if isinstance(pid, int)]


class Killer:
    """A progress callback that kills a worker now and then."""

    def __init__(self, client, times: int) -> None:
        self.client, self.left, self.last = client, times, 0

    def __call__(self, done: int, _total: int) -> None:
        if self.left and done > self.last:
            self.last = done
            self.left -= 1
            os.kill(random.Random(done).choice(pids(self.client)), signal.SIGKILL)


def test_workers_write_the_same_bytes(client, tmp_path, alone):
    path = tmp_path / "sweep.zarr"
    counts = []
    retrowalk.sweep(
        parse_scenario(SWEPT), store=path, client=client, progress=lambda done, _: counts.append(done)
    ).close()
    assert data_of(path) == alone
    assert (counts[0], counts[-1]) == (0, 44)
    assert counts == sorted(counts)


def test_a_killed_worker_costs_nothing_but_time(client, tmp_path, alone):
    path, killer = tmp_path / "sweep.zarr", Killer(client, 1)
    retrowalk.sweep(parse_scenario(SWEPT), store=path, client=client, progress=killer).close()
    assert killer.left == 0
    assert data_of(path) == alone
    assert store.verify(path) == []


def test_a_sweep_may_change_its_crew(client, tmp_path, alone):
    path, stops = tmp_path / "sweep.zarr", itertools.count()
    with pytest.raises(RunError, match="finished cases are kept"):
        retrowalk.sweep(parse_scenario(SWEPT), store=path, stop=lambda: next(stops) >= 3)
    assert store.status(path).finished_blocks == 3
    retrowalk.sweep(parse_scenario(SWEPT), store=path, client=client).close()
    assert data_of(path) == alone


def test_a_stopped_cluster_sweep_ends_soon_and_goes_on(client, tmp_path):
    path, begun = tmp_path / "sweep.zarr", []
    with pytest.raises(RunError, match="stopped"):
        retrowalk.sweep(parse_scenario(SLOW), store=path, client=client, stop=lambda: bool(begun),
                        progress=lambda done, _: begun.append(done) if done else None)  # fmt: skip
    assert 1 <= store.status(path).finished_blocks <= 6
    assert store.status(path).state == "unfinished"
    assert store.verify(path) == []


def test_few_blocks_are_in_flight(client, tmp_path, monkeypatch):
    futures, in_flight = [], []
    submit = client.submit

    def counting(*args, **options):
        futures.append(submit(*args, **options))
        in_flight.append(sum(not future.done() for future in futures))
        return futures[-1]

    monkeypatch.setattr(client, "submit", counting)
    retrowalk.sweep(parse_scenario(SWEPT), store=tmp_path / "a.zarr", client=client).close()
    assert 1 <= max(in_flight) <= 2 * (1 + dasks.AHEAD)


def test_an_error_of_ours_on_a_worker_is_the_same_sentence(client, tmp_path):
    text = SWEPT.replace("knee_oa", "school_boys").replace("knee_pain, ", "knee_pain, balance, ")
    with pytest.raises(InputError) as here:
        retrowalk.sweep(parse_scenario(text), store=tmp_path / "a.zarr").close()
    with pytest.raises(InputError) as there:
        retrowalk.sweep(parse_scenario(text), store=tmp_path / "b.zarr", client=client).close()
    assert str(there.value) == str(here.value)


def test_a_worker_that_does_not_see_the_store_says_so(tmp_path):
    scenario = parse_scenario(SWEPT)
    with store.create(tmp_path / "a.zarr", template(scenario), digests=digests(scenario), block=4) as writer:
        sent = pickle.dumps(writer.blocks)
    other = scenario.model_copy(update={"seed": 8})
    with pytest.raises(RunError, match=r"would compute other results \(scenario, seed\)"):
        dasks.run_block(other.canonical_json(), pickle.loads(sent), 0)
    shutil.rmtree(tmp_path / "a.zarr")
    for stranger in (False, True):
        if stranger:
            # Another store of the same results at the same place is another store.
            retrowalk.sweep(scenario, store=tmp_path / "a.zarr").close()
            before = data_of(tmp_path / "a.zarr")
        with pytest.raises(RunError, match="does not see this store; all workers need the same shared"):
            dasks.run_block(scenario.canonical_json(), pickle.loads(sent), 0)
    assert data_of(tmp_path / "a.zarr") == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 2, "scheduler": "tcp://x:1"}, "workers and scheduler: give one of them"),
        ({"workers": 2, "threads": 2}, "workers have one thread each; leave threads out"),
        ({"workers": 0}, "0 processes cannot be started"),
    ],
)
def test_contradictions_are_refused_before_anything_starts(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        retrowalk.sweep(parse_scenario(SWEPT), store=tmp_path / "a.zarr", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_said_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'retrowalk\[dask\]'"):
        retrowalk.sweep(parse_scenario(SWEPT), store=tmp_path / "a.zarr", workers=2)


def test_no_scheduler_is_one_sentence(tmp_path):
    timeout = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with timeout, pytest.raises(RunError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        retrowalk.sweep(parse_scenario(SWEPT), store=tmp_path / "a.zarr", scheduler="tcp://127.0.0.1:9")


def test_a_lost_scheduler_leaves_a_sweep_that_goes_on(tmp_path):
    (tmp_path / "slow.yaml").write_text(SLOW)
    address = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
            "--no-dashboard", "--scheduler-file", address]  # fmt: skip
    with subprocess.Popen(dask, stderr=subprocess.DEVNULL) as scheduler:
        wait_for(address.exists)
        where = json.loads(address.read_text())["address"]
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", where, "--nthreads", "1",
                  "--no-dashboard", "--death-timeout", "5", "--no-nanny"]  # fmt: skip
        with subprocess.Popen(worker, stderr=subprocess.DEVNULL, cwd=tmp_path) as crew:
            words = [SCRIPT, "sweep", "slow.yaml", "-o", "slow.zarr", "--scheduler", where]
            with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as sweep:
                wait_for(lambda: finished_blocks(tmp_path / "slow.zarr") >= 1)
                scheduler.kill()
                said = sweep.communicate(timeout=90)[1]
            crew.kill()
    assert sweep.returncode == 1
    last = said.splitlines()[-1]
    assert "Dask scheduler" in last
    assert f"Go on with: retrowalk sweep slow.yaml -o slow.zarr --scheduler {where}" in last
    assert "Traceback" not in said
    kept = store.status(tmp_path / "slow.zarr").finished_blocks
    assert 1 <= kept < store.status(tmp_path / "slow.zarr").blocks
    assert store.verify(tmp_path / "slow.zarr") == []


def finished_blocks(path: Path) -> int:
    return store.status(path).finished_blocks if (path / "_retrowalk" / "store.json").exists() else 0


def test_workers_of_one_sweep_are_closed_to_everybody_else(client):
    address = client.scheduler.address
    assert address.startswith("tls://")

    def knock(at, security):
        # No client: one that could not be built waits for itself when it is collected.
        async def connect():
            comm = await distributed.comm.connect(at, timeout=1, **security.get_connection_args("client"))
            await comm.close()

        asyncio.run(connect())

    for spoken in (address, address.replace("tls://", "tcp://")):
        with pytest.raises((OSError, TypeError, ValueError)):
            knock(spoken, distributed.Security())
    with pytest.raises(OSError, match="TLS"):
        knock(address, distributed.Security.temporary())
    knock(address, client.security)


@pytest.mark.parametrize("delay", [0.0, 0.7, 1.5])
def test_an_interrupt_while_workers_start_is_one_line(tmp_path, delay):
    (tmp_path / "slow.yaml").write_text(SLOW)
    words = [SCRIPT, "sweep", "slow.yaml", "-o", "slow.zarr", "--workers", "2"]
    # A group of its own, to which a terminal would send the signal.
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                          start_new_session=True) as sweep:  # fmt: skip
        wait_for((tmp_path / "slow.zarr").exists)
        time.sleep(delay)
        os.killpg(sweep.pid, signal.SIGINT)
        said = sweep.communicate(timeout=90)[1]
    assert sweep.returncode == 130
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line and "once more" not in line]
    assert len(lines) == 1, said
    assert "interrupted; finished cases are kept" in lines[0]


def wait_for(ready, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_500_cases_on_four_workers_one_killed_every_ten_seconds(tmp_path):
    scenario = parse_scenario(swept(steps=125, size=20_000, draws=100))
    retrowalk.sweep(scenario, store=tmp_path / "alone.zarr").close()
    with dasks.local_client(4) as client:
        last, kills = [time.monotonic()], [0]

        def kill(_done: int, _total: int) -> None:
            if time.monotonic() - last[0] > 10:
                last[0] = time.monotonic()
                os.kill(random.Random(kills[0]).choice(pids(client)), signal.SIGKILL)
                kills[0] += 1

        retrowalk.sweep(scenario, store=tmp_path / "sweep.zarr", client=client, progress=kill).close()
    assert kills[0] >= 3
    assert data_of(tmp_path / "sweep.zarr") == data_of(tmp_path / "alone.zarr")
    assert store.verify(tmp_path / "sweep.zarr") == []
    sys.stdout.write(f"{kills[0]} workers killed, 500 cases identical\n")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_workers_do_more_than_one(tmp_path):
    scenario = parse_scenario(swept(steps=150, size=5_000, draws=100))
    seconds, busy = {}, {}
    for workers in (1, 2) * 3:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
        with dasks.local_client(workers) as client:
            # Kernels are read from the cache once per process; that is no part of the rate.
            retrowalk.sweep(parse_scenario(SWEPT), store=tmp_path / f"{path.stem}-warm.zarr", client=client)
            before, start = processor_seconds(client), time.monotonic()
            retrowalk.sweep(scenario, store=path, client=client).close()
            seconds[workers] = min(seconds.get(workers, 1e9), time.monotonic() - start)
            spent = [after - first for after, first in zip(processor_seconds(client), before, strict=True)]
            busy[workers] = min(busy.get(workers, [1e9]), spent, key=sum)
    ratio = seconds[1] / seconds[2]
    # What two processors that do nothing else allow: the leader of the sweep needs a little of one of them.
    possible = 2 * busy[1][0] / sum(busy[2])
    sys.stdout.write(
        f"one worker {seconds[1]:.1f} s, two {seconds[2]:.1f} s, ratio {ratio:.2f}; processor seconds of "
        f"workers and leader: {busy[1][0]:.1f} and {busy[1][1]:.1f} with one, {busy[2][0]:.1f} and "
        f"{busy[2][1]:.1f} with two, which allow {possible:.2f}; load {os.getloadavg()[0]:.1f}\n"
    )
    assert possible >= 1.7
    # Wall time says something only while nothing else runs here.
    quiet = (sum(busy[1]) + sum(busy[2])) / (seconds[1] + 2 * seconds[2]) > 0.9
    assert ratio >= 1.7 or not quiet


def processor_seconds(client) -> list[float]:
    return [sum(client.run(time.process_time).values()), time.process_time()]


def test_the_command_line_starts_workers(tmp_path, alone):
    (tmp_path / "s.yaml").write_text(SWEPT)
    done = command("sweep", "s.yaml", "-o", "s.zarr", "--workers", "2", "--json-progress", cwd=tmp_path)
    assert done.code == 0
    assert data_of(tmp_path / "s.zarr") == alone
    events = [json.loads(line) for line in done.errors if line.startswith("{")]
    assert [events[0]["event"], events[-1]["event"]] == ["started", "finished"]
    assert (events[-1]["done"], events[-1]["total"]) == (44, 44)
