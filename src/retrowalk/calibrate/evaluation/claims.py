"""What studies say of each claim about walking backward, what the model concludes, and what it refuses.

Posterior predictive checks ask of each claim whether the fitted model would bring back what was published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import Calibration, benefit_sign, calibrate, normals
from retrowalk.calibrate.evaluation import mean_and_range
from retrowalk.calibrate.evaluation.targets import knee_chances
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import Evidence, grade, load_evidence, studied
from retrowalk.parameters import load_posterior, posterior_digest
from retrowalk.tables import markdown_table
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]
#: What counts as a small effect on cognition [SD].
SMALL = 0.2


@dataclass(frozen=True)
class Claim:
    """One claim about walking backward: what it says, its outcomes, and what no study here can carry."""

    title: str
    text: str
    outcomes: tuple[str, ...]
    unsupported: str


CLAIMS = (
    Claim(
        "Muscle", "Walking backward strengthens the front of the thigh.", ("quadriceps_strength",),
        "That the reason is another kind of muscle work: this was seen in running, not in a "
        "training trial. The "
        "one trial matched for intensity had seven people per arm; another saw both directions do the same.",
    ),
    Claim(
        "Balance and gait", "It improves balance, stride and walking speed.",
        ("balance", "stride_length", "walking_speed", "backward_walking_speed", "timed_up_and_go"),
        "That direction itself does it wherever backward walking was added to other care and so was more "
        "training; and that patients' results hold for healthy people.",
    ),
    Claim(
        "Heart, lungs and body composition", "It raises fitness and lowers body fat more than "
        "walking forward.",
        ("vo2max", "body_fat", "oxygen_cost_forward", "oxygen_cost_backward"),
        "That the fall of oxygen cost by 30 % is fitness: another trial saw 2.5 %, practice alone took 19 % "
        "off in a third, and these changes are fitted apart from all else, as practice and fitness. The "
        "fall of body fat by 2.4 is read as points; its control did nothing, and another trial saw no "
        "change.",
    ),
    Claim(
        "Knee", "It relieves knee osteoarthritis.", ("knee_pain", "disability"),
        "That it is better than walking forward: every arm had physiotherapy, and a later "
        "article says that the largest trial found no significant difference between directions. That "
        "statement is in no fit; simulated trials of that size agree with it (`retrowalk validate`).",
    ),
    Claim(
        "Brain", "It sharpens thinking and memory.", ("cognition",),
        "Any effect of training: there are only effects of a few steps, and a preregistered "
        "replication of one "
        "found nothing. The model's gain is centred on zero and stays there.",
    ),
)  # fmt: skip


# -- posterior predictive checks


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
    pooled = (_pooled_results(calibration, claim) for claim in claims)
    single = (_oxygen_costs(calibration), _knee_trial(calibration), _cognition(calibration))
    return (*(check for check in pooled if check), *(check for part in single for check in part))


def _pooled_results(calibration: Calibration, claim: Claim) -> Check | None:
    """Precision-weighted mean of all rows on backward training, published and replicated."""
    backward = [i for i, row in enumerate(modalities().values()) if row.direction == "backward"]
    some = [i for i, row in enumerate(calibration.rows)
            if row.outcome in claim.outcomes and row.protocols[0].loads[backward].any()]  # fmt: skip
    if not some:
        return None
    weight = np.array([calibration.rows[i].se ** -2.0 for i in some])
    weight /= weight.sum()
    published = float(weight @ np.array([calibration.rows[i].value for i in some]))
    again = calibration.replicated[:, some] @ weight
    what = f"mean of {len(some)} results with backward training, by precision"
    return _check(claim.title, what, published, again, "+.2f", "SD")


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
        what = (
            f"fall of oxygen cost, {row.id.partition('/')[0]}, "
            f"{outcomes()[row.outcome].label.partition(', ')[2]}"
        )
        published, fall = float(-100.0 * np.expm1(-row.value)), -100.0 * np.expm1(-again[:, i])
        yield _check("Heart, lungs and body composition", what, published, fall, ".1f", "%")


def _knee_trial(calibration: Calibration) -> Iterator[Check]:
    published = {"usual care": "significant", "forward walking": "not significant"}
    for outcome, other, after, _ in knee_chances(load_evidence(), calibration.seed, 3000):
        chance = after if other == "usual care" else 1.0 - after
        what = f"trial of that size, {outcomes()[outcome].label.lower()}, against {other}"
        yield Check("Knee", what, published[other], f"so in {chance:.0%} of trials")


def _cognition(calibration: Calibration) -> Iterator[Check]:
    gain = calibration.posterior["gain"].sel(component="walk_backward", outcome="cognition").values
    yield Check("Brain", f"gain of training above {SMALL:g} SD; below -{SMALL:g} SD", "no number",
                f"{np.mean(gain > SMALL):.1%}; {np.mean(gain < -SMALL):.1%} of draws")  # fmt: skip


def check_lines(checks: Sequence[Check]) -> Iterator[str]:
    """The section of the page on predictive checks."""
    yield from ("", "## Would the model bring back what was published?", "")
    yield (
        "Results simulated from the fitted model for the same trials, with new people and new differences "
        "between studies, beside what was published; more is better. p: share of simulations at or above "
        "the published number; near 0 or 1 the model cannot have made it. These data were fitted, so this "
        "is a check of the model's form and no test of its predictions (`results/validation.md` is)."
    )
    yield ""
    yield from markdown_table(
        ("claim", "what", "published", "simulated (90 %)", "p"),
        [[row.claim, row.what, row.published, row.replicated, "" if row.p is None else f"{row.p:.2f}"]
         for row in checks],
    )  # fmt: skip


# -- the page


def evidence_page() -> str:
    """The page as Markdown, from the shipped draws and tables."""
    lines = [
        "# What the evidence says of walking backward", "",
        "Made by `python results/pages.py` from the tables and the shipped draws "
        f"(`{posterior_digest()[:12]}`). Gains are in SD of the population after the reference programme (20 "
        "min, three times a week, six weeks), more is better; ranges hold 90 % of the draws. Backward less "
        "forward is at equal minutes.",
    ]  # fmt: skip
    evidence, known = load_evidence(), studied("walk_backward")
    for claim in CLAIMS:
        lines += ["", f"## {claim.title}", "", f"**Claimed.** {claim.text}", ""]
        lines += [f"**Studies say.** {_studies(evidence, claim)}", "", "**The model concludes.**", ""]
        lines += [f"- {_conclusion(name)}" for name in claim.outcomes]
        lines += ["", f"**Refused.** {claim.unsupported}"]
    lines += check_lines(predictive_checks(calibrate()))
    ranges = ((known.minutes, "min a session"), (known.weeks, "weeks"), (known.speed, "m/s"))
    words = ", ".join(f"{limits[0]:g} to {limits[1]:g} {unit}" for limits, unit in ranges if limits)
    where = f"Backward walking: {known.arms} training arms, {words}. Anything beyond is extrapolation."
    return "\n".join([*lines, "", "## Where it was studied", "", where, ""])


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
    return (
        f"{outcomes()[name].label}: backward {_signed(backward)}; backward less forward "
        f"{_signed(difference)}, {_certainty(float((difference > 0).mean()))} "
        f"(evidence: {grade('walk_backward', name).replace('_', ' ')})."
    )


def _certainty(share: float) -> str:
    held = "more than 99 %" if share > 0.99 else f"{share:.0%}"
    if 0.1 < share < 0.9:
        return f"open which is better ({held} of draws for backward)"
    word = "backward" if share >= 0.5 else "forward"
    strength = "likely" if 0.025 < share < 0.975 else "very likely, given this model,"
    return f"{strength} {word} ({held} of draws for backward)"


def _signed(draws: Array) -> str:
    low, high = np.quantile(draws, CENTRAL_90)
    mean, low, high = (round(float(x), 2) + 0.0 for x in (draws.mean(), low, high))
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
