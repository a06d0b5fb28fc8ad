"""The self-test: published numbers and laws, beside what the installed package computes.

No expected number is retrowalk's own output. Where a source prints a number rounded, the tolerance is half a
unit of its last digit; the others were computed with 40 decimal digits apart from this package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from retrowalk.testing.laws import Law
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
class PublishedNumber:
    """One number to compute again.

    Parameters
    ----------
    name, source : str
        What it is, and who says so.
    expected, tolerance : float
        The number as typed in, and by how much a right answer may be off.
    compute : callable
        Returns what the installed package computes.
    """

    name: str
    source: str
    expected: float
    tolerance: float
    compute: Callable[[], float]

    def compare(self) -> Comparison:
        """Compute it; NaN where that fails."""
        try:
            return Comparison(self, float(self.compute()))
        except (ArithmeticError, ValueError, TypeError, LookupError):
            return Comparison(self, math.nan)


@dataclass(frozen=True)
class Comparison:
    """A published number beside what the installed package computes."""

    number: PublishedNumber
    found: float

    @property
    def difference(self) -> float:
        """Ours less theirs; infinite where ours is no number."""
        return self.found - self.number.expected if math.isfinite(self.found) else math.inf

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return abs(self.difference) <= self.number.tolerance

    def as_data(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        row = self.number
        said = {"name": row.name, "source": row.source, "expected": row.expected, "tolerance": row.tolerance}
        return {**said, "found": self.found, "difference": self.difference, "ok": self.ok}


def _row(
    name: str, source: str, expected: float, compute: Callable[[], Any], tolerance: float | None = None
) -> PublishedNumber:
    rounding = 1e-11 * abs(expected) if tolerance is None else tolerance
    return PublishedNumber(name, source, expected, rounding, compute)


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


def _balance(curve: str, step: str, days: int) -> float:
    return float(training_balance(np.full(days, 100.0), step=step)[curve][-1])


def _word(counter: tuple[int, ...], key: tuple[int, int]) -> float:
    return float(philox(*(np.uint64(word) for word in (*counter, *key)))[0])


def _steady_numbers() -> list[PublishedNumber]:
    levels = {5: 5.516655566126993, 7: 7.511900714632573, 15: 15.505555144076475, 42: 42.50198410823797}
    rows = []
    for tau, level in levels.items():
        for impulse, expected in (("same_day", level), ("next_day", level - 1.0)):
            name = f"steady state of a unit load, tau {tau} d, {impulse.replace('_', ' ')}"
            one: dict[str, Any] = {"model": "one_component", "impulse": impulse}
            one |= {"gain_fitness": 1.0, "tau_fitness": tau}
            simulated, formula = partial(_last, np.ones(45 * tau), **one), partial(steady_state, 1.0, **one)
            rows.append(_row(f"{name}, simulated", CLOSED, expected, simulated))
            rows.append(_row(f"{name}, formula", CLOSED, expected, formula))
    return rows


def _numbers() -> tuple[PublishedNumber, ...]:
    ones, pi = 2**32 - 1, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    taus = {"gain_fitness": 1.0, "tau_fitness": 40.0, "gain_fatigue": 0.8, "tau_fatigue": 10.0}
    halved = {**taus, "gain_fatigue": 0.5}
    squared = {
        "gain_fitness": 0.5,
        "tau_fitness": 10.0,
        "exponent_fitness": 2.0,
        "gain_fatigue": 0.0,
        "tau_fatigue": 10.0,
        "exponent_fatigue": 1.0,
    }
    fatigue = {"gain_fitness": 0.0, "tau_fitness": 9.0, "gain_fatigue": -1.0, "tau_fatigue": 5.0}
    strained = partial(_last, [1.0, 2.0, 3.0, 0.0], model="variable_dose", tau_gain=2.0, **fatigue)
    one = {"model": "one_component"}
    return (
        _row("standard case, performance on day 2", BSH2, 99.9925184040662, lambda: _standard_case()[1]),
        _row("standard case, performance on day 3", BSH2, 100.135034006058, lambda: _standard_case()[2]),
        _row("standard case, sum of squares of the guess", BSH2, 214.48406910026378, _guess_sum_of_squares,
             tolerance=1e-7),
        _row("days until one session pays, t_n", CLARKE, 12.224707842077706,
             lambda: time_to_benefit(**_session("clarke2013"))),
        _row("days until one session pays most, t_g", CLARKE, 39.566018965827936,
             lambda: time_to_peak(**_session("clarke2013"))),
        _row("t_g for gains 1 and 0.8, taus 40 and 10 d", CLOSED, 15.50867746407574484,
             lambda: time_to_peak(**taus)),
        *_steady_numbers(),
        _row("variable dose, inclusive", CLOSED, 15.29490237590468197, partial(strained, form="inclusive")),
        _row("variable dose, exclusive", CLOSED, 4.696233777966261602, partial(strained, form="exclusive")),
        _row("variable dose, filter", CLOSED, 6.046578466634870848, partial(strained, form="filter")),
        _row("fitness delay, 10 days after a session", CLOSED, 0.4595257792490710155,
             partial(_last, [1.0] + [0.0] * 10, model="fitness_delay", tau_delay=5, **halved)),
        _row("non-linear model, settled at (tau k w)^(1/2)", CLOSED, 3.162277660168379332,
             partial(_last, [2.0] * 200, model="nonlinear", **squared)),
        _row("sessions 1.25 days apart", CLOSED, 2.838423328847599624,
             partial(_last, [1, 2, 0], times=[0, 1.25, 2.5], gain_fitness=1, tau_fitness=30, **one)),
        _row("saturation at the half load", CLOSED, 3.0,
             partial(_last, [2.0], impulse="same_day", hill=(6.0, 2.0, 3.0), gain_fitness=1, tau_fitness=10,
                     **one)),
        _row("chronic load, 42 days of 100, exponential step", CLOSED, 63.21205588285576784,
             lambda: _balance("ctl", "exponential", 42)),
        _row("acute load, 14 days of 100, exponential step", CLOSED, 86.46647167633873081,
             lambda: _balance("atl", "exponential", 14)),
        _row("chronic load, 42 days of 100, steps of 1/42", CLOSED, 63.65440478283972408,
             lambda: _balance("ctl", "reciprocal", 42)),
        _row("acute load, 14 days of 100, steps of 1/7", CLOSED, 88.44566526366951756,
             lambda: _balance("atl", "reciprocal", 14)),
        _row("reference programme, unit sum at tau 42 d", CLOSED, 10.97457136154532677,
             lambda: float(unit_sum(42.0))),
        _row("reference programme, unit sum at tau 7 d", CLOSED, 2.381064888392746563,
             lambda: float(unit_sum(7.0))),
        _row("gain of fitness for a net response of 1", CLOSED, 0.1214929758446244214,
             lambda: float(gains_from_net(1.0, 0.25, 42.0, 7.0)[0])),
        _row("log link, mean of ln y for mean 1 and SD 1", CLOSED, -0.34657359027997265471,
             lambda: Link("log").from_moments(1.0, 1.0)[0]),
        _row("log link, SD of ln y for mean 1 and SD 1", CLOSED, 0.83255461115769775635,
             lambda: Link("log").from_moments(1.0, 1.0)[1]),
        _row("random word, counter and key 0", RANDOM123, 0x6627E8D5, lambda: _word((0, 0, 0, 0), (0, 0))),
        _row("random word, counter and key all ones", RANDOM123, 0x408F276D,
             lambda: _word((ones,) * 4, (ones, ones))),
        _row("random word, counter and key from pi", RANDOM123, 0xD16CFE09,
             lambda: _word(pi, (0xA4093822, 0x299F31D0))),
        _row("normal quantile of 0.975", "tables of the normal distribution", 1.959963984540054,
             lambda: normal_quantile(0.975)),
        _row("walking at 5 km/h [ml/kg/min]", ACSM, 11.833333333333333, lambda: walking_vo2(5 / 3.6)),
        _row("running at 6 mph [ml/kg/min]", ACSM, 35.68688, lambda: running_vo2(6 * MPH)),
        _row("walking at 2.5 mph [METs]", COMPENDIUM, 3.0, lambda: mets("walk_forward", 2.5 * MPH),
             tolerance=0.1),
        _row("walking backwards at 3.5 mph, 5 % [METs]", COMPENDIUM, 8.0,
             lambda: mets("walk_backward", 3.5 * MPH, 0.05), tolerance=0.2),
    )  # fmt: skip


#: All numbers of the table.
NUMBERS = _numbers()

_PHYSIOTHERAPY = {"modality": "physiotherapy", "minutes": 30, "per_week": 3}
_WALK = {"modality": "walk", "minutes": 20, "per_week": 3, "backward_share": 0.5, "match": "energy"}

#: A trial with two modalities, progression, rest, dropouts and partial attendance, for the laws of trials.
TRIAL: dict[str, Any] = {
    "format": "retrowalk-scenario/1", "seed": 20261122, "draws": 2,
    "population": {"preset": "knee_oa", "size": 40},
    "outcomes": ["knee_pain", "quadriceps_strength"],
    "assess": {"weeks": [0, 2, 4, 6]},
    "arms": {
        "usual_care": {"phases": [{"weeks": 4, "sessions": [_PHYSIOTHERAPY]}]},
        "walking": {"phases": [
            {"weeks": 3, "sessions": [_PHYSIOTHERAPY, _WALK], "progression": {"minutes": "+10 % per week"}},
            {"weeks": 1},
        ]},
    },
}  # fmt: skip

#: Every model family, with values for what it needs; the laws of trials hold in all.
MODEL_BLOCKS: tuple[dict[str, Any], ...] = (
    {"family": "banister"},
    {"family": "one_component", "impulse": "same_day"},
    {"family": "fitness_delay", "tau_delay": 5},
    {"family": "variable_dose", "tau_gain": 5},
    {"family": "nonlinear"},
)


@dataclass(frozen=True)
class TrialResult:
    """A law of whole trials, and what happened instead in the families in which it is broken."""

    law: TrialLaw
    broken: dict[str, str]


@dataclass(frozen=True)
class SelfTest:
    """Result of `selftest`.

    Parameters
    ----------
    numbers : tuple of Comparison
        Published and independently computed numbers.
    laws : Report
        Laws of the fitness-fatigue model, on `retrowalk.fitness_fatigue`.
    trials : tuple of TrialResult
        Laws of whole trials, on `retrowalk.simulate` in every model family.
    """

    numbers: tuple[Comparison, ...]
    laws: Report
    trials: tuple[TrialResult, ...]

    @property
    def checks(self) -> int:
        """Number of checks, each of which has a line of its own in the table."""
        return len(self.numbers) + len(self.laws.held) + len(self.laws.broken) + len(self.trials)

    @property
    def failures(self) -> int:
        """Numbers that differ and laws that are broken."""
        wrong = [row for row in self.numbers if not row.ok]
        return len(wrong) + len(self.laws.broken) + len([row for row in self.trials if row.broken])

    @property
    def ok(self) -> bool:
        """Whether all numbers agree and all laws hold."""
        return self.failures == 0

    def as_data(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""

        def said(law: Law | TrialLaw, **breach: object) -> dict[str, Any]:
            return {"law": law.name, "sentence": law.sentence, "holds": not breach, **breach}

        return {
            "ok": self.ok,
            "checks": self.checks,
            "numbers": [row.as_data() for row in self.numbers],
            "laws": [said(law) for law in self.laws.held]
            + [said(row.law, case=str(row.case), found=row.found) for row in self.laws.broken],
            "trials": [said(row.law, **({"found": row.broken} if row.broken else {})) for row in self.trials],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        width = max(len(row.number.name) for row in self.numbers)
        yield f"    {'number':<{width}}  {'expected':>18}  {'found':>18}  {'difference':>10}  source"
        for row in self.numbers:
            values = f"{row.number.expected:>18.12g}  {row.found:>18.12g}  {row.difference:>10.2g}"
            yield f"{_mark(row.ok)}  {row.number.name:<{width}}  {values}  {row.number.source}"
        yield ""
        yield "    laws of the fitness-fatigue model"
        yield from (f"{_mark(True)}  {law.sentence}" for law in self.laws.held)
        yield from (f"{_mark(False)}  {breach}" for breach in self.laws.broken)
        yield ""
        yield "    laws of whole trials, in every model family"
        for trial in self.trials:
            yield f"{_mark(not trial.broken)}  {trial.law.sentence}"
            yield from (f"      {family}: {instead}" for family, instead in trial.broken.items())


def _mark(ok: bool) -> str:
    return "ok" if ok else "NO"


def selftest(
    *,
    examples: int = 30,
    numbers: Sequence[PublishedNumber] = NUMBERS,
    trial_laws: Iterable[TrialLaw] = tuple(TRIAL_LAWS.values()),
) -> SelfTest:
    """Compare the installed package with published numbers and try its laws; takes some seconds.

    Parameters
    ----------
    examples : int
        Cases tried for each law of the fitness-fatigue model.
    numbers : sequence of PublishedNumber
        What to compute again.
    trial_laws : iterable of TrialLaw
        Laws of whole trials to try.

    Returns
    -------
    SelfTest
        ``ok`` says whether everything agrees, ``str`` gives the table.

    Examples
    --------
    >>> from retrowalk.testing import selftest
    >>> result = selftest(examples=5)
    >>> result.ok, result.failures
    (True, 0)
    """
    return SelfTest(
        tuple(number.compare() for number in numbers),
        check_model(fitness_fatigue, examples=examples),
        tuple(TrialResult(law, _broken(law)) for law in trial_laws),
    )


def _broken(law: TrialLaw) -> dict[str, str]:
    checked = {model["family"]: law.check({**TRIAL, "model": model}) for model in MODEL_BLOCKS}
    return {family: instead for family, instead in checked.items() if instead}
