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
    "C++": ("-O3", "-march=native", "-fno-trapping-math"),
    "C++ -ffast-math": ("-O3", "-march=native", "-fno-trapping-math", "-ffast-math", "-fno-finite-math-only"),
    "C++ 512-bit": ("-O3", "-march=native", "-fno-trapping-math", "-mprefer-vector-width=512"),
}


class _Plan(ctypes.Structure):
    _fields_ = [
        ("days", ctypes.c_int), ("members", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("visit_on", "record_on", "attended", "gain", "dose")),
        *((name, ctypes.c_float) for name in
          ("decay_fitness", "decay_fatigue", "weight_fitness", "weight_fatigue", "sigma")),
        ("z", ctypes.c_void_p), ("start", ctypes.c_void_p),
    ]  # fmt: skip


def compiler() -> str | None:
    """Path of g++, if there is one."""
    return shutil.which("g++")


def build(folder: Path) -> dict[str, ctypes.CDLL]:
    """Compile every variant; {} without a compiler."""
    found = compiler()
    if found is None:
        return {}
    libraries = {}
    for number, (name, flags) in enumerate(FLAGS.items()):
        code, target = folder / f"cohort{number}.o", folder / f"cohort{number}.so"
        # Linked without -ffast-math: with it g++ adds start-up code that lets the whole process flush
        # subnormal numbers to zero.
        commands = (
            [found, *flags, "-c", "-fPIC", "-o", str(code), str(SOURCE)],
            [found, "-shared", "-o", str(target), str(code)],
        )
        if all(subprocess.run(words, check=False, capture_output=True).returncode == 0 for words in commands):
            libraries[name] = ctypes.CDLL(str(target))
    return libraries


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


class Cpp:
    """The work in C++; outputs have the shapes of `CoreWork`."""

    def __init__(self, work: CoreWork, library: ctypes.CDLL, *, stream: bool = False) -> None:
        self.work, self.library, self.stream = work, library, stream
        self.statistics = tuple(np.empty_like(out) for out in work.statistics)
        self.curves = np.zeros_like(work.curves)
        rate, schedule, plan = work.setting.rates, work.schedule, work.plan
        self.link, self.benefit, self.probabilities = work.link, work.benefit, np.array(QUANTILES)
        self.every_day = np.arange(len(plan.visit_on), dtype=np.int32)
        self.plans = [
            _Plan(
                len(plan.visit_on), work.people, _at(plan.visit_on), _at(plan.record_on),
                _at(schedule.attended), _at(work.gain[k]), _at(work.dose), *rate.decay[0, k, :2].tolist(),
                *rate.weight[0, k].tolist(), work.sigma(k), _at(work.members[k].z),
                _at(work.members[k].start),
            )
            for k in range(len(self.link))
        ]  # fmt: skip

    def summarize(self, k: int) -> None:
        work, members = self.work, self.work.members[k]
        assessed = work.schedule.assessed
        self.library.summarize(
            ctypes.byref(self.plans[k]), len(assessed), _at(assessed), _at(self.link[k]),
            _at(self.benefit[k]), _at(work.noise[k]), _at(members.base_true), _at(members.base_observed),
            len(self.probabilities), _at(self.probabilities), *(_at(out[k]) for out in self.statistics),
        )  # fmt: skip

    def follow(self, k: int) -> None:
        self.library.follow(
            ctypes.byref(self.plans[k]), _at(self.every_day), int(self.stream), _at(self.curves[k])
        )


def write_all(library: ctypes.CDLL, out: NDArray[np.float32], *, stream: bool) -> None:
    """Fill a buffer as fast as the machine can."""
    library.write_all(_at(out), ctypes.c_int64(out.size), ctypes.c_float(1.0), int(stream))
