"""What is attacked with `fault_injection`, and the judgement of what each fault left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_injection import EXPORT, SCENARIO, SWEEP, UNDISTURBED, Done, Fault, Server

#: Kinds of damage; see `fault_shim.c`.
KINDS = ("eio", "full", "eintr", "short", "kill", "tear")
#: Kinds after which the process is gone.
DEADLY = ("kill", "tear")
#: Calls that only some kinds concern.
CONCERNED = {
    "eintr": {"open", "write", "fsync", "fdatasync", "ftruncate", "flock", "lock"},
    "full": {"open", "write", "mkdir", "link"},
    "short": {"write"},
    "tear": {"write"},
}


@dataclass(frozen=True)
class Task:
    """A command on a folder in a known state.

    Parameters
    ----------
    name : str
        What it is about.
    start : str or None
        Which of the `Stores` lies at ``s.zarr`` at first.
    words : tuple of str
        The command.
    again : tuple of str
        The command that mends whatever a fault left behind.
    """

    name: str
    start: str | None
    words: tuple[str, ...]
    again: tuple[str, ...]


TASKS = (
    Task("sweep", None, SWEEP, SWEEP),
    Task("resume", "unfinished", SWEEP, SWEEP),
    Task("repair", "damaged", (*SWEEP, "--repair"), (*SWEEP, "--repair")),
    Task("overwrite", "eight", (*SWEEP, "--overwrite"), (*SWEEP, "--overwrite")),
    Task("export", "seven", EXPORT, (*EXPORT, "--overwrite")),
)


@dataclass(frozen=True)
class Finding:
    """Cases that are finished after a fault, and what is not as promised."""

    finished: int
    wrong: tuple[str, ...]


class Bench:
    """Stores in known states, and the judgement of what a fault made of them."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self._number = server, folder, 0
        calls = self._make("seven", SWEEP).calls
        self._make("eight", (*SWEEP, "--seed", "8"))
        # Killed in the middle of its second block.
        self._make("unfinished", SWEEP, Fault("kill", len(calls) * 3 // 5), code=-signal.SIGKILL)
        shutil.copytree(folder / "seven", folder / "damaged")
        chunk = a_chunk(folder / "damaged/s.zarr")
        damaged = bytearray(chunk.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        chunk.write_bytes(damaged)
        self.right = {7: plain(folder / "seven/s.zarr"), 8: plain(folder / "eight/s.zarr")}
        assert self.right[7] is not None
        self.server.run(("export", "s.zarr", "../s.nc"), folder / "seven")
        self.exported = (folder / "s.nc").read_bytes()
        assert not self.right[7].equals(self.right[8])

    def _make(self, name: str, words: tuple[str, ...], fault: Fault = UNDISTURBED, code: int = 0) -> Done:
        (self.folder / name).mkdir(parents=True)
        (self.folder / name / "s.yaml").write_text(SCENARIO)
        done = self.server.run(words, self.folder / name, fault)
        assert done.code == code, done
        return done

    @contextlib.contextmanager
    def workplace(self, start: str | None) -> Iterator[Path]:
        """A fresh folder with the scenario and perhaps a store; removed afterwards."""
        self._number += 1
        place = self.folder / f"place{self._number}"
        if start is None:
            place.mkdir()
            (place / "s.yaml").write_text(SCENARIO)
        else:
            shutil.copytree(self.folder / start, place)
        yield place
        shutil.rmtree(place)

    def places(self, task: Task, kind: str) -> list[int]:
        """The calls of an undisturbed run that a kind of fault concerns, counted from 1."""
        with self.workplace(task.start) as place:
            calls = self.server.run(task.words, place).calls
        return [number for number, call in enumerate(calls, 1) if call in CONCERNED.get(kind, {call})]

    def try_all(self, task: Task, kind: str, places: list[int]) -> list[str]:
        """Attack at each of these calls, and see that a later death never finds fewer cases finished."""
        wrong, before = [], 0
        for place in places:
            finding = self.attack(task, Fault(kind, place))
            wrong += [f"{task.name}, {kind} at call {place}: {words}" for words in finding.wrong]
            if kind == "kill" and task.name in ("sweep", "resume"):
                if finding.finished < before:
                    wrong.append(
                        f"{task.name}, killed at call {place}: {before - finding.finished} cases are lost"
                    )
                before = finding.finished
        return wrong

    def attack(self, task: Task, fault: Fault) -> Finding:
        """Run a task with a fault, mend what it left, and say what is not as promised."""
        with self.workplace(task.start) as place:
            done = self.server.run(task.words, place, fault)
            finished, wrong = self.judge_store(task, place / "s.zarr", done)
            wrong += judge_words(done, fault)
            if task.name == "export":
                wrong += self.judge_file(place / "s.nc", done.code)
            again = self.server.run(task.again, place)
            if again.code != 0:
                wrong.append(f"the same command later: exit {again.code}, {again.err.strip()[-300:]}")
            elif not equals(plain(place / "s.zarr"), self.right[7]):
                wrong.append("after the same command again the values are not those of an undisturbed run")
            if task.name == "export":
                wrong += self.judge_file(place / "s.nc", again.code)
            names = {file.name for file in place.iterdir() if not file.name.endswith(".partial")}
            if left := sorted(names - {"s.yaml", "s.zarr", "s.nc"}):
                wrong.append(f"left behind: {', '.join(left)}")
            return Finding(finished, tuple(wrong))

    def judge_store(self, task: Task, path: Path, done: Done) -> tuple[int, list[str]]:
        """Count the finished cases of a store after a fault, and say what is wrong with it."""
        seeds = (7, 8) if task.name == "overwrite" else (7,)
        damaged = task.name == "repair"
        finished, wrong, whole = 0, [], plain(path)
        if whole is not None and not damaged and not any(equals(whole, self.right[seed]) for seed in seeds):
            wrong.append("plain xarray opens a store that is not whole")
        if done.code == 0 and not equals(whole, self.right[7]):
            wrong.append("exit 0 without the whole result")
        if task.name == "overwrite" and not path.exists() and done.code == 1:
            wrong.append("the old store is gone and there is no new one")
        if path.exists():
            report = self.server.run(("status", "s.zarr", "--json", "--verify"), path.parent)
            if report.code == 2 and done.reported:
                wrong.append(f"status cannot read it: {report.err.strip()}")
            if report.code == 1 and not damaged:
                wrong.append(f"--verify: {(report.out + report.err).strip()}")
            finished = json.loads(report.out)["finished"] if report.out else 0
            if whole is None:
                wrong += self.judge_values(path, seeds)
        # Progress may be ahead by the case that is being written.
        if finished < done.reported - 1:
            wrong.append(f"{done.reported} cases were reported as finished, {finished} are there")
        return finished, wrong

    def judge_values(self, path: Path, seeds: tuple[int, ...] = (7, 8)) -> list[str]:
        """Finished cases are those of one seed, every value as it should be."""
        import retrowalk

        with contextlib.suppress(retrowalk.RetrowalkError), retrowalk.open_results(path) as found:
            present = found.load()
            expected = (self.right[seed].sel(case=present.case) for seed in seeds)
            if not any(equals(present, right) for right in expected):
                return ["finished cases hold wrong values or those of two seeds"]
        return []

    def judge_file(self, path: Path, code: int) -> list[str]:
        """An exported file is whole or not there."""
        import xarray as xr

        if not path.exists():
            return ["exit 0 without a file"] if code == 0 else []
        if path.read_bytes() == self.exported:
            return []
        try:
            with xr.open_dataset(path, engine="h5netcdf") as found:
                return [] if equals(found.load(), self.right[7]) else ["the exported file has other values"]
        except (OSError, ValueError, KeyError) as error:
            return [f"the exported file cannot be read: {error}"]


def a_chunk(store: Path) -> Path:
    """A file with values of a store."""
    chunks = (file for file in (store / "knee_pain").rglob("*") if file.is_file())
    return max(file for file in chunks if file.name != "zarr.json")


@contextlib.contextmanager
def workbench(shim: Path) -> Iterator[Bench]:
    """A server and its stores in a temporary folder, in memory where possible: on a disk fsync takes time."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="retrowalk-faults-", dir=memory) as folder:
        server = Server(shim, Path(folder) / "server")
        try:
            yield Bench(server, Path(folder) / "bench")
        finally:
            server.close()


# ---- two writers


def move(store: Path) -> None:
    """Rename the store."""
    store.rename(store.with_name("moved.zarr"))


def remove(store: Path) -> None:
    """Remove the store."""
    shutil.rmtree(store)


def copy(store: Path) -> None:
    """Put a copy in the place of the store, which is renamed."""
    move(store)
    shutil.copytree(store.with_name("moved.zarr"), store)


def leave(store: Path) -> None:
    """Leave the store where it is."""


CHANGES = (move, remove, copy, leave)


def two_writers(
    bench: Bench, change: Callable[[Path], None], first: int, second: int, *, first_ends_first: bool
) -> list[str]:
    """Hold writer A (seed 7) at a call, change its store, start and hold B (seed 8) there, let both go on.

    After `copy` B runs with A's seed and finds an unfinished store of its own sweep.
    """
    seed = 7 if change is copy else 8
    with bench.workplace(None) as place:
        store, moved = place / "s.zarr", place / "moved.zarr"
        a = bench.server.start(SWEEP, place, Fault("hold", first))
        a.held()
        whole_before = plain(store)
        if store.exists():
            change(store)
        b = bench.server.start((*SWEEP, "--seed", str(seed)), place, Fault("hold", second))
        b.held()
        for writer in (a, b) if first_ends_first else (b, a):
            before = tree(store)
            writer.go_on()
            writer.wait()
        ends = (a.wait(), b.wait())
        wrong = [words for end in ends for words in judge_words(end, Fault("hold"), (0, 1, 2))]
        if 0 not in (ends[0].code, ends[1].code):
            wrong.append(f"both fail: {ends[0].err.strip()[-200:]} | {ends[1].err.strip()[-200:]}")
        if not first_ends_first and ends[1].code == 0 and before != tree(store):
            wrong.append("the writer that lost its store changed the other's finished store")
        whole = [whole_before, plain(store), plain(moved)]
        for end, own in zip(ends, (7, seed), strict=True):
            if end.code == 0 and not any(equals(found, bench.right[own]) for found in whole):
                wrong.append(f"exit 0, and no whole store of seed {own}")
        for path in (store, moved):
            wrong += bench.judge_values(path, (7,) if path == moved else (7, 8)) if path.exists() else []
        return wrong


def try_writers(bench: Bench, change: Callable[[Path], None], places: list[int]) -> list[str]:
    """Two writers with A held at each of these calls, B at another one, and either going on first."""
    calls, wrong = bench.places(TASKS[0], "hold"), []
    for number, first in enumerate(places):
        second = calls[(number * 7919 + len(calls) // 2) % len(calls)]
        for first_ends_first in (True, False):
            found = two_writers(bench, change, first, second, first_ends_first=first_ends_first)
            who = "A" if first_ends_first else "B"
            wrong += [
                f"{change.__name__}, A held at {first}, B at {second}, {who} first: {words}"
                for words in found
            ]
    return wrong


def tree(path: Path) -> dict[str, bytes]:
    """Contents by name of all files of a store."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def judge_words(done: Done, fault: Fault, allowed: tuple[int, ...] = (0, 1, 130)) -> list[str]:
    """Exit codes and words that no fault excuses."""
    wrong = []
    if fault.kind in DEADLY:
        allowed = (0, -signal.SIGKILL)
    if done.code not in allowed:
        wrong.append(f"exit {done.code}: {done.err.strip()[-300:]}")
    if fault.kind in ("short", "eintr") and done.code == 1:
        wrong.append(f"a call that was cut short or interrupted ends the run: {done.err.strip()[-300:]}")
    if "Traceback" in done.err or "please report" in done.err:
        wrong.append(f"no sentence: {done.err.strip()[-300:]}")
    if done.code == 1 and not 1 <= len(done.sentences) <= 2:
        wrong.append(f"{len(done.sentences)} sentences: {done.sentences}")
    return wrong


def equals(found: Any, expected: Any) -> bool:
    """Whether all variables that are expected are there with the same values."""
    return found is not None and all(
        name in found and found[name].equals(expected[name]) for name in expected.data_vars
    )


def plain(path: Path) -> Any:
    """What plain xarray reads from a store; None where it opens none."""
    import xarray as xr

    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as found:
            return found.load()
    except (OSError, ValueError, KeyError):
        return None
