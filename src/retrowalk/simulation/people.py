"""The people of a trial: baselines, responses, measurement errors, and who is there on which day."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import baseline, measurement, outcomes
from retrowalk.cohort import attendance_mask, baseline_z, fill_measurement_noise, response_z, weeks_completed
from retrowalk.errors import InputError
from retrowalk.kernels import readings
from retrowalk.kernels.readings import IDENTITY, LOG, LOGIT
from retrowalk.kernels.types import Instrument, Members
from retrowalk.model.links import Link
from retrowalk.scenario import InclusionLimits, Scenario, UserBaseline
from retrowalk.simulation.arms import ArmPlan, recorded_days
from retrowalk.simulation.memory import MANY

Single = NDArray[np.float32]
Flags = NDArray[np.bool_]

#: Part of an instrument's step by which the minimal important change is lowered: a reading that equals it has
#: reached it, whatever the last bit of a single-precision difference.
MARGIN = 1e-3
KINDS = {"identity": IDENTITY, "log": LOG, "logit": LOGIT}


@dataclass(frozen=True, slots=True)
class MeasuredOutcome:
    """One outcome in one population, in the outcome's unit and on its link scale.

    Attributes
    ----------
    mu, sd : float
        Baseline on the link scale.
    typical_sd : float
        SD on the link scale of the population as catalogued; gains count in it, so that choosing narrower
        people does not make training work less.
    low, high : float
        Inclusion limits as standard scores; infinite where there are none.
    link : tuple of 7 floats
        Kind, bounds, lowest and highest reading, step, standard error: see `kernels.types.Instrument`.
    benefit : (float, float)
        Direction of benefit (+1, -1), and minimal important change less `MARGIN`.
    """

    slot: int
    mu: float
    sd: float
    typical_sd: float
    low: float
    high: float
    link: tuple[float, ...]
    benefit: tuple[float, float]

    def for_kernels(self) -> Instrument:
        """The same as kernels take it."""
        kind, lower, upper, low, high, step, sem = self.link
        return Instrument(int(kind), lower, upper, low, high, step, sem, *self.benefit)


def measures(scenario: Scenario) -> tuple[MeasuredOutcome, ...]:
    """Look up every outcome of the scenario.

    Raises `InputError` where neither catalogue nor scenario has a baseline, or one does not fit the bounds.
    """
    people = scenario.population
    return tuple(
        _measure(name, people.preset, people.baseline.get(name), people.include.get(name))
        for name in scenario.outcomes
    )


# Cases of a sweep mostly share their population.
@functools.lru_cache(maxsize=256)
def _measure(
    name: str, preset: str, own: UserBaseline | None, limits: InclusionLimits | None
) -> MeasuredOutcome:
    outcome = outcomes()[name]
    link = Link(outcome.link, outcome.lower, outcome.upper)
    known = own or baseline(preset, name)
    mu, sd = link.from_moments(known.mean, known.sd)
    typical_sd = sd
    if own is not None:
        # Where nothing is catalogued, the user's own spread is the only one there is.
        with suppress(InputError):
            catalogued = baseline(preset, name)
            typical_sd = link.from_moments(catalogued.mean, catalogued.sd)[1]
    low, high = -np.inf, np.inf
    if limits is not None and limits.min is not None:
        low = (float(link.forward(limits.min)) - mu) / sd
    if limits is not None and limits.max is not None:
        high = (float(link.forward(limits.max)) - mu) / sd
    if low > 6 or high < -6:
        raise InputError(
            f"population.include.{name}: hardly anybody of this population lies within these limits"
        )
    error = measurement(preset, name)
    lowest = -np.inf if outcome.lower is None else outcome.lower
    highest = np.inf if outcome.upper is None else outcome.upper
    bounds = (lowest, highest) if outcome.link == "logit" else (0.0, 1.0)
    return MeasuredOutcome(
        list(outcomes()).index(name), mu, sd, typical_sd, low, high,
        (float(KINDS[outcome.link]), *bounds, lowest, highest, outcome.resolution, error.sem),
        (1.0 if outcome.better == "higher" else -1.0, error.mic - MARGIN * outcome.resolution),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class People:
    """Members of one replicate: the same seed and replicate give the same people everywhere.

    `key` is the pair (seed, replicate) of their random numbers, `first` the number of the first member.
    Traits are drawn when they are needed: those of all outcomes at once would take more memory than all else.
    """

    key: tuple[int, int]
    size: int
    first: int = 0

    def part(self, begin: int, end: int) -> People:
        """Members `begin` to `end` - 1 of these, or up to the last of them."""
        return People(self.key, min(end, self.size) - begin, self.first + begin)

    def members(self, measure: MeasuredOutcome, first_day: int) -> Members:
        """Traits for one outcome; `first_day` is the day of the baseline assessment."""
        draw = _members if self.size < MANY else _members.__wrapped__
        return draw(self, measure, first_day)

    def noise(self, measure: MeasuredOutcome, days: Sequence[int]) -> Single:
        """Standard normal errors of measurement, (days, members)."""
        out = np.empty((len(days), self.size), np.float32)
        for row, day in zip(out, days, strict=True):
            fill_measurement_noise(*self.key, self.first, measure.slot, day, row)
        return out


def recruit(scenario: Scenario, replicate: int) -> People:
    """The members of a replicate."""
    return People((scenario.seed, replicate), scenario.population.size)


# Draws and arms share their people.
@functools.lru_cache(maxsize=32)
def _members(people: People, measure: MeasuredOutcome, first_day: int) -> Members:
    drawn = (*people.key, people.first, people.size, measure.slot)
    z = np.asarray(response_z(*drawn), np.float32)
    score = baseline_z(*drawn, (measure.low, measure.high))
    start = np.asarray(measure.mu + measure.sd * score, np.float32)
    true, observed = np.empty_like(start), np.empty_like(start)
    readings.measure(measure.for_kernels(), start, people.noise(measure, [first_day])[0], true, observed)
    return Members(z, start, true, observed)


def presence(people: People, plan: ArmPlan, scenario: Scenario) -> tuple[Flags, Flags]:
    """Who attends which visit and who is assessed when.

    Returns
    -------
    attended : (visits, members) bool
        After dropping out a member comes no more.
    assessed : (assessments, members) bool
        Everybody at the baseline; later those who have not dropped out, or all under ``stay_assessed``.
    """
    days = np.array(recorded_days(scenario), dtype=np.int64)
    left = 7 * weeks_completed(*people.key, 0, people.size, plan.hazard)
    attended = attendance_mask(*people.key, 0, people.size, plan.days, plan.attendance, plan.spread)
    # Row by row: of a million members even a table of truth values is large.
    for day, row in zip(plan.days, attended, strict=True):
        row &= day < left
    assessed = np.ones((len(days), people.size), bool)
    if scenario.adherence.dropout != "stay_assessed":
        for day, row in zip(days, assessed, strict=True):
            row[:] = day <= left
    return attended, assessed
