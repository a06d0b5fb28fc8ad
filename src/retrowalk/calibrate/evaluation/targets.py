"""What must hold of the calibration, met or missed, and the reasons behind a miss.

Targets are numbers beside their limits. Reasons take a miss apart: which rows carry it, and how far the
evidence could go at all.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from retrowalk.calibrate import SEED, Observation, Refits, observations, study_protocol
from retrowalk.calibrate.evaluation.scoreboard import CANDIDATES, Predictive, Scoreboard, coverage_band
from retrowalk.catalogue import outcomes
from retrowalk.evidence import Evidence, grade, load_evidence
from retrowalk.parameters import load_posterior

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
KNEE_TRIAL = "alghadir2019"  #: the trial of knee osteoarthritis whose own verdict on direction is in no fit
SEED_CANDIDATES = 20_000  #: as many as the shipped draws are chosen from
BASES = 2000  #: simulated evidence bases that show what coverage a right model would have


@dataclass(frozen=True)
class Target:
    """One thing that must hold, in words."""

    name: str
    value: str
    limit: str
    met: bool


def targets(board: Scoreboard, *, seed: int = SEED, candidates: int = CANDIDATES) -> tuple[Target, ...]:
    """All targets; `board` must be one of leave-one-study-out."""
    evidence = load_evidence()
    number = len(observations(evidence))
    own, prior = board.scores["retrowalk"], board.scores["prior"]
    mean, nothing = board.scores["random_effects"], board.scores["no_effect"]
    low, high = coverage_band(own.rows)
    of_prior, of_mean = (own.mean_width_90 / other.mean_width_90 for other in (prior, mean))
    lead, lead_of_mean = (f"{other.behind:+.1f} (SE {other.behind_se:.1f})" for other in (nothing, mean))
    gain = load_posterior()["gain"].sel(component="walk_backward", outcome="cognition").values
    positive, graded = float((gain > 0).mean()), grade("walk_backward", "cognition")
    moved = _shift_between_seeds(evidence, seed)
    left_out = [
        Target("numeric rows in the likelihood", f"{number}", "at least 31", number >= 31),
        Target("left out: coverage of 90 % intervals", f"{own.coverage_90:.2f}", f"{low:.2f} to {high:.2f}",
               low <= own.coverage_90 <= high),
        Target("left out: mean width / the priors'", f"{of_prior:.3f}", "at most 0.75", of_prior <= 0.75),
        Target("left out: mean width / random-effects mean's", f"{of_mean:.3f}", "at most 1", of_mean <= 1.0),
        Target("left out: log score above no effect", lead, "above 2 SE",
               nothing.behind > 2.0 * nothing.behind_se),
        Target("left out: log score above random-effects mean", lead_of_mean, "not below -2 SE",
               mean.behind > -2.0 * mean.behind_se),
        Target("left out: mean normal score of PIT", f"{own.pit_mean_z:.2f}", "-0.5 to 0.5",
               abs(own.pit_mean_z) <= 0.5),
    ]  # fmt: skip
    knee = [
        Target(
            f"knee trial, {outcomes()[outcome].label.lower()}: chance of significance against {other}",
            f"{after:.2f} (priors alone {before:.2f})",
            "at least 0.6" if other == "usual care" else "below 0.5",
            after >= 0.6 if other == "usual care" else after < 0.5,
        )
        for outcome, other, after, before in knee_chances(evidence, seed, candidates)
    ]
    return (
        *left_out,
        *knee,
        Target("cognition: P(gain of backward walking above 0)", f"{positive:.2f}", "0.05 to 0.95",
               0.05 <= positive <= 0.95),
        Target("cognition: evidence grade", graded, "acute_only", graded == "acute_only"),
        Target("three seeds: largest shift of a headline, posterior SD", f"{moved:.2f}", "below 0.1",
               moved < 0.1),
    )  # fmt: skip


def _shift_between_seeds(evidence: Evidence, seed: int) -> float:
    """How far other seeds move the headline, the knee trial's expected contrasts [posterior SD]."""
    fitted = observations(evidence)
    wanted = [i for i, row in enumerate(fitted) if _is_knee_contrast(row)]
    refits = (Refits.of(fitted, seed=other, candidates=SEED_CANDIDATES) for other in range(seed, seed + 3))
    pairs = [one.predict(lambda _: True) for one in refits]
    moved = np.ptp([mean[wanted] for mean, _ in pairs], axis=0)
    return float((moved / np.mean([sd[wanted] for _, sd in pairs], axis=0)).max())


def _is_knee_contrast(row: Observation) -> bool:
    return row.source == KNEE_TRIAL and len(row.arms) == 2


def knee_chances(evidence: Evidence, seed: int, candidates: int) -> list[tuple[str, str, float, float]]:
    """Probability that a trial of the real size calls backward walking significantly better.

    Per outcome and comparator: after the fit and by the priors alone.
    """
    fitted = observations(evidence)
    contrasts = [row for row in fitted if _is_knee_contrast(row)]
    contrasts += [_against_forward(evidence, row) for row in contrasts]
    refits = Refits.of((*fitted, *contrasts), seed=seed, candidates=candidates)
    wanted = np.arange(len(fitted), len(fitted) + len(contrasts))
    bars = np.array([significance_bar(row, evidence) for row in contrasts])
    after, before = (
        one.weights @ ndtr((one.mean - bars) / one.sd)
        for one in (Predictive.of(refits, used, wanted) for used in (np.arange(len(fitted)), wanted[:0]))
    )
    return [
        (row.outcome, "usual care" if row.arms[1].endswith("/control") else "forward walking",
         float(after[i]), float(before[i]))
        for i, row in enumerate(contrasts)
    ]  # fmt: skip


def significance_bar(row: Observation, evidence: Evidence) -> float:
    """Difference from which on a two-sided test at .05 calls this contrast significant [as `row.value`]."""
    size = sum(evidence.arm(arm).n or 0 for arm in row.arms)
    return float(student.ppf(0.975, size - 2)) * row.se


def _against_forward(evidence: Evidence, row: Observation) -> Observation:
    """The same comparison with the trial's forward arm in place of its control."""
    effect = evidence.effect(row.id)
    arms = (row.arms[0], f"{KNEE_TRIAL}/forward")
    forward, own = (sum(1 / (evidence.arm(arm).n or 1) for arm in pair) for pair in (arms, row.arms))
    after = None if effect.days_after_last_imputed else effect.days_after_last
    protocols = tuple(study_protocol(evidence.arm(arm), effect.population, after) for arm in arms)
    return dataclasses.replace(row, id=f"{row.id}/forward", arms=arms, se=row.se * math.sqrt(forward / own),
                               protocols=protocols)  # fmt: skip


@dataclass(frozen=True)
class Reasons:
    """Numbers behind misses, of predictions from the other studies."""

    #: By source and number of rows: width above the rival's [SD], widest first
    excess: tuple[tuple[str, float, int], ...]
    carriers: tuple[str, ...]  #: the sources of half or more of the excess
    ratio_without: float  #: width over the random-effects mean's without the carriers
    floor: float  #: mean width over the priors' if every gain were known exactly
    chance_50: float  #: that a right model shows a coverage as low as seen, rows of a study being correlated
    chance_90: float
    #: Label, rows, mean z, SD z, inside 50 %, inside 90 %
    classes: tuple[tuple[str, int, float, float, float, float], ...]
    #: Pain of the knee trial: published, SE, expected [points]; chances at the first and last
    knee: tuple[float, ...]


def reasons(board: Scoreboard, *, seed: int = SEED, candidates: int = CANDIDATES) -> Reasons:
    """Take apart the scores of a leave-one-study-out `board` of the package's own studies."""
    rows = observations(load_evidence())
    refits = Refits.of(rows, seed=seed, candidates=candidates)
    ids = [row.id for row in rows]
    in_fit = np.array([ids.index(board.observations[i].id) for i in board.counted], np.intp)
    width, others, prior = (
        board.predictions[name].width(board.counted) for name in ("retrowalk", "random_effects", "prior")
    )
    sources = np.array([rows[i].source for i in in_fit])
    excess = sorted(
        ((name, float((width - others)[sources == name].sum()), int((sources == name).sum()))
         for name in dict.fromkeys(sources.tolist())),
        key=lambda entry: -entry[1],
    )  # fmt: skip
    total, reached, carriers = sum(gap for _, gap, _ in excess), 0.0, []
    for name, gap, _ in excess:
        if reached < 0.5 * total:
            carriers.append(name)
            reached += gap
    rest = ~np.isin(sources, carriers)
    everything = np.arange(len(rows))
    weights, _, _ = refits.fit(everything, everything[:1])
    noise = weights @ refits.noise_variance(in_fit)
    chance_50, chance_90 = _chances_of_coverage(board, refits, in_fit, seed)
    model, values = board.predictions["retrowalk"], np.array([rows[i].value for i in in_fit])
    z, (inside_50, inside_90) = model.normal_scores(board.counted), model.inside(values, board.counted)
    contrast = np.array([len(rows[i].arms) == 2 for i in in_fit])
    pooled = np.array([rows[i].trials > 1 for i in in_fit])
    kinds = {
        "contrasts of single trials": contrast & ~pooled,
        "contrasts of pooled trials": contrast & pooled,
        "changes within one arm": ~contrast,
    }
    classes = tuple(
        (label, int(some.sum()), float(z[some].mean()), float(z[some].std()),
         float(inside_50[some].mean()), float(inside_90[some].mean()))
        for label, some in kinds.items() if some.any()
    )  # fmt: skip
    place, knee = next((i, row) for i, row in enumerate(rows)
                       if _is_knee_contrast(row) and row.outcome == "knee_pain")  # fmt: skip
    expected, bar = float(refits.predict(lambda _: True)[0][place]), significance_bar(knee, load_evidence())
    chances = (float(ndtr((true - bar) / knee.se)) for true in (knee.value, expected))
    return Reasons(
        excess=tuple(excess),
        carriers=tuple(carriers),
        ratio_without=float(width[rest].mean() / others[rest].mean()),
        floor=float((2.0 * ndtri(0.95) * np.sqrt(noise)).mean() / prior.mean()),
        chance_50=chance_50,
        chance_90=chance_90,
        classes=classes,
        knee=(*(x * abs(knee.scale) for x in (knee.value, knee.se, expected)), *chances),
    )


def _chances_of_coverage(
    board: Scoreboard, refits: Refits, in_fit: Indices, seed: int
) -> tuple[float, float]:
    """Chance of a coverage of the 50 and of the 90 % intervals as low as seen if the model were right."""
    model, score = board.predictions["retrowalk"], board.scores["retrowalk"]
    generator = np.random.default_rng(seed)
    hits = np.zeros((2, BASES))
    sources = np.array([row.source for row in refits.design.rows])
    clusters = np.array([row.cluster for row in refits.design.rows])
    for name in dict.fromkeys(sources[in_fit].tolist()):
        own = sources[in_fit] == name
        used = np.flatnonzero(~np.isin(clusters, clusters[sources == name]))
        results = simulate_results(refits, used, in_fit[own], generator)
        hits += [inside.sum(axis=1) for inside in model.inside(results, board.counted[own])]
    seen = (score.coverage_50, score.coverage_90)
    low, wide = (float(np.mean(hits[i] <= round(share * in_fit.size))) for i, share in enumerate(seen))
    return low, wide


def simulate_results(refits: Refits, used: Indices, wanted: Indices, generator: np.random.Generator) -> Array:
    """Results of new trials like rows `wanted`, fitted to rows `used`, (base, wanted).

    They are drawn jointly: gains, drifts, arms and people are shared.
    """
    weights, mean, _ = refits.fit(used, wanted)
    picked = generator.choice(weights.size, BASES, p=weights)
    signal, noise = refits.signal[picked], refits.noise[picked]
    between = signal[:, wanted[:, None], used]
    total = (signal + noise)[:, used[:, None], used]
    known = np.linalg.solve(total, between.swapaxes(1, 2))
    spread = (signal + noise)[:, wanted[:, None], wanted] - between @ known
    shocks = generator.standard_normal((BASES, wanted.size, 1))
    return np.asarray(mean[picked] + np.matmul(np.linalg.cholesky(spread), shocks)[:, :, 0])
