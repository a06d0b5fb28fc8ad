"""The installed package against published numbers and its own laws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from retrowalk import fitness_fatigue
from retrowalk.testing.check import Report, check_model
from retrowalk.testing.published import found_by, numbers
from retrowalk.testing.trials import TRIAL_LAWS, TrialLaw

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
