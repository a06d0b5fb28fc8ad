"""The page in plain words: what studies say of each claim, what follows, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.predictive_checks import check_lines, checks
from retrowalk.calibrate.run import calibrate
from retrowalk.catalogue import outcomes
from retrowalk.evidence import Evidence, grade, load_evidence, studied
from retrowalk.parameters import load_posterior, posterior_digest
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Claim:
    """One claim about walking backward: what it says, its outcomes, and what no study here can carry."""

    title: str
    says: str
    outcomes: tuple[str, ...]
    refuses: str


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


def evidence_page() -> str:
    """The page as Markdown, from the shipped draws and tables."""
    lines = [
        "# What the evidence says of walking backward", "",
        "Made by `python results/pages.py` from the tables and the shipped draws "
        f"(`{posterior_digest()[:12]}`). Gains are in SD of the population after the reference programme (20 "
        "min, three times a week, six weeks), more is better; ranges hold 90 % of the draws. Backward less "
        "forward is at equal minutes.",
    ]  # fmt: skip
    evidence = load_evidence()
    for claim in CLAIMS:
        lines += ["", f"## {claim.title}", "", f"**Claimed.** {claim.says}", ""]
        lines += [f"**Studies say.** {_studies(evidence, claim)}", "", "**The model concludes.**", ""]
        lines += [f"- {_conclusion(name)}" for name in claim.outcomes]
        lines += ["", f"**Refused.** {claim.refuses}"]
    lines += check_lines(checks(calibrate(), {claim.title: claim.outcomes for claim in CLAIMS}))
    known = studied("walk_backward")
    lines += [
        "",
        "## Where it was studied",
        "",
        _range_words(known.arms, known.minutes, known.weeks, known.speed),
    ]
    return "\n".join([*lines, ""])


def _studies(evidence: Evidence, claim: Claim) -> str:
    rows = [row for row in evidence.effects if row.outcome in claim.outcomes and row.verified]
    numbers = [row for row in rows if row.role == "fit"]
    spoken = [row for row in rows if row.role == "verdict"]
    against = sorted({row.source for row in rows if row.contrary and row.role in ("fit", "verdict", "check")})
    acute = [row for row in rows if row.role == "acute"]
    parts = [f"{len(numbers)} published numbers of {len({row.source for row in numbers})} studies"]
    parts.append(f"{len(spoken)} statements without a number")
    if acute:
        parts.append(f"{len(acute)} effects of single bouts")
    if not numbers:
        parts[0] = "no published number on training"
    end = f" Null or opposite results: {', '.join(against)}." if against else ""
    return f"{'; '.join(parts)}.{end}".capitalize() if not numbers else f"{'; '.join(parts)}.{end}"


def _conclusion(name: str) -> str:
    backward, difference = _draws(name)
    certainty = float((difference > 0).mean())
    return (
        f"{outcomes()[name].label}: backward {_span(backward)}; backward less forward {_span(difference)}, "
        f"{_certainty(certainty)} (evidence: {grade('walk_backward', name).replace('_', ' ')})."
    )


def _draws(name: str) -> tuple[Array, Array]:
    sign = 1.0 if outcomes()[name].better == "higher" else -1.0
    gain = load_posterior()["gain"].sel(outcome=name) * sign
    backward = gain.sel(component="walk_backward").values
    return backward, backward - gain.sel(component="walk_forward").values


def _certainty(share: float) -> str:
    held = "more than 99 %" if share > 0.99 else f"{share:.0%}"
    if 0.1 < share < 0.9:
        return f"open which is better ({held} of draws for backward)"
    word = "backward" if share >= 0.5 else "forward"
    strength = "likely" if 0.025 < share < 0.975 else "very likely, given this model,"
    return f"{strength} {word} ({held} of draws for backward)"


def _span(draws: Array) -> str:
    low, high = np.quantile(draws, CENTRAL_90)
    mean, low, high = (round(float(x), 2) + 0.0 for x in (draws.mean(), low, high))
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def _range_words(arms: int, *ranges: tuple[float, float] | None) -> str:
    words: Iterator[str] = (
        f"{low:g} to {high:g} {unit}"
        for (low, high), unit in (
            (limits, unit)
            for limits, unit in zip(ranges, ("min a session", "weeks", "m/s"), strict=True)
            if limits
        )
    )
    return f"Backward walking: {arms} training arms, {', '.join(words)}. Anything beyond is extrapolation."
