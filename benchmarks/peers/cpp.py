"""The C++ peer: compiled on the spot, called through ctypes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.simulation.core_work import CoreWork
from retrowalk.words import QUANTILES

SOURCE = Path(__file__).with_name("cohort.cpp")
#: Traps are not used; without saying so g++ would leave the loops with comparisons unvectorised.
FLAGS = {
    "": ("-O3", "-march=native", "-fno-trapping-math"),
    ", 512-bit": ("-O3", "-march=native", "-fno-trapping-math", "-mprefer-vector-width=512"),
    ", -ffast-math": ("-O3", "-march=native", "-fno-trapping-math", "-ffast-math", "-fno-finite-math-only"),
}


class _Plan(ctypes.Structure):
    _fields_ = [
        ("days", ctypes.c_int), ("members", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("visit_on", "record_on", "attended", "gain", "dose")),
        *((name, ctypes.c_float) for name in
          ("decay_fitness", "decay_fatigue", "weight_fitness", "weight_fatigue", "sigma")),
        ("z", ctypes.c_void_p), ("start", ctypes.c_void_p),
    ]  # fmt: skip


def build(folder: Path) -> dict[str, ctypes.CDLL]:
    """Compile every variant, by ending of its name; {} without a compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        return {}
    libraries = {}
    for number, (name, flags) in enumerate(FLAGS.items()):
        code, target = folder / f"cohort{number}.o", folder / f"cohort{number}.so"
        # Linked without -ffast-math: with it g++ adds start-up code that lets the whole process flush
        # subnormal numbers to zero.
        commands = (
            [compiler, *flags, "-c", "-fPIC", "-o", str(code), str(SOURCE)],
            [compiler, "-shared", "-o", str(target), str(code)],
        )
        if all(subprocess.run(words, check=False, capture_output=True).returncode == 0 for words in commands):
            libraries[name] = ctypes.CDLL(str(target))
    return libraries


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


class Cpp:
    """The work in C++; `tables` and `curves` are shaped as those of `CoreWork`."""

    def __init__(self, work: CoreWork, library: ctypes.CDLL) -> None:
        self.work, self.library = work, library
        records, count = len(work.schedule.assessed), len(work.link)
        self.tables = [np.empty((count, n, records), np.float32) for n in (2, 5, 2, 5, 2, 3)]
        self.curves = np.zeros_like(work.curves)
        rate, schedule, plan = work.prepared.rates, work.schedule, work.plan
        self.link, self.benefit, self.probabilities = work.link, work.benefit, np.array(QUANTILES)
        self.every_day = np.arange(len(plan.visit_on), dtype=np.int32)
        self.gain, self.dose = np.ascontiguousarray(work.gain), np.ascontiguousarray(work.dose)
        self.plans = [
            _Plan(
                len(plan.visit_on), work.people, _at(plan.visit_on), _at(plan.record_on),
                _at(schedule.attended), _at(self.gain[k]), _at(self.dose), *rate.decay[0, k, :2].tolist(),
                *rate.weight[0, k].tolist(), work.sigma(k), _at(work.members[k].z),
                _at(work.members[k].start),
            )
            for k in range(count)
        ]  # fmt: skip

    def summarize(self, k: int, *, exact: bool) -> None:
        """Statistics of outcome `k`, with exact quantiles or in one pass."""
        members, assessed = self.work.members[k], self.work.schedule.assessed
        kernel = self.library.summarize if exact else self.library.summarize_in_one_pass
        kernel(
            ctypes.byref(self.plans[k]), len(assessed), _at(assessed), _at(self.link[k]),
            _at(self.benefit[k]), _at(self.work.noise[k]), _at(members.base_true),
            _at(members.base_observed), len(self.probabilities), _at(self.probabilities),
            *(_at(table[k]) for table in self.tables),
        )  # fmt: skip

    def follow(self, k: int, *, stream: bool = False) -> None:
        """Every day of every member on the link scale."""
        self.library.follow(
            ctypes.byref(self.plans[k]), _at(self.every_day), int(stream), _at(self.curves[k])
        )

    def write(self, k: int) -> None:
        """Fill the same buffer and compute nothing."""
        rows = self.curves[k]
        self.library.write_all(_at(rows), ctypes.c_int64(rows.size), ctypes.c_float(1.0), 0)
