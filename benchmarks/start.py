"""What a first and a later run of the example sweep cost, beside importing its libraries alone.

Run with ``python -m benchmarks.start [--rounds 5]``. Whole processes in turns, processor time and wall time.
*Cold* starts with an empty folder of compiled kernels, *warm* with a full one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.rounds import Spread

ROOT = Path(__file__).resolve().parents[1]
IMPORTS = (sys.executable, "-c", "import numpy, numba, zarr, xarray")
COMMAND = (sys.executable, "-m", "retrowalk", "-q")
SCENARIO = ROOT / "scenarios" / "knee_walk_mix.yaml"

Times = dict[str, np.ndarray]


def run(command: tuple[object, ...], cache: Path | None = None) -> tuple[float, float]:
    """Processor seconds, over all its threads, and wall seconds of a whole process.

    Raises
    ------
    RuntimeError
        When it fails.
    """
    environment = dict(os.environ)
    if cache is not None:
        environment["RETROWALK_CACHE_DIR"] = str(cache)
    start = time.perf_counter()
    with subprocess.Popen([str(word) for word in command], env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        said = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(said.decode()[-500:])
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def measure(rounds: int, cold_rounds: int = 1) -> Times:
    """(rounds, 2) arrays of processor and wall seconds of imports, cold sweep, warm sweep and summary."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "out.zarr"
        sweep = (*COMMAND, "sweep", SCENARIO, "-o", store, "--overwrite")
        run(sweep)  # compiles what is not kept yet
        for turn in range(cold_rounds):
            found.setdefault("sweep, cold", []).append(run(sweep, Path(name) / f"cache{turn}"))
        for _ in range(rounds):
            found.setdefault("imports", []).append(run(IMPORTS))
            found.setdefault("sweep, warm", []).append(run(sweep))
            found.setdefault("summary", []).append(run((*COMMAND, "summary", store)))
    return {name: np.array(values) for name, values in found.items()}


def warm_ratio(times: Times) -> Spread:
    """Processor time of a warm sweep as a multiple of that of the imports in the same round."""
    return Spread.of(times["sweep, warm"][:, 0] / times["imports"][:, 0])


def compiling(times: Times) -> Spread:
    """Processor time that a cold sweep takes beyond a warm one."""
    return Spread.of(times["sweep, cold"][:, 0] - np.median(times["sweep, warm"][:, 0]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-rounds", type=int, default=1)
    chosen = parser.parse_args()
    times = measure(chosen.rounds, chosen.cold_rounds)
    print(f"{'':14}{'processor [s]':>26}{'wall [s]':>26}")
    for name, values in times.items():
        print(f"{name:14}{Spread.of(values[:, 0])!s:>26}{Spread.of(values[:, 1])!s:>26}")
    print(f"warm sweep / imports: {warm_ratio(times)}; compiling: {compiling(times)} s of processor time")


if __name__ == "__main__":
    main()
