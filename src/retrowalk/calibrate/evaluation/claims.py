"""What studies say of each claim about walking backward, what the model concludes, and what it refuses.

Posterior predictive checks ask of each claim whether the fitted model would bring back what was published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from retrowalk.calibrate import Calibration, benefit_sign, calibrate, calibration_table, normals
from retrowalk.calibrate.evaluation import mean_and_range, page, table
from retrowalk.calibrate.evaluation.targets import knee_chances
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import Evidence, grade, load_evidence, studied
from retrowalk.parameters import load_posterior, posterior_digest
from retrowalk.tables import Row
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]
SMALL = 0.2  #: what counts as a small effect on cognition [SD]


class Claim(Row):
    """One row of `claims.csv`: what a claim says, its outcomes, and what no study here can carry."""

    title: str
    text: str
    outcomes: tuple[str, ...]
    unsupported: str

    @field_validator("outcomes", mode="before")
    @classmethod
    def _split(cls, cell: str) -> list[str]:
        return cell.split()


CLAIMS = calibration_table("claims.csv", Claim)


@dataclass(frozen=True)
class Check:
    """One check of one claim, in words, numbers with what they are counted in."""

    claim: str
    what: str
    published: str
    replicated: str
    p: float | None = None  #: share of replications at or above the published number, where that makes sense


def predictive_checks(calibration: Calibration, claims: Sequence[Claim] = CLAIMS) -> tuple[Check, ...]:
    """Checks of the claims, from a fit to the package's tables."""
    checks = [*_pooled_results(calibration, claims), *_oxygen_costs(calibration)]
    published = {"usual care": "significant", "forward walking": "not significant"}
    for outcome, other, after, _ in knee_chances(load_evidence(), calibration.seed, 3000):
        chance = after if other == "usual care" else 1.0 - after
        what = f"trial of that size, {outcomes()[outcome].label.lower()}, against {other}"
        checks.append(Check("Knee", what, published[other], f"so in {chance:.0%} of trials"))
    gain = calibration.posterior["gain"].sel(component="walk_backward", outcome="cognition").values
    shares = f"{np.mean(gain > SMALL):.1%}; {np.mean(gain < -SMALL):.1%} of draws"
    what = f"gain of training above {SMALL:g} SD; below -{SMALL:g} SD"
    return (*checks, Check("Brain", what, "no number", shares))


def _pooled_results(calibration: Calibration, claims: Sequence[Claim]) -> Iterator[Check]:
    """Precision-weighted mean of all rows on backward training, published and replicated."""
    backward = [i for i, row in enumerate(modalities().values()) if row.direction == "backward"]
    for claim in claims:
        some = [i for i, row in enumerate(calibration.rows)
                if row.outcome in claim.outcomes and row.protocols[0].loads[backward].any()]  # fmt: skip
        if some:
            weight = np.array([calibration.rows[i].se ** -2.0 for i in some])
            weight /= weight.sum()
            published = float(weight @ np.array([calibration.rows[i].value for i in some]))
            what = f"mean of {len(some)} results with backward training, by precision"
            again = calibration.replicated[:, some] @ weight
            yield _check(claim.title, what, published, again, "+.2f", "SD")


def _check(claim: str, what: str, published: float, again: Array, form: str, unit: str) -> Check:
    p = float(np.mean(again >= published))
    return Check(claim, what, f"{published:{form}} {unit}", mean_and_range(again, form, unit), p)


def _oxygen_costs(calibration: Calibration) -> Iterator[Check]:
    costs = calibration.costs
    if not costs:
        return
    shocks = normals(len(calibration.falls), [f"again/{row.id}" for row in costs], calibration.seed)
    again = calibration.falls + calibration.habituation.draw_noise(costs, shocks)
    for i, row in enumerate(costs):
        way = outcomes()[row.outcome].label.partition(", ")[2]
        what = f"fall of oxygen cost, {row.id.partition('/')[0]}, {way}"
        published, fall = float(-100.0 * np.expm1(-row.value)), -100.0 * np.expm1(-again[:, i])
        yield _check("Heart, lungs and body composition", what, published, fall, ".1f", "%")


def evidence_page() -> str:
    """The page as Markdown, from the shipped draws and tables."""
    evidence, known = load_evidence(), studied("walk_backward")
    claims = (
        page(
            "claim",
            claim=claim,
            studies=_studies(evidence, claim),
            conclusions="\n".join(f"- {_conclusion(name)}" for name in claim.outcomes),
        )
        for claim in CLAIMS
    )
    checks = (
        [row.claim, row.what, row.published, row.replicated, "" if row.p is None else f"{row.p:.2f}"]
        for row in predictive_checks(calibrate())
    )
    ranges = ((known.minutes, "min a session"), (known.weeks, "weeks"), (known.speed, "m/s"))
    return page(
        "evidence",
        digest=posterior_digest()[:12],
        claims="\n".join(claims).rstrip(),
        checks=table(("claim", "what", "published", "simulated (90 %)", "p"), checks),
        known=known,
        ranges=", ".join(f"{limits[0]:g} to {limits[1]:g} {unit}" for limits, unit in ranges if limits),
    )


def _studies(evidence: Evidence, claim: Claim) -> str:
    rows = [row for row in evidence.effects if row.outcome in claim.outcomes and row.verified]
    numbers = [row for row in rows if row.role == "fit"]
    acute = sum(row.role == "acute" for row in rows)
    parts = ["No published number on training"]
    if numbers:
        parts = [f"{len(numbers)} published numbers of {len({row.source for row in numbers})} studies"]
    parts.append(f"{sum(row.role == 'verdict' for row in rows)} statements without a number")
    if acute:
        parts.append(f"{acute} effects of single bouts")
    against = sorted({row.source for row in rows if row.contrary and row.role in ("fit", "verdict", "check")})
    end = f" Null or opposite results: {', '.join(against)}." if against else ""
    return f"{'; '.join(parts)}.{end}"


def _conclusion(name: str) -> str:
    gain = load_posterior()["gain"].sel(outcome=name) * benefit_sign(name)
    backward = gain.sel(component="walk_backward").values
    difference = backward - gain.sel(component="walk_forward").values
    share = float((difference > 0).mean())
    held = "more than 99 %" if share > 0.99 else f"{share:.0%}"
    word = "backward" if share >= 0.5 else "forward"
    strength = "likely" if 0.025 < share < 0.975 else "very likely, given this model,"
    verdict = "open which is better" if 0.1 < share < 0.9 else f"{strength} {word}"
    return (
        f"{outcomes()[name].label}: backward {_signed(backward)}; backward less forward "
        f"{_signed(difference)}, {verdict} ({held} of draws for backward) "
        f"(evidence: {grade('walk_backward', name).replace('_', ' ')})."
    )


def _signed(draws: Array) -> str:
    low, high = np.quantile(draws, CENTRAL_90)
    mean, low, high = (round(float(x), 2) + 0.0 for x in (draws.mean(), low, high))
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
