"""Run retrowalk's commands with one system call failing, torn, killed or held.

`fault_shim.c` does the damage. One process with everything imported forks for every command, which then costs
a fraction of a second instead of several; `as_typed` runs the installed script itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPT = Path(sys.executable).with_name("retrowalk")
SCENARIO = """\
format: retrowalk-scenario/1
title: A small question
seed: 7
population: {preset: knee_oa, size: 8}
outcomes: [knee_pain]
assess: {weeks: [0, 2]}
draws: 2
arms:
  usual_care: {phases: [{weeks: 2, sessions: [{modality: physiotherapy, per_week: 3, minutes: 30}]}]}
  walking: {phases: [{weeks: 2, sessions: [{modality: walk, per_week: 3, minutes: 10, speed: 0.8}]}]}
sweep:
  arms.walking.phases.0.sessions.0.minutes: [10, 20, 30]
"""
SWEEP = ("sweep", "s.yaml", "-o", "s.zarr", "--threads", "1", "--json-progress")
EXPORT = ("export", "s.zarr", "s.nc")


def build_shim(folder: Path) -> Path | None:
    """Compile the shim, where there is a compiler that can."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "fault_shim.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", library, HERE / "fault_shim.c"]
    subprocess.run(command, check=True, capture_output=True)
    return library


@dataclass(frozen=True)
class Fault:
    """Which kind of damage is done at which call; 0 is never."""

    kind: str = "count"
    at: int = 0


UNDISTURBED = Fault()


@dataclass(frozen=True)
class Done:
    """What a command did: its exit code (minus the signal's number), its words, its calls in order."""

    code: int
    out: str
    err: str
    calls: tuple[str, ...]

    @property
    def reported(self) -> int:
        """Finished cases that its progress spoke of last."""
        events = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        return max((event["done"] for event in events), default=0)

    @property
    def sentences(self) -> list[str]:
        """What it said apart from progress."""
        return [line for line in self.err.splitlines() if line and not line.startswith("{")]


class Running:
    """A command that was started by a `Server`."""

    def __init__(self, server: Server, log: Path, pid: int) -> None:
        self._server, self._log, self._pid = server, log, pid
        self.done: Done | None = None

    def held(self) -> bool:
        """Wait until it stands at its call; False if it ended before."""
        while (state := self._server.ask({"poll": self._pid})["state"]) == "running":
            time.sleep(0.002)
        return bool(state == "stopped")

    def go_on(self) -> None:
        self._server.ask({"continue": self._pid})

    def wait(self) -> Done:
        if self.done is None:
            code = self._server.ask({"wait": self._pid})["state"]
            self.done = _done(self._log, code)
        return self.done


class Server:
    """A process in which everything is loaded; every command runs in a fork of it."""

    def __init__(self, shim: Path, folder: Path) -> None:
        self._folder, self._number = folder, 0
        folder.mkdir()
        (folder / "s.yaml").write_text(SCENARIO)
        self.process = subprocess.Popen(
            [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "LD_PRELOAD": str(shim)},
        )  # fmt: skip
        self.ask({})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def start(self, words: tuple[str, ...], cwd: Path, fault: Fault = UNDISTURBED) -> Running:
        """Start a command in a folder; calls that touch files under that folder count."""
        self._number += 1
        log = self._folder / f"{self._number}.log"
        request = {
            "words": words,
            "cwd": str(cwd.resolve()),
            "kind": fault.kind,
            "at": fault.at,
            "log": str(log),
        }
        return Running(self, log, self.ask(request)["pid"])

    def run(self, words: tuple[str, ...], cwd: Path, fault: Fault = UNDISTURBED) -> Done:
        return self.start(words, cwd, fault).wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def as_typed(shim: Path, words: tuple[str, ...], cwd: Path, log: Path, fault: Fault = UNDISTURBED) -> Done:
    """Run the installed script, as a user types it."""
    told = {"FAULT_FOLDER": cwd.resolve(), "FAULT_KIND": fault.kind, "FAULT_AT": fault.at, "FAULT_LOG": log}
    env = {**os.environ, "LD_PRELOAD": str(shim), **{name: str(value) for name, value in told.items()}}
    with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
        done = subprocess.run([SCRIPT, *words], cwd=cwd, env=env, stdout=out, stderr=err, check=False)
    return _done(log, done.returncode)


def _done(log: Path, code: int) -> Done:
    out, err = (log.with_suffix(suffix).read_text() for suffix in (".out", ".err"))
    calls = tuple(line.split()[1] for line in log.read_text().splitlines()) if log.exists() else ()
    return Done(code, out, err, calls)


# ---- the process that forks


def serve(folder: Path) -> None:
    """Load everything by running every task once, then fork for each request on standard input."""
    os.chdir(folder)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    children: dict[int, str | int] = {}  # "running", "stopped", or how they ended
    from retrowalk.cli import main

    for words in (SWEEP, ("status", "s.zarr", "--verify"), ("status", "s.zarr", "--json"), EXPORT):
        assert main(["-q", *words]) == 0, words
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if "words" in request:
            pid = os.fork()
            if pid == 0:
                _run(main, request)
            children[pid] = "running"
            answer["pid"] = pid
        elif "continue" in request:
            pid = request["continue"]
            if children[pid] == "stopped":
                children[pid] = "running"
                os.kill(pid, signal.SIGCONT)
        elif pid := request.get("poll") or request.get("wait"):
            flags = os.WUNTRACED | (os.WNOHANG if "poll" in request else 0)
            while isinstance(children[pid], str):
                changed, status = os.waitpid(pid, flags)
                if changed:
                    stopped = os.WIFSTOPPED(status)
                    children[pid] = "stopped" if stopped else os.waitstatus_to_exitcode(status)
                if "poll" in request:
                    break
            answer["state"] = children[pid]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _run(main: Callable[[list[str]], int], request: dict[str, Any]) -> None:
    """Be the command: never returns."""
    signal.alarm(60)
    code = 70
    try:
        os.chdir(request["cwd"])
        sys.argv = ["retrowalk", *request["words"]]
        for number, suffix in ((0, None), (1, ".out"), (2, ".err")):
            file = Path(request["log"]).with_suffix(suffix) if suffix else Path(os.devnull)
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), number)
        shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
        arm = [request["cwd"].encode(), request["kind"].encode(), request["at"], request["log"].encode()]
        shim.fault_arm(*arm[:2], ctypes.c_long(arm[2]), arm[3])
        code = main(list(request["words"]))
    except BaseException:  # whatever escapes is the finding
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
