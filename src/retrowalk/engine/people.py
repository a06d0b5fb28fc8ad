"""The people of a trial: baselines, responses, measurement errors, and who is there on which day."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import baseline, measurement, outcomes
from retrowalk.cohort import attendance_mask, baseline_z, measurement_noise, response_z, weeks_completed
from retrowalk.engine.plan import ArmPlan, recorded_days
from retrowalk.errors import InputError
from retrowalk.kernels.links import IDENTITY, LOG, LOGIT, inverse_link, record
from retrowalk.model.links import Link
from retrowalk.scenario import Scenario

Single = NDArray[np.float32]

#: Part of an instrument's step by which the minimal important change is lowered: a reading that equals it has
#: reached it, whatever the last bit of a single-precision difference.
HAIR = 1e-3
KINDS = {"identity": IDENTITY, "log": LOG, "logit": LOGIT}


@dataclass(frozen=True, slots=True)
class Measure:
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
        Kind, bounds, lowest and highest reading, step, standard error: see `kernels.summaries`.
    benefit : (float, float)
        Direction of benefit (+1, -1), and minimal important change less a hair.
    """

    slot: int
    mu: float
    sd: float
    typical_sd: float
    low: float
    high: float
    link: tuple[float, ...]
    benefit: tuple[float, float]


def measures(scenario: Scenario) -> tuple[Measure, ...]:
    """Look up every outcome of the scenario.

    Raises
    ------
    InputError
        Where neither catalogue nor scenario has a baseline, or a baseline does not fit the outcome's bounds.
    """
    return tuple(_measure(scenario, name) for name in scenario.outcomes)


def _measure(scenario: Scenario, name: str) -> Measure:
    outcome = outcomes()[name]
    preset = scenario.population.preset
    link = Link(outcome.link, outcome.lower, outcome.upper)
    own = scenario.population.baseline.get(name)
    known = own or baseline(preset, name)
    mu, sd = link.from_moments(known.mean, known.sd)
    typical_sd = sd
    if own is not None:
        try:
            catalogued = baseline(preset, name)
        except InputError:
            pass  # nothing is catalogued, so the user's own spread is the only one there is
        else:
            typical_sd = link.from_moments(catalogued.mean, catalogued.sd)[1]
    low, high = _standard_limits(scenario, name, link, mu, sd)
    error = measurement(preset, name)
    lowest = -np.inf if outcome.lower is None else outcome.lower
    highest = np.inf if outcome.upper is None else outcome.upper
    bounds = (lowest, highest) if outcome.link == "logit" else (0.0, 1.0)
    return Measure(
        list(outcomes()).index(name), mu, sd, typical_sd, low, high,
        (float(KINDS[outcome.link]), *bounds, lowest, highest, outcome.resolution, error.sem),
        (1.0 if outcome.better == "higher" else -1.0, error.mic - HAIR * outcome.resolution),
    )  # fmt: skip


def _standard_limits(scenario: Scenario, name: str, link: Link, mu: float, sd: float) -> tuple[float, float]:
    limits = scenario.population.include.get(name)
    if limits is None:
        return -np.inf, np.inf
    low = -np.inf if limits.min is None else (float(link.forward(limits.min)) - mu) / sd
    high = np.inf if limits.max is None else (float(link.forward(limits.max)) - mu) / sd
    if low > 6 or high < -6:
        raise InputError(
            f"population.include.{name}: hardly anybody of this population lies within these limits"
        )
    return low, high


@dataclass(frozen=True, slots=True)
class People:
    """Members of one replicate; arrays as in `kernels.summaries.summarize_arm`.

    `key` is the pair (seed, replicate) of their random numbers.
    """

    key: tuple[int, int]
    size: int
    z: Single
    start: Single
    base_true: Single
    base_observed: Single
    noise: Single


def recruit(scenario: Scenario, looked_up: tuple[Measure, ...], replicate: int) -> People:
    """Draw the members of a replicate: the same seed and replicate give the same people everywhere."""
    return _recruit((scenario.seed, replicate), scenario.population.size, looked_up, recorded_days(scenario))


# Cases of a sweep mostly share their people: the last ones drawn are kept.
@functools.lru_cache(maxsize=1)
def _recruit(
    key: tuple[int, int], size: int, looked_up: tuple[Measure, ...], days: tuple[int, ...]
) -> People:
    shape = (len(looked_up), size)
    z, start, base_true, base_observed = (np.empty(shape, np.float32) for _ in range(4))
    noise = np.empty((len(looked_up), len(days), size), np.float32)
    for k, measure in enumerate(looked_up):
        score = baseline_z(*key, 0, size, measure.slot, (measure.low, measure.high))
        start[k] = measure.mu + measure.sd * score
        z[k] = response_z(*key, 0, size, measure.slot)
        for e, day in enumerate(days):
            noise[k, e] = measurement_noise(*key, 0, size, measure.slot, day)
        kind, lower, upper, lowest, highest, step, sem = measure.link
        inverse_link(int(kind), lower, upper, start[k], base_true[k])
        record(base_true[k], noise[k, 0], sem, lowest, highest, step, base_observed[k])
    return People(key, size, z, start, base_true, base_observed, noise)


def presence(people: People, plan: ArmPlan, scenario: Scenario) -> tuple[Single, NDArray[np.bool_]]:
    """Who attends which visit and who is assessed when.

    Returns
    -------
    attended : (visits, members) float32
        1 where a member came, else 0; after dropping out a member comes no more.
    assessed : (assessments, members) bool
        Everybody at the baseline; later those who have not dropped out, or all under ``stay_assessed``.
    """
    days = np.array(recorded_days(scenario), dtype=np.int64)
    left = 7 * weeks_completed(*people.key, 0, people.size, plan.hazard)
    came = attendance_mask(*people.key, 0, people.size, plan.days, plan.attendance, plan.spread)
    attended = came & (plan.days[:, None] < left[None, :])
    stays = scenario.adherence.dropout == "stay_assessed"
    assessed = np.ones((len(days), people.size), bool) if stays else days[:, None] <= left[None, :]
    return attended.astype(np.float32), np.ascontiguousarray(assessed)
