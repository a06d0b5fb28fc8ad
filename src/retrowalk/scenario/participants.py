"""Who takes part and how faithfully: population, baselines, inclusion limits, adherence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from retrowalk.scenario.fields import (
    Block,
    Faults,
    FreeText,
    OutcomeName,
    PopulationName,
    Quantity,
    Whole,
    refuse,
)

Share = Annotated[float, Quantity("fraction", ge=0, le=1)]
Years = Annotated[float, Quantity("years", ge=0, le=120)]


class UserBaseline(Block):
    """The user's own baseline of an outcome, in place of the catalogue's; labelled so in every output."""

    mean: Annotated[float, Field(strict=True)]
    """Mean in the outcome's unit."""
    sd: Annotated[float, Field(strict=True, gt=0)]
    """Standard deviation between people in the outcome's unit."""
    source: Annotated[str, FreeText()] = ""
    """Where the numbers come from."""


class Age(Block):
    """Ages of the members [years]: any of a mean with SD and limits; the rest is the population's."""

    min: Years | None = None
    """Youngest admitted."""
    max: Years | None = None
    """Oldest admitted."""
    mean: Years | None = None
    """Mean before the limits apply."""
    sd: Annotated[float, Quantity("years", gt=0, le=60)] | None = None
    """Standard deviation before the limits apply."""

    @model_validator(mode="after")
    def _consistent(self) -> Age:
        faults = Faults()
        if self.min is not None and self.max is not None and self.min >= self.max:
            faults.add(f"must be above min ({self.min:g})", "max")
        if (self.mean is None) != (self.sd is None):
            missing = "sd" if self.sd is None else "mean"
            faults.add(f"mean and sd go together; {missing} is missing")
        faults.refuse_any()
        return self


class InclusionLimits(Block):
    """Inclusion limits on the true baseline, in the outcome's unit."""

    min: Annotated[float, Field(strict=True)] | None = None
    """Lowest value admitted."""
    max: Annotated[float, Field(strict=True)] | None = None
    """Highest value admitted."""

    @model_validator(mode="after")
    def _consistent(self) -> InclusionLimits:
        if self.min is None and self.max is None:
            raise refuse("give min, max or both")
        faults = Faults()
        if self.min is not None and self.max is not None and self.min >= self.max:
            faults.add(f"must be above min ({self.min:g})", "max")
        faults.refuse_any()
        return self


class Population(Block):
    """Who the members are."""

    preset: PopulationName
    """Population of the catalogue."""
    size: Annotated[int, Whole(ge=1, le=10_000_000)]
    """Members in each arm; the same people appear in every arm."""
    baseline: dict[OutcomeName, UserBaseline] = Field(default={})
    """The user's own baselines by outcome."""
    age: Age = Age.model_construct()
    """Ages; left out: the population's own."""
    include: dict[OutcomeName, InclusionLimits] = Field(default={})
    """Inclusion limits by outcome."""


class ArmAdherence(Block):
    """How much of the programme is done; what is left out is the scenario's, then the population's own."""

    attendance: Share | None = None
    """Mean share of visits attended."""
    spread: Annotated[float, Field(strict=True, ge=0, le=10)] | None = None
    """How much members differ in attendance (probit-scale SD); 0: all alike."""
    completion: Annotated[float, Quantity("fraction", gt=0, le=1)] | None = None
    """Share still in the programme after `completion_weeks`."""
    completion_weeks: Annotated[float, Quantity("weeks", gt=0, le=522)] | None = None
    """Weeks that `completion` refers to."""
    dropout_per_week: Annotated[float, Quantity("fraction", ge=0, le=0.99)] | None = None
    """Weekly share of those still training who stop, in place of `completion`."""

    @model_validator(mode="after")
    def _one_dropout(self) -> ArmAdherence:
        faults = Faults()
        if (self.completion is None) != (self.completion_weeks is None):
            missing = "completion" if self.completion is None else "completion_weeks"
            faults.add(f"completion and completion_weeks go together; {missing} is missing")
        if self.completion is not None and self.dropout_per_week is not None:
            faults.add("give completion or dropout_per_week, not both", "dropout_per_week")
        faults.refuse_any()
        return self

    @property
    def weekly_dropout(self) -> float | None:
        """Weekly hazard h of dropping out, with completion = (1 - h)^weeks; None where none is given."""
        if self.completion is not None and self.completion_weeks is not None:
            return float(1.0 - self.completion ** (1.0 / self.completion_weeks))
        return self.dropout_per_week


class Adherence(ArmAdherence):
    """Attendance and dropout of all arms, and what happens to dropouts' assessments."""

    dropout: Literal["missing", "stay_assessed"] = "missing"
    """Dropouts are missing at later assessments, or stay assessed (intention to treat)."""
