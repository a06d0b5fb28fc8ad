"""The self-test: published numbers and laws, beside what the installed package computes.

No expected number is retrowalk's own output. Those of published_numbers.csv are as printed, the rounded ones
with half a unit of the last digit as the tolerance; the others were computed with 40 decimal digits apart
from this package, and 1e-11 of the number is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from retrowalk import fitness_fatigue, training_balance
from retrowalk.kernels.random import normal_quantile, philox
from retrowalk.model.analytics import steady_state, time_to_benefit, time_to_peak
from retrowalk.model.family import FAMILIES, IMPULSES
from retrowalk.model.gains import gains_from_net, unit_sum
from retrowalk.model.links import Link
from retrowalk.model.metabolic import mets, running_vo2, walking_vo2
from retrowalk.response.presets import preset
from retrowalk.scenario import FORMAT
from retrowalk.tables import Row, read_table
from retrowalk.testing.checking import Report, check_model
from retrowalk.testing.laws import Law
from retrowalk.testing.model_cases import required_times
from retrowalk.testing.trial_laws import TRIAL_LAWS, TrialLaw


@dataclass(frozen=True)
class PublishedNumber:
    """A number as its source prints it, by how much a right answer may be off, and what computes it again."""

    name: str
    source: str
    expected: float
    tolerance: float
    compute: Callable[[], Any]

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
        return {
            "name": row.name, "source": row.source, "expected": row.expected, "tolerance": row.tolerance,
            "found": self.found, "difference": self.difference, "ok": self.ok,
        }  # fmt: skip


def _last(load: Any, **settings: Any) -> Any:  # noqa: ANN401  what the function takes
    return fitness_fatigue(load, **settings)[-1]


def _balance(curve: str, step: str, days: int) -> Any:  # noqa: ANN401  a number
    return training_balance(np.full(days, 100.0), step=step)[curve][-1]


def _word(counter: tuple[int, ...], key: tuple[int, int]) -> Any:  # noqa: ANN401  a number
    return philox(*(np.uint64(word) for word in (*counter, *key)))[0]


def _computed() -> dict[str, Callable[[], Any]]:
    """What computes each number of the table again, by its name there."""
    # Loads of 20 days, repeated five times in the simulator's standard case.
    days = (1, 1.2, 0.5, 1.8, 2, 0.25, 0.7, 0.9, 0, 0.5, 1, 0.8, 1.2, 1.3, 0.9, 0, 0, 2, 1.1, 0.5)
    standard = partial(fitness_fatigue, np.tile(days, 5), **preset("bsh2"))
    guessed = {"baseline": 97, "gain_fitness": 1.3, "tau_fitness": 30, "gain_fatigue": 1.6, "tau_fatigue": 8}
    guess = partial(fitness_fatigue, np.tile(days, 5), **preset("bsh2", **guessed))
    clarke = {name: preset("clarke2013")[name] for name in FAMILIES["banister"].parameters}
    forty = {"gain_fitness": 1.0, "tau_fitness": 40.0, "gain_fatigue": 0.8, "tau_fatigue": 10.0}
    squared = {
        "gain_fitness": 0.5, "tau_fitness": 10.0, "exponent_fitness": 2.0,
        "gain_fatigue": 0.0, "tau_fatigue": 10.0, "exponent_fatigue": 1.0,
    }  # fmt: skip
    fatigue = {"gain_fitness": 0.0, "tau_fitness": 9.0, "gain_fatigue": -1.0, "tau_fatigue": 5.0}
    strained = partial(_last, [1.0, 2.0, 3.0, 0.0], model="variable_dose", tau_gain=2.0, **fatigue)
    delayed = {**forty, "model": "fitness_delay", "gain_fatigue": 0.5, "tau_delay": 5}
    one = {"model": "one_component", "gain_fitness": 1.0}
    ones, pi = 2**32 - 1, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    mph = 0.44704
    steady: dict[str, Callable[[], Any]] = {}
    for tau in (5, 7, 15, 42):
        for impulse in IMPULSES:
            name = f"steady state of a unit load, tau {tau} d, {impulse.replace('_', ' ')}"
            settings = {**one, "impulse": impulse, "tau_fitness": tau}
            steady[f"{name}, simulated"] = partial(_last, np.ones(45 * tau), **settings)
            steady[f"{name}, formula"] = partial(steady_state, 1.0, **settings)
    return steady | {
        "standard case, performance on day 2": lambda: standard()[1],
        "standard case, performance on day 3": lambda: standard()[2],
        # Error of a guess on every third day, the days of the simulator's tests.
        "standard case, sum of squares of the guess": lambda: np.sum((guess() - standard())[::3] ** 2),
        "days until one session pays, t_n": partial(time_to_benefit, **clarke),
        "days until one session pays most, t_g": partial(time_to_peak, **clarke),
        "t_g for gains 1 and 0.8, taus 40 and 10 d": partial(time_to_peak, **forty),
        "variable dose, inclusive": partial(strained, form="inclusive"),
        "variable dose, exclusive": partial(strained, form="exclusive"),
        "variable dose, filter": partial(strained, form="filter"),
        "fitness delay, 10 days after a session": partial(_last, [1.0] + [0.0] * 10, **delayed),
        "non-linear model, settled at (tau k w)^(1/2)": partial(
            _last, [2.0] * 200, model="nonlinear", **squared
        ),
        "sessions 1.25 days apart": partial(_last, [1, 2, 0], times=[0, 1.25, 2.5], tau_fitness=30, **one),
        "saturation at the half load": partial(
            _last, [2.0], impulse="same_day", hill=(6.0, 2.0, 3.0), tau_fitness=10, **one
        ),
        "chronic load, 42 days of 100, exponential step": partial(_balance, "ctl", "exponential", 42),
        "acute load, 14 days of 100, exponential step": partial(_balance, "atl", "exponential", 14),
        "chronic load, 42 days of 100, steps of 1/42": partial(_balance, "ctl", "reciprocal", 42),
        "acute load, 14 days of 100, steps of 1/7": partial(_balance, "atl", "reciprocal", 14),
        "reference programme, unit sum at tau 42 d": partial(unit_sum, 42.0),
        "reference programme, unit sum at tau 7 d": partial(unit_sum, 7.0),
        "gain of fitness for a net response of 1": lambda: gains_from_net(1.0, 0.25, 42.0, 7.0)[0],
        "log link, mean of ln y for mean 1 and SD 1": lambda: Link("log").from_moments(1.0, 1.0)[0],
        "log link, SD of ln y for mean 1 and SD 1": lambda: Link("log").from_moments(1.0, 1.0)[1],
        "random word, counter and key 0": partial(_word, (0, 0, 0, 0), (0, 0)),
        "random word, counter and key all ones": partial(_word, (ones,) * 4, (ones, ones)),
        "random word, counter and key from pi": partial(_word, pi, (0xA4093822, 0x299F31D0)),
        "normal quantile of 0.975": partial(normal_quantile, 0.975),
        "walking at 5 km/h [ml/kg/min]": partial(walking_vo2, 5 / 3.6),
        "running at 6 mph [ml/kg/min]": partial(running_vo2, 6 * mph),
        "walking at 2.5 mph [METs]": partial(mets, "walk_forward", 2.5 * mph),
        "walking backwards at 3.5 mph, 5 % [METs]": partial(mets, "walk_backward", 3.5 * mph, 0.05),
    }


class _Published(Row):
    name: str
    source: str
    expected: float
    tolerance: float | None = None


def _numbers() -> tuple[PublishedNumber, ...]:
    rows = read_table(Path(__file__).with_name("published_numbers.csv"), _Published)
    computed = _computed()
    return tuple(
        PublishedNumber(
            row.name, row.source, row.expected,
            1e-11 * abs(row.expected) if row.tolerance is None else row.tolerance, computed[row.name],
        )
        for row in rows
    )  # fmt: skip


#: All numbers of the table.
NUMBERS = _numbers()


_PHYSIOTHERAPY = {"modality": "physiotherapy", "minutes": 30, "per_week": 3}
_WALK = {"modality": "walk", "minutes": 20, "per_week": 3, "backward_share": 0.5, "match": "energy"}

#: A trial with two modalities, progression, rest, dropouts and partial attendance, for the laws of trials.
TRIAL: dict[str, Any] = {
    "format": FORMAT, "seed": 20261122, "draws": 2,
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

#: A model of every family, the conventions in turn; the laws of trials hold in all.
MODELS: tuple[dict[str, Any], ...] = tuple(
    {"family": name, "impulse": impulse, **dict.fromkeys(required_times(family), 5)}
    for (name, family), impulse in zip(FAMILIES.items(), cycle(IMPULSES), strict=False)
)


@dataclass(frozen=True)
class TrialResult:
    """A law of whole trials, and what happened instead in the families in which it is broken."""

    law: TrialLaw
    broken: dict[str, str]


@dataclass(frozen=True)
class SelfTest:
    """Result of `selftest`: published numbers, laws of `retrowalk.fitness_fatigue` and of whole trials."""

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
        width = max(len(row.number.name) for row in self.numbers)
        lines = [f"    {'number':<{width}}  {'expected':>18}  {'found':>18}  {'difference':>10}  source"]
        for row in self.numbers:
            values = f"{row.number.expected:>18.12g}  {row.found:>18.12g}  {row.difference:>10.2g}"
            mark = "ok" if row.ok else "NO"
            lines += [f"{mark}  {row.number.name:<{width}}  {values}  {row.number.source}"]
        lines += ["", "    laws of the fitness-fatigue model"]
        lines += [f"ok  {law.sentence}" for law in self.laws.held]
        lines += [f"NO  {breach}" for breach in self.laws.broken]
        lines += ["", "    laws of whole trials, in every model family"]
        for trial in self.trials:
            lines += [f"{'NO' if trial.broken else 'ok'}  {trial.law.sentence}"]
            lines += [f"      {family}: {instead}" for family, instead in trial.broken.items()]
        return "\n".join(lines)


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
        tuple(TrialResult(law, law.broken_in(TRIAL, MODELS)) for law in trial_laws),
    )
