"""The scenario: a whole trial on one page, validated."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from retrowalk.scenario.axes import Sweep
from retrowalk.scenario.checks import problems_of
from retrowalk.scenario.design import Assess, Gain, Model
from retrowalk.scenario.fields import Block, OutcomeName, Whole, refuse_several
from retrowalk.scenario.people import Adherence, Doing, Population
from retrowalk.scenario.programme import Arm

FORMAT = "retrowalk-scenario/1"
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


class Scenario(Block):
    """A trial to simulate: who, what they do, what is measured when, and which questions are swept."""

    format: Literal["retrowalk-scenario/1"]
    """Name and version of this file format."""
    title: Annotated[str, Field(strict=True, max_length=200)] = ""
    """What the scenario asks, in a few words."""
    seed: Annotated[int, Whole(ge=0, le=2**64 - 1)] = 0
    """Key of all random numbers; the same seed gives the same data."""
    population: Population
    """Who takes part."""
    outcomes: Annotated[tuple[OutcomeName, ...], Field(min_length=1)]
    """What is measured."""
    assess: Assess
    """When it is measured."""
    arms: Annotated[dict[ArmName, Arm], Field(min_length=1, max_length=64)]
    """Programmes by name; their order is the order of the results."""
    reference: str | None = None
    """Arm that the others are compared with; left out: the first."""
    adherence: Adherence = Adherence.model_construct()
    """How much of the programme is done, in every arm that does not say otherwise."""
    draws: Annotated[int, Whole(ge=1, le=1000)] = 100
    """Draws of the parameters: what we do not know."""
    replicates: Annotated[int, Whole(ge=1, le=100_000)] = 1
    """Repetitions of the trial with new people."""
    people: Literal["shared", "separate"] | None = None
    """Whether every member lives through every arm (shared, which shows differences between arms best) or
    every arm has people of its own, as in a real trial (separate); left out: separate with replicates."""
    parameters: Literal["posterior", "prior"] = "posterior"
    """Parameters fitted to the evidence, or what the priors alone say."""
    gains: Annotated[tuple[Gain, ...], Field(max_length=300)] = ()
    """The user's own gains, in place of the fitted ones."""
    model: Model = Model.model_construct()
    """Model family and conventions."""
    load: Literal["met_minutes", "minutes", "vo2_reserve"] = "met_minutes"
    """How a session's load is measured."""
    record: Literal["summaries", "members", "trajectories"] = "summaries"
    """What is kept: statistics over members, every member at the assessments, or every member every day up to
    the last assessment."""
    sweep: Sweep = Sweep.model_construct()
    """Axes by path into this document."""

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        if self.reference is None:
            # Left out and written out are the same scenario, hence the same digest.
            object.__setattr__(self, "reference", next(iter(self.arms)))
        if self.people is None:
            object.__setattr__(self, "people", "separate" if self.replicates > 1 else "shared")
        problems = problems_of(self)
        if problems:
            raise refuse_several(problems)
        return self

    def adherence_of(self, arm: str) -> Doing:
        """What the file says about an arm's adherence: the arm's own fields, else the scenario's."""
        own, common = self.arms[arm].adherence, self.adherence
        of_dropout = own if own.weekly_dropout is not None else common
        return Doing(
            attendance=common.attendance if own.attendance is None else own.attendance,
            spread=common.spread if own.spread is None else own.spread,
            completion=of_dropout.completion,
            completion_weeks=of_dropout.completion_weeks,
            dropout_per_week=of_dropout.dropout_per_week,
        )

    def canonical_json(self) -> str:
        """The validated scenario as JSON with every default and unit written out.

        Keys are in the format's own order; arms and axes keep the file's order, which is the order of
        the results. Reading it back gives an equal scenario.
        """
        return json.dumps(canonical(self), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON; comments, key order, units and written-out defaults leave it."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def canonical(scenario: Scenario) -> dict[str, Any]:
    """The validated scenario as plain data in canonical order; what is None is left out."""
    data = scenario.model_dump(mode="json", exclude_none=True)
    for name in ("baseline", "include"):
        data["population"][name] = dict(sorted(data["population"][name].items()))
    if scenario.sweep.axes:
        # Imported here because the cases of a sweep are scenarios themselves.
        from retrowalk.scenario.cases import validated_axes

        data["sweep"] |= validated_axes(scenario)
    return data
