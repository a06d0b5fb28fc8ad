"""The design of a trial: people, adherence, assessments, the user's own gains, the model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from retrowalk.catalogue import components
from retrowalk.model.family import FAMILIES, PARAMETERS, families_with
from retrowalk.scenario.fields import (
    MAX_DAYS,
    PRINTABLE,
    Block,
    CatalogueName,
    Faults,
    ModalityName,
    OutcomeName,
    PopulationName,
    Quantity,
    Whole,
    exactly_one,
    has_directions,
    only_for,
    refuse,
)

Family = Annotated[str, CatalogueName("model family", lambda: FAMILIES)]
FormName = Annotated[
    str, CatalogueName("form", lambda: [form for row in FAMILIES.values() for form in row.forms])
]
Days = Annotated[float, Quantity("days", gt=0, le=PARAMETERS["tau_fitness"].largest)]
Exponent = Annotated[float, Field(strict=True, gt=0, le=PARAMETERS["exponent_fitness"].largest)]
Positive = Annotated[float, Field(strict=True, gt=0, le=1e6)]
Share = Annotated[float, Quantity("fraction", ge=0, le=1)]
Week = Annotated[int, Whole(ge=0, le=522)]
Day = Annotated[int, Whole(ge=0, le=MAX_DAYS)]
Years = Annotated[float, Quantity("years", ge=0, le=120)]


class UserBaseline(Block):
    """The user's own baseline of an outcome, in place of the catalogue's; labelled so in every output."""

    mean: Annotated[float, Field(strict=True)]
    """Mean in the outcome's unit."""
    sd: Annotated[float, Field(strict=True, gt=0)]
    """Standard deviation between people in the outcome's unit."""
    source: Annotated[str, Field(strict=True, max_length=500), PRINTABLE] = ""
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
        _in_order(self, faults)
        _both_or_none(self, faults, "mean", "sd")
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
        _in_order(self, faults)
        faults.refuse_any()
        return self


def _in_order(limits: Age | InclusionLimits, faults: Faults) -> None:
    if limits.min is not None and limits.max is not None and limits.min >= limits.max:
        faults.add(f"must be above min ({limits.min:g})", "max")


def _both_or_none(block: Block, faults: Faults, one: str, other: str) -> None:
    missing = [name for name in (one, other) if getattr(block, name) is None]
    if len(missing) == 1:
        faults.add(f"{one} and {other} go together; {missing[0]} is missing")


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
        _both_or_none(self, faults, "completion", "completion_weeks")
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


class Assess(Block):
    """When members are assessed: before the sessions of these days; day 0 is always among them."""

    model_config = exactly_one("weeks", "days")

    weeks: Annotated[tuple[Week, ...], Field(min_length=1, max_length=400)] | None = None
    """Weeks: week w is day 7 w."""
    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=MAX_DAYS + 1)] | None = None
    """Days instead of weeks."""

    @model_validator(mode="after")
    def _as_days(self) -> Assess:
        if (self.weeks is None) == (self.days is None):
            raise refuse("give either weeks or days, such as `weeks: [0, 6]`")
        faults = Faults()
        name, given = ("weeks", self.weeks) if self.weeks is not None else ("days", self.days or ())
        for number, (earlier, later) in enumerate(pairwise(given)):
            if later <= earlier:
                faults.add(f"must come after {earlier}; {later} does not", name, number + 1)
        faults.refuse_any()
        days = tuple(7 * week for week in self.weeks) if self.weeks is not None else given
        # Both spellings become the same validated scenario, hence the same digest.
        object.__setattr__(self, "weeks", None)
        object.__setattr__(self, "days", days if days[0] == 0 else (0, *days))
        return self


class Gain(Block):
    """The user's own gain of a modality on an outcome; labelled user-supplied in every output."""

    modality: ModalityName
    """Modality the gain is for."""
    direction: Literal["forward", "backward"] | None = None
    """Direction of the movement, for modalities done forward and backward."""
    outcome: OutcomeName
    """Outcome the gain is on."""
    mean: Annotated[float, Field(strict=True, ge=-10, le=10)]
    """Net response after the reference programme (20 min at the reference speed on days 0, 2 and 4 of six
    weeks, assessed on day 42), in SDs of the population on the outcome's link scale; negative lowers it."""
    sd: Annotated[float, Field(strict=True, ge=0, le=10)]
    """How uncertain the mean is, in the same unit."""
    source: Annotated[str, Field(strict=True, min_length=1, max_length=500), PRINTABLE]
    """Where the gain comes from."""

    @model_validator(mode="after")
    def _direction_fits(self) -> Gain:
        faults = Faults()
        if has_directions(self.modality) and self.direction is None:
            faults.add(f"{self.modality} needs a direction: forward or backward")
        if not has_directions(self.modality) and self.direction is not None:
            faults.add(only_for(has_directions, self.modality), "direction")
        faults.refuse_any()
        return self

    @property
    def component(self) -> str:
        """Name of the training component: ``walk_backward``, ``cycling`` ..."""
        return components(self.modality)[self.direction or ""].name


def _hill_schema(schema: dict[str, Any]) -> None:
    written_out = dict(schema)
    three = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
    schema.clear()
    schema["anyOf"] = [written_out, three]


class HillSettings(Block):
    """Saturation of a day's load: w' = maximum w^exponent / (half_load^exponent + w^exponent)."""

    model_config = ConfigDict(json_schema_extra=_hill_schema)

    maximum: Positive
    """Largest impulse of a day, in reference sessions."""
    half_load: Positive
    """Load that gives half of it, in reference sessions."""
    exponent: Annotated[float, Field(strict=True, gt=0, le=100)]
    """Steepness."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        if isinstance(value, list | tuple) and len(value) == 3:
            return dict(zip(("maximum", "half_load", "exponent"), value, strict=True))
        return value


class ModelSettings(Block):
    """The model family and its conventions, under the names of `retrowalk.fitness_fatigue`."""

    family: Family = "banister"
    """Member of the fitness-fatigue family."""
    impulse: Literal["next_day", "same_day"] = "next_day"
    """Whether the load of a day counts from the next day or on the day itself."""
    form: FormName | None = None
    """Form of a family that has forms, such as the variable dose-response; its first unless given."""
    hill: HillSettings | None = None
    """Saturation of a day's load within a modality group, in place of the fitted concavity."""
    tau_fitness: Days | None = None
    """Decay time of fitness [d]; left out: drawn from the posterior."""
    tau_fatigue: Days | None = None
    """Decay time of fatigue [d]; left out: drawn from the posterior."""
    tau_delay: Days | None = None
    """Time constant of the fitness delay [d]."""
    tau_gain: Days | None = None
    """Time constant of the variable fatigue gain [d]."""
    exponent_fitness: Exponent | None = None
    """Exponent of the non-linear decay of fitness: 1 unless given."""
    exponent_fatigue: Exponent | None = None
    """Exponent of the non-linear decay of fatigue: 1 unless given."""

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, value: object) -> object:
        faults = Faults()
        if isinstance(value, Mapping) and "superposition" in value:
            faults.add(
                "was removed: every model now walks through the days; delete this line", "superposition"
            )
        faults.refuse_any()
        return value

    @model_validator(mode="after")
    def _settings_fit_family(self) -> ModelSettings:
        faults = Faults()
        for name in ("form", *PARAMETERS):
            families = families_with(name)
            if getattr(self, name, None) is not None and self.family not in families:
                faults.add(f"is a setting of {' and '.join(families)}, not of {self.family}", name)
        faults.refuse_any()
        # A default written by the user and one left out are the same scenario, hence the same digest.
        family = FAMILIES[self.family]
        defaults: dict[str, object] = {name: PARAMETERS[name].default for name in family.parameters}
        defaults["form"] = next(iter(family.forms), None)
        for name, default in defaults.items():
            if default is not None and getattr(self, name) is None:
                object.__setattr__(self, name, default)
        return self
