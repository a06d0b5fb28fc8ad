"""Superposition against the plain loop of the same program, over whole sweeps in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.peers.rounds import Spread, interleave
from benchmarks.peers.targets import Target, one_arm
from benchmarks.scenarios import SHARE, trial
from retrowalk.scenario import Scenario, cases
from retrowalk.simulation.compute import compute

ROUNDS = 5
#: Assessments, and how many times faster superposition should be.
ASKED: tuple[tuple[str, Sequence[int], float], ...] = (
    ("two assessments", (0, 12), 10.0),
    ("weekly assessments", range(13), 3.0),
)
HILL = {"hill": {"maximum": 2.0, "half_load": 1.5, "exponent": 1.3}}
DOSE = {"family": "variable_dose", "tau_gain": 9.0}


def paths(*, short: bool) -> list[Target]:
    """Targets of sweeps in memory: seconds, and superposition against the plain loop in turns."""
    steps, members = (20, 1_000) if short else (500, 10_000)
    size = f"{steps} cases of {members} members, 8 outcomes, 84 days, in memory"
    rows = []
    for name, weeks, limit in ASKED:
        quick, slow = (_sweep(members, steps, weeks, {"superposition": chosen}) for chosen in (True, False))
        seconds = interleave({"superposition": quick, "plain loop": slow}, ROUNDS)
        ratio = Spread.of(seconds["plain loop"] / seconds["superposition"])
        rows.append(Target(
            f"sweep by superposition against the plain loop, {name}", f"at least {limit:g} times faster",
            ratio.words(), None if short else ratio.median >= limit,
        ))  # fmt: skip
    for name, model, at_most in (
        ("linear", {}, 0.3), ("saturating (Hill), by superposition", HILL, 0.8),
        ("variable dose-response, day by day", DOSE, 0.8),
    ):  # fmt: skip
        found = interleave({"retrowalk": _sweep(members, steps, range(13), model)}, ROUNDS)
        spread = Spread.of(found["retrowalk"])
        rows.append(Target(
            f"{size}, {name}", f"at most {at_most:g} s", f"{spread.words()} s",
            None if short else spread.median <= at_most,
        ))  # fmt: skip
    return rows


def _sweep(members: int, steps: int, weeks: Sequence[int], model: dict[str, object]) -> Callable[[], object]:
    sweep = {SHARE: {"from": 0, "to": 1, "steps": steps}}
    scenario = trial(members, **one_arm(sweep=sweep, model=model, assess={"weeks": list(weeks)}))
    return partial(_run, scenario, steps)


def _run(scenario: Scenario, steps: int) -> None:
    compute(cases(scenario), scenario, count=steps, threads=2)
