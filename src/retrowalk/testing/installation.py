"""Published and independently computed numbers, typed in, beside what the installed package finds.

None of these is retrowalk's own output. Where a source prints a number rounded, the tolerance is half a unit
of its last digit; the others were computed with 40 decimal digits apart from this package.

The installed package against published numbers and its own laws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk import fitness_fatigue, training_balance
from retrowalk.kernels.random import normal_quantile, philox
from retrowalk.model.analytics import steady_state, time_to_benefit, time_to_peak
from retrowalk.model.gains import gains_from_net, unit_sum
from retrowalk.model.links import Link
from retrowalk.model.metabolic import mets, running_vo2, walking_vo2
from retrowalk.response.presets import preset
from retrowalk.testing.checking import Report, check_model
from retrowalk.testing.trial_laws import TRIAL_LAWS, TrialLaw

CLARKE = "Clarke, Skiba 2013, doi 10.1152/advan.00078.2011"
BSH2 = "Stephens Hemingway, github.com/bsh2/Fitness-Fatigue-Model"
RANDOM123 = "Random123 known answers, Salmon et al. 2011, doi 10.1145/2063384.2063405"
ACSM = "equation of ACSM's Health & Fitness Journal 2020, doi 10.1249/FIT.0000000000000577"
COMPENDIUM = "Compendium of Physical Activities 2011, doi 10.1249/MSS.0b013e31821ece12"
CLOSED = "closed form"

#: Loads of 20 days, repeated five times in the simulator's standard case.
BLOCK = (1, 1.2, 0.5, 1.8, 2, 0.25, 0.7, 0.9, 0, 0.5, 1, 0.8, 1.2, 1.3, 0.9, 0, 0, 2, 1.1, 0.5)
MPH = 0.44704


@dataclass(frozen=True)
class Number:
    """One number to find again.

    Parameters
    ----------
    name, source : str
        What it is, and who says so.
    expected, tolerance : float
        The number as typed in, and by how much a right answer may be off.
    compute : callable
        Returns what the installed package finds.
    """

    name: str
    source: str
    expected: float
    tolerance: float
    compute: Callable[[], float]


def _exact(name: str, source: str, expected: float, compute: Callable[[], float]) -> Number:
    return Number(name, source, expected, 1e-11 * abs(expected), compute)


@cache
def _standard_case() -> NDArray[np.float64]:
    curve: NDArray[np.float64] = fitness_fatigue(np.tile(BLOCK, 5), **preset("bsh2"))
    return curve


def _guess_sum_of_squares() -> float:
    """Error of the guess on every third day, the days of its tests."""
    guess = preset("bsh2", baseline=97, gain_fitness=1.3, tau_fitness=30, gain_fatigue=1.6, tau_fatigue=8)
    error = (fitness_fatigue(np.tile(BLOCK, 5), **guess) - _standard_case())[::3]
    return float(np.sum(error**2))


def _session(name: str) -> dict[str, float]:
    return {key: preset(name)[key] for key in ("gain_fitness", "tau_fitness", "gain_fatigue", "tau_fatigue")}


def _last(load: Sequence[float] | NDArray[Any], **settings: Any) -> float:  # noqa: ANN401  any option
    return float(fitness_fatigue(load, **settings)[-1])


def _settled(tau: int, impulse: str) -> float:
    return _last(np.ones(45 * tau), model="one_component", impulse=impulse, gain_fitness=1, tau_fitness=tau)


def _strained(form: str) -> float:
    one = {"gain_fitness": 0.0, "tau_fitness": 9.0, "gain_fatigue": -1.0, "tau_fatigue": 5.0, "tau_gain": 2.0}
    return _last([1.0, 2.0, 3.0, 0.0], model="variable_dose", form=form, **one)


def _delayed() -> float:
    taus = {"tau_fitness": 40.0, "tau_delay": 5.0, "tau_fatigue": 10.0}
    return _last([1.0] + [0.0] * 10, model="fitness_delay", gain_fitness=1.0, gain_fatigue=0.5, **taus)


def _nonlinear() -> float:
    fatigue = {"gain_fatigue": 0.0, "tau_fatigue": 10.0, "exponent_fatigue": 1.0}
    fitness = {"gain_fitness": 0.5, "tau_fitness": 10.0, "exponent_fitness": 2.0}
    return _last([2.0] * 200, model="nonlinear", **fitness, **fatigue)


def _irregular() -> float:
    return _last([1, 2, 0], model="one_component", gain_fitness=1, tau_fitness=30, times=[0, 1.25, 2.5])


def _saturated() -> float:
    one = {"model": "one_component", "impulse": "same_day", "gain_fitness": 1.0, "tau_fitness": 10.0}
    return _last([2.0], hill=(6.0, 2.0, 3.0), **one)


def _balance(curve: str, step: str, days: int) -> float:
    return float(training_balance(np.full(days, 100.0), step=step)[curve][-1])


def _word(counter: tuple[int, ...], key: tuple[int, int]) -> float:
    return float(philox(*(np.uint64(word) for word in (*counter, *key)))[0])


def _steady_numbers() -> list[Number]:
    levels = {5: 5.516655566126993, 7: 7.511900714632573, 15: 15.505555144076475, 42: 42.50198410823797}
    found = []
    for tau, level in levels.items():
        for impulse, expected in (("same_day", level), ("next_day", level - 1.0)):
            name = f"steady state of a unit load, tau {tau} d, {impulse.replace('_', ' ')}"
            found.append(_exact(f"{name}, simulated", CLOSED, expected, partial(_settled, tau, impulse)))
            settings = {"model": "one_component", "impulse": impulse, "gain_fitness": 1.0, "tau_fitness": tau}
            found.append(_exact(f"{name}, formula", CLOSED, expected, partial(_formula, settings)))
    return found


def _formula(settings: dict[str, Any]) -> float:
    return float(steady_state(1.0, **settings))


def numbers() -> tuple[Number, ...]:
    """All numbers of the table."""
    ones, pi = 2**32 - 1, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    taus = {"gain_fitness": 1.0, "tau_fitness": 40.0, "gain_fatigue": 0.8, "tau_fatigue": 10.0}
    return (
        _exact("standard case, performance on day 2", BSH2, 99.9925184040662, lambda: _standard_case()[1]),
        _exact("standard case, performance on day 3", BSH2, 100.135034006058, lambda: _standard_case()[2]),
        Number("standard case, sum of squares of the guess", BSH2, 214.48406910026378, 1e-7,
               _guess_sum_of_squares),
        _exact("days until one session pays, t_n", CLARKE, 12.224707842077706,
               lambda: time_to_benefit(**_session("clarke2013"))),
        _exact("days until one session pays most, t_g", CLARKE, 39.566018965827936,
               lambda: time_to_peak(**_session("clarke2013"))),
        _exact("t_g for gains 1 and 0.8, taus 40 and 10 d", CLOSED, 15.50867746407574484,
               lambda: time_to_peak(**taus)),
        *_steady_numbers(),
        _exact("variable dose, inclusive", CLOSED, 15.29490237590468197, lambda: _strained("inclusive")),
        _exact("variable dose, exclusive", CLOSED, 4.696233777966261602, lambda: _strained("exclusive")),
        _exact("variable dose, filter", CLOSED, 6.046578466634870848, lambda: _strained("filter")),
        _exact("fitness delay, 10 days after a session", CLOSED, 0.4595257792490710155, _delayed),
        _exact("non-linear model, settled at (tau k w)^(1/2)", CLOSED, 3.162277660168379332, _nonlinear),
        _exact("sessions 1.25 days apart", CLOSED, 2.838423328847599624, _irregular),
        _exact("saturation at the half load", CLOSED, 3.0, _saturated),
        _exact("chronic load, 42 days of 100, exponential step", CLOSED, 63.21205588285576784,
               lambda: _balance("ctl", "exponential", 42)),
        _exact("acute load, 14 days of 100, exponential step", CLOSED, 86.46647167633873081,
               lambda: _balance("atl", "exponential", 14)),
        _exact("chronic load, 42 days of 100, steps of 1/42", CLOSED, 63.65440478283972408,
               lambda: _balance("ctl", "reciprocal", 42)),
        _exact("acute load, 14 days of 100, steps of 1/7", CLOSED, 88.44566526366951756,
               lambda: _balance("atl", "reciprocal", 14)),
        _exact("reference programme, unit sum at tau 42 d", CLOSED, 10.97457136154532677,
               lambda: float(unit_sum(42.0))),
        _exact("reference programme, unit sum at tau 7 d", CLOSED, 2.381064888392746563,
               lambda: float(unit_sum(7.0))),
        _exact("gain of fitness for a net response of 1", CLOSED, 0.1214929758446244214,
               lambda: float(gains_from_net(1.0, 0.25, 42.0, 7.0)[0])),
        _exact("log link, mean of ln y for mean 1 and SD 1", CLOSED, -0.34657359027997265471,
               lambda: Link("log").from_moments(1.0, 1.0)[0]),
        _exact("log link, SD of ln y for mean 1 and SD 1", CLOSED, 0.83255461115769775635,
               lambda: Link("log").from_moments(1.0, 1.0)[1]),
        _exact("random word, counter and key 0", RANDOM123, 0x6627E8D5, lambda: _word((0, 0, 0, 0), (0, 0))),
        _exact("random word, counter and key all ones", RANDOM123, 0x408F276D,
               lambda: _word((ones,) * 4, (ones, ones))),
        _exact("random word, counter and key from pi", RANDOM123, 0xD16CFE09,
               lambda: _word(pi, (0xA4093822, 0x299F31D0))),
        _exact("normal quantile of 0.975", "tables of the normal distribution", 1.959963984540054,
               lambda: normal_quantile(0.975)),
        _exact("walking at 5 km/h [ml/kg/min]", ACSM, 11.833333333333333, lambda: walking_vo2(5 / 3.6)),
        _exact("running at 6 mph [ml/kg/min]", ACSM, 35.68688, lambda: running_vo2(6 * MPH)),
        Number("walking at 2.5 mph [METs]", COMPENDIUM, 3.0, 0.1, lambda: mets("walk_forward", 2.5 * MPH)),
        Number("walking backwards at 3.5 mph, 5 % [METs]", COMPENDIUM, 8.0, 0.2,
               lambda: mets("walk_backward", 3.5 * MPH, 0.05)),
    )  # fmt: skip


def found_by(number: Number) -> float:
    """What the package finds; NaN where it fails."""
    try:
        return float(number.compute())
    except (ArithmeticError, ValueError, TypeError, LookupError):
        return math.nan


_PHYSIOTHERAPY = {"modality": "physiotherapy", "minutes": 30, "per_week": 3}
_WALK = {"modality": "walk", "minutes": 20, "per_week": 3, "backward_share": 0.5, "match": "energy"}

#: A trial with two modalities, progression, rest, dropouts and partial attendance, for the laws of trials.
TRIAL: dict[str, Any] = {
    "format": "retrowalk-scenario/1",
    "seed": 20261122,
    "population": {"preset": "knee_oa", "size": 40},
    "outcomes": ["knee_pain", "quadriceps_strength"],
    "assess": {"weeks": [0, 2, 4, 6]},
    "arms": {
        "usual_care": {"phases": [{"weeks": 4, "sessions": [_PHYSIOTHERAPY]}]},
        "walking": {
            "phases": [
                {
                    "weeks": 3,
                    "sessions": [_PHYSIOTHERAPY, _WALK],
                    "progression": {"minutes": "+10 % per week"},
                },
                {"weeks": 1},
            ]
        },
    },
    "draws": 2,
}

#: Model blocks with which the laws of trials are tried.
FAMILIES: tuple[dict[str, Any], ...] = (
    {"family": "banister"},
    {"family": "one_component", "impulse": "same_day"},
    {"family": "fitness_delay", "tau_delay": 5},
    {"family": "variable_dose", "tau_gain": 5},
    {"family": "nonlinear"},
)


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    Parameters
    ----------
    name, source : str
        What is compared, and who says so.
    expected, found, difference, tolerance : float
        The published number, ours, ours less theirs, and how much that may be.
    """

    name: str
    source: str
    expected: float
    found: float
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class TrialFinding:
    """What a law of whole trials found with one model family; `found` is empty where it holds."""

    law: TrialLaw
    family: str
    found: str


@dataclass(frozen=True)
class SelfTest:
    """What `selftest` found.

    Parameters
    ----------
    numbers : tuple of Comparison
        Published and independently computed numbers.
    laws : Report
        Laws of the fitness-fatigue model, on `retrowalk.fitness_fatigue`.
    trials : tuple of TrialFinding
        Laws of whole trials, on `retrowalk.simulate`.
    """

    numbers: tuple[Comparison, ...]
    laws: Report
    trials: tuple[TrialFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether all numbers agree and all laws hold."""
        return self.failures == 0

    @property
    def failures(self) -> int:
        """Numbers that differ and laws that are broken."""
        wrong = [row for row in self.numbers if not row.ok]
        return len(wrong) + len(self.laws.broken) + len([row for row in self.trials if row.found])

    def as_data(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        held = [{"law": law.name, "sentence": law.sentence, "holds": True} for law in self.laws.held]
        broken = [
            {"law": breach.law.name, "sentence": breach.law.sentence, "holds": False,
             "case": str(breach.case), "found": breach.found}
            for breach in self.laws.broken
        ]  # fmt: skip
        trials = [
            {"law": row.law.name, "sentence": row.law.sentence, "family": row.family, "holds": not row.found}
            | ({"found": row.found} if row.found else {})
            for row in self.trials
        ]
        table = [{**asdict(row), "ok": row.ok} for row in self.numbers]
        return {"ok": self.ok, "numbers": table, "laws": held + broken, "trials": trials}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        width = max(len(row.name) for row in self.numbers)
        yield f"    {'number':<{width}}  {'expected':>18}  {'found':>18}  {'difference':>10}  source"
        for row in self.numbers:
            values = f"{row.expected:>18.12g}  {row.found:>18.12g}  {row.difference:>10.2g}"
            yield f"{_mark(row.ok)}  {row.name:<{width}}  {values}  {row.source}"
        yield ""
        yield "    laws of the fitness-fatigue model"
        for law in self.laws.held:
            yield f"{_mark(True)}  {law.sentence}"
        for breach in self.laws.broken:
            yield f"{_mark(False)}  {breach}"
        yield ""
        yield "    laws of whole trials, in every model family"
        for law_of_trials in TRIAL_LAWS.values():
            broken = [row for row in self.trials if row.law == law_of_trials and row.found]
            yield f"{_mark(not broken)}  {law_of_trials.sentence}"
            yield from (f"      {row.family}: {row.found}" for row in broken)


def _mark(ok: bool) -> str:
    return "ok" if ok else "NO"


def selftest(*, examples: int = 30) -> SelfTest:
    """Hold the installed package against published numbers and its laws; takes some seconds.

    Parameters
    ----------
    examples : int
        Cases tried for each law of the fitness-fatigue model.

    Returns
    -------
    SelfTest
        ``ok`` says whether everything agrees, ``str`` gives the table.

    Examples
    --------
    >>> from retrowalk.testing import selftest
    >>> result = selftest(examples=5)
    >>> result.ok
    True
    """
    return SelfTest(tuple(_compare()), check_model(fitness_fatigue, examples=examples), tuple(_try_trials()))


def _compare() -> Iterator[Comparison]:
    for number in numbers():
        found = found_by(number)
        difference = found - number.expected if math.isfinite(found) else math.inf
        yield Comparison(number.name, number.source, number.expected, found, difference, number.tolerance)


def _try_trials() -> Iterator[TrialFinding]:
    for model in FAMILIES:
        for law in TRIAL_LAWS.values():
            yield TrialFinding(law, model["family"], law.broken({**TRIAL, "model": model}))
