"""Posterior predictive checks, whether the fitted model would bring back what was published on each claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.pages.markdown import table
from retrowalk.calibrate.practice import Novelty, simulated
from retrowalk.calibrate.priors import normals
from retrowalk.calibrate.run import Calibration
from retrowalk.calibrate.targets import knee_chances
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import load_evidence
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]
#: What counts as a small effect on cognition [SD].
SMALL = 0.2


@dataclass(frozen=True)
class Check:
    """One check of one claim.

    Attributes
    ----------
    claim, what, published, replicated : str
        In words, numbers with what they are counted in.
    p : float or None
        Share of replications at or above the published number; None where the check is a probability itself.
    """

    claim: str
    what: str
    published: str
    replicated: str
    p: float | None = None


def checks(found: Calibration, claims: dict[str, tuple[str, ...]]) -> tuple[Check, ...]:
    """Checks of the claims, given by title with their outcomes, from a fit to the package's tables."""
    pooled = (_pooled(found, title, names) for title, names in claims.items())
    return (*(check for check in pooled if check), *_costs(found), *_knee(found), *_brain(found))


def _pooled(found: Calibration, title: str, names: tuple[str, ...]) -> Check | None:
    """Precision-weighted mean of all rows on backward training, published and replicated."""
    backward = [i for i, row in enumerate(modalities().values()) if row.direction == "backward"]
    some = [i for i, row in enumerate(found.rows)
            if row.outcome in names and row.protocols[0].loads[backward].any()]  # fmt: skip
    if not some:
        return None
    weight = np.array([found.rows[i].se ** -2.0 for i in some])
    weight /= weight.sum()
    published = float(weight @ np.array([found.rows[i].value for i in some]))
    again = found.replicated[:, some] @ weight
    what = f"mean of {len(some)} results with backward training, by precision"
    return Check(title, what, f"{published:+.2f} SD", _span(again, "+.2f", "SD"), _above(again, published))


def _costs(found: Calibration) -> Iterator[Check]:
    if found.costs_expected is None or not found.costs:
        return
    number = len(found.costs_expected[0])
    data = found.posterior
    spread = found.practice_heterogeneity
    if spread is None:
        return
    habit = Novelty(data["novelty"].values, data["novelty_minutes"].values, spread)
    shocks = normals(number, [f"again/{row.id}" for row in found.costs], found.seed)
    again = found.costs_expected[0] + simulated(found.costs, habit, shocks)
    for i, row in enumerate(found.costs):
        fall = -100.0 * np.expm1(-again[:, i])
        published = float(-100.0 * np.expm1(-row.value))
        yield Check("Heart, lungs and body composition", f"fall of oxygen cost, {row.id.partition('/')[0]}, "
                    f"{outcomes()[row.outcome].label.partition(', ')[2]}", f"{published:.1f} %",
                    _span(fall, ".1f", "%"), _above(fall, published))  # fmt: skip


def _knee(found: Calibration) -> Iterator[Check]:
    said = {"usual care": "significant", "forward walking": "not significant"}
    for outcome, other, after, _ in knee_chances(load_evidence(), found.seed, 3000):
        chance = after if other == "usual care" else 1.0 - after
        label = outcomes()[outcome].label.lower()
        yield Check("Knee", f"trial of that size, {label}, against {other}", said[other],
                    f"so in {chance:.0%} of trials")  # fmt: skip


def _brain(found: Calibration) -> Iterator[Check]:
    gain = found.posterior["gain"].sel(component="walk_backward", outcome="cognition").values
    yield Check("Brain", f"gain of training above {SMALL:g} SD; below -{SMALL:g} SD", "no number",
                f"{np.mean(gain > SMALL):.1%}; {np.mean(gain < -SMALL):.1%} of draws")  # fmt: skip


def check_lines(found: tuple[Check, ...]) -> Iterator[str]:
    """The section of the page."""
    yield from ("", "## Would the model bring back what was published?", "")
    yield (
        "Results simulated from the fitted model for the same trials, with new people and new differences "
        "between studies, beside what was published; more is better. p: share of simulations at or above "
        "the published number; near 0 or 1 the model cannot have made it. These data were fitted, so this "
        "is a check of the model's form and no test of its predictions (`results/validation.md` is)."
    )
    yield ""
    yield from table(
        ("claim", "what", "published", "simulated (90 %)", "p"),
        [[row.claim, row.what, row.published, row.replicated, "" if row.p is None else f"{row.p:.2f}"]
         for row in found],
    )  # fmt: skip


def _above(again: Array, published: float) -> float:
    return float(np.mean(again >= published))


def _span(values: Array, form: str, unit: str) -> str:
    low, high = np.quantile(values, CENTRAL_90)
    return f"{values.mean():{form}} {unit} ({low:{form}} to {high:{form}})"
