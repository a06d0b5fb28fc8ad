"""What must hold of the calibration, as numbers beside their limits, met or missed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from retrowalk.calibrate.observations import Observation, observations
from retrowalk.calibrate.protocol import protocol
from retrowalk.calibrate.pulls import Refits
from retrowalk.calibrate.run import SEED
from retrowalk.calibrate.scoreboard.board import Board
from retrowalk.calibrate.scoreboard.predictive import Predictive
from retrowalk.calibrate.scoreboard.scores import coverage_band
from retrowalk.catalogue import outcomes
from retrowalk.evidence import Effect, Evidence, grade, load_evidence
from retrowalk.parameters import load_posterior

#: The trial of knee osteoarthritis whose own verdict on direction is in no fit.
TRIAL = "alghadir2019"
#: As many as the shipped draws are chosen from.
SEED_CANDIDATES = 20_000


@dataclass(frozen=True)
class Target:
    """One thing that must hold.

    Attributes
    ----------
    name, value, limit : str
        In words.
    met : bool
    """

    name: str
    value: str
    limit: str
    met: bool


def targets(board: Board, *, seed: int = SEED, candidates: int = 6000) -> tuple[Target, ...]:
    """All targets; `board` must be one of leave-one-study-out."""
    evidence = load_evidence()
    number = len(observations(evidence))
    parts = (
        [_target("numeric rows in the likelihood", number, "at least 31", number >= 31, "{:d}")],
        _left_out(board),
        _knee(evidence, seed, candidates),
        _cognition(),
        _seeds(evidence, seed, SEED_CANDIDATES),
    )
    return tuple(target for part in parts for target in part)


def _target(name: str, value: float, limit: str, met: bool, form: str = "{:.2f}") -> Target:
    return Target(name, form.format(value), limit, bool(met))


def _left_out(board: Board) -> Iterator[Target]:
    own, prior = board.scores["retrowalk"], board.scores["prior"]
    mean, nothing = board.scores["random_effects"], board.scores["no_effect"]
    low, high = coverage_band(own.rows)
    yield _target("left out: coverage of 90 % intervals", own.coverage_90, f"{low:.2f} to {high:.2f}",
                  low <= own.coverage_90 <= high)  # fmt: skip
    ratio = own.mean_width_90 / prior.mean_width_90
    yield _target("left out: mean width / the priors'", ratio, "at most 0.75", ratio <= 0.75, "{:.3f}")
    ratio = own.mean_width_90 / mean.mean_width_90
    yield _target("left out: mean width / random-effects mean's", ratio, "at most 1", ratio <= 1.0, "{:.3f}")
    for other, name, limit, least in (
        (nothing, "no effect", "above 2 SE", 2.0),
        (mean, "random-effects mean", "not below -2 SE", -2.0),
    ):
        value = f"{other.behind:+.1f} (SE {other.behind_se:.1f})"
        met = other.behind > least * other.behind_se
        yield Target(f"left out: log score above {name}", value, limit, met)
    yield _target("left out: mean normal score of PIT", own.pit_mean_z, "-0.5 to 0.5",
                  abs(own.pit_mean_z) <= 0.5)  # fmt: skip


def _knee(evidence: Evidence, seed: int, candidates: int) -> Iterator[Target]:
    for outcome, other, after, before in knee_chances(evidence, seed, candidates):
        control = other == "usual care"
        yield Target(
            f"knee trial, {outcomes()[outcome].label.lower()}: chance of significance against {other}",
            f"{after:.2f} (priors alone {before:.2f})",
            "at least 0.6" if control else "below 0.5",
            after >= 0.6 if control else after < 0.5,
        )


def knee_chances(evidence: Evidence, seed: int, candidates: int) -> list[tuple[str, str, float, float]]:
    """Probability that a trial of the real size calls backward walking significantly better.

    Per outcome and comparator: after the fit and by the priors alone.
    """
    fitted = observations(evidence)
    asked = [row for row in fitted if row.source == TRIAL and len(row.arms) == 2]
    asked += [_against_forward(evidence, row) for row in asked]
    refits = Refits.of((*fitted, *asked), seed=seed, candidates=candidates)
    wanted = np.arange(len(fitted), len(fitted) + len(asked))
    chances = [
        _chance(Predictive.of(refits, used, wanted), asked, evidence)
        for used in (np.arange(len(fitted)), np.empty(0, np.intp))
    ]
    return [
        (row.outcome, "usual care" if row.arms[1].endswith("/control") else "forward walking", after, before)
        for row, after, before in zip(asked, *chances, strict=True)
    ]


def _chance(found: Predictive, rows: list[Observation], evidence: Evidence) -> list[float]:
    chances = []
    for i, row in enumerate(rows):
        bar = bar_of(row, evidence)
        chances.append(float(found.weights @ ndtr((found.mean[:, i] - bar) / found.sd[:, i])))
    return chances


def bar_of(row: Observation, evidence: Evidence) -> float:
    """Difference from which on a two-sided test at .05 calls this contrast significant [as `row.value`]."""
    size = sum(evidence.arm(arm).n or 0 for arm in row.arms)
    return float(student.ppf(0.975, size - 2)) * row.se


def _against_forward(evidence: Evidence, row: Observation) -> Observation:
    """The same comparison with the trial's forward arm in place of its control."""
    effect: Effect = evidence.effect(row.id)
    arms = (row.arms[0], f"{TRIAL}/forward")
    sizes = [evidence.arm(arm).n or 1 for arm in arms]
    own = [evidence.arm(arm).n or 1 for arm in row.arms]
    ratio = math.sqrt(sum(1 / n for n in sizes) / sum(1 / n for n in own))
    after = None if effect.days_after_last_imputed else effect.days_after_last
    programmes = tuple(protocol(evidence.arm(arm), effect.population, after) for arm in arms)
    return dataclasses.replace(row, id=f"{row.id}/forward", arms=arms, se=row.se * ratio,
                               protocols=programmes)  # fmt: skip


def _cognition() -> Iterator[Target]:
    gain = load_posterior()["gain"].sel(component="walk_backward", outcome="cognition").values
    share = float((gain > 0).mean())
    yield _target("cognition: P(gain of backward walking above 0)", share, "0.05 to 0.95",
                  0.05 <= share <= 0.95)  # fmt: skip
    found = grade("walk_backward", "cognition")
    yield Target("cognition: evidence grade", found, "acute_only", found == "acute_only")


def _seeds(evidence: Evidence, seed: int, candidates: int) -> Iterator[Target]:
    """How far other seeds move the headline: the knee trial's expected contrasts."""
    fitted = observations(evidence)
    wanted = [i for i, row in enumerate(fitted) if row.source == TRIAL and len(row.arms) == 2]
    found = []
    for other in range(seed, seed + 3):
        mean, sd = Refits.of(fitted, seed=other, candidates=candidates).predict(lambda row: True)
        found.append((mean[wanted], sd[wanted]))
    moved = np.ptp([mean for mean, _ in found], axis=0) / np.mean([sd for _, sd in found], axis=0)
    largest = float(moved.max())
    yield _target("three seeds: largest shift of a headline, posterior SD", largest, "below 0.1",
                  largest < 0.1)  # fmt: skip
