"""The rest of a trial's design: assessments, the user's own gains, the model and its conventions."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from retrowalk.model.family import FAMILIES, PARAMETERS, families_with
from retrowalk.scenario.document import DataPath as Path
from retrowalk.scenario.fields import (
    Block,
    Known,
    Measured,
    ModalityName,
    OutcomeName,
    Whole,
    one_of,
    refuse_several,
)
from retrowalk.scenario.programme import LOCOMOTION, MAX_DAYS

Family = Annotated[str, Known("model family", lambda: tuple(FAMILIES))]
Days = Annotated[float, Measured("days", gt=0, le=3660)]
Positive = Annotated[float, Field(strict=True, gt=0, le=1e6)]


class Assess(Block):
    """When members are assessed: before the sessions of these days; day 0 is always among them."""

    model_config = one_of("weeks", "days")

    weeks: (
        Annotated[tuple[Annotated[int, Whole(ge=0, le=522)], ...], Field(min_length=1, max_length=400)] | None
    ) = None
    """Weeks: week w is day 7 w."""
    days: (
        Annotated[
            tuple[Annotated[int, Whole(ge=0, le=MAX_DAYS)], ...], Field(min_length=1, max_length=MAX_DAYS + 1)
        ]
        | None
    ) = None
    """Days instead of weeks."""

    @model_validator(mode="after")
    def _as_days(self) -> Assess:
        if (self.weeks is None) == (self.days is None):
            raise refuse_several([((), "give either weeks or days, such as `weeks: [0, 6]`")])
        name, given = ("weeks", self.weeks) if self.weeks is not None else ("days", self.days or ())
        for number, (earlier, later) in enumerate(pairwise(given)):
            if later <= earlier:
                raise refuse_several([((name, number + 1), f"must come after {earlier}; {later} does not")])
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
    """Direction, for walk and run."""
    outcome: OutcomeName
    """Outcome the gain is on."""
    mean: Annotated[float, Field(strict=True, ge=-10, le=10)]
    """Net response after the reference programme (20 min at the reference speed on days 0, 2 and 4 of six
    weeks, assessed on day 42), in SDs of the population on the outcome's link scale; negative lowers it."""
    sd: Annotated[float, Field(strict=True, ge=0, le=10)]
    """How uncertain the mean is, in the same unit."""
    source: Annotated[str, Field(strict=True, min_length=1, max_length=500)]
    """Where the gain comes from."""

    @model_validator(mode="after")
    def _direction_fits(self) -> Gain:
        if self.modality in LOCOMOTION and self.direction is None:
            raise refuse_several([((), f"{self.modality} needs a direction: forward or backward")])
        if self.modality not in LOCOMOTION and self.direction is not None:
            raise refuse_several([(("direction",), f"is only for walk and run, not for {self.modality}")])
        return self

    @property
    def component(self) -> str:
        """Name of the training cell: ``walk_backward``, ``cycling`` ..."""
        return f"{self.modality}_{self.direction}" if self.direction else self.modality


def _hill_schema(schema: dict[str, Any]) -> None:
    written_out = dict(schema)
    three = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
    schema.clear()
    schema["anyOf"] = [written_out, three]


class Hill(Block):
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


class Model(Block):
    """The model family and its conventions, under the names of `retrowalk.fitness_fatigue`."""

    family: Family = "banister"
    """Member of the fitness-fatigue family."""
    impulse: Literal["next_day", "same_day"] = "next_day"
    """Whether the load of a day counts from the next day or on the day itself."""
    form: Literal["inclusive", "exclusive", "filter"] | None = None
    """Form of the variable dose-response: inclusive unless given."""
    hill: Hill | None = None
    """Saturation of a day's load within a modality group, in place of the fitted concavity."""
    tau_fitness: Days | None = None
    """Decay time of fitness [d]; left out: drawn from the posterior."""
    tau_fatigue: Days | None = None
    """Decay time of fatigue [d]; left out: drawn from the posterior."""
    tau_delay: Days | None = None
    """Time constant of the fitness delay [d]."""
    tau_gain: Days | None = None
    """Time constant of the variable fatigue gain [d]."""
    exponent_fitness: Annotated[float, Field(strict=True, gt=0, le=10)] | None = None
    """Exponent of the non-linear decay of fitness: 1 unless given."""
    exponent_fatigue: Annotated[float, Field(strict=True, gt=0, le=10)] | None = None
    """Exponent of the non-linear decay of fatigue: 1 unless given."""
    superposition: Annotated[bool, Field(strict=True)] = True
    """Whether responses of a linear model are summed from responses to unit loads, which is faster; off, the
    days are walked for every case. The numbers agree to single precision."""

    @model_validator(mode="after")
    def _settings_fit_family(self) -> Model:
        problems: list[tuple[Path, str]] = [
            ((name,), f"is a setting of {' and '.join(families_with(name))}, not of {self.family}")
            for name in ("form", *PARAMETERS)
            if getattr(self, name, None) is not None and self.family not in families_with(name)
        ]
        if problems:
            raise refuse_several(problems)
        self._write_defaults_out()
        return self

    def _write_defaults_out(self) -> None:
        # A default written by the user and one left out are the same scenario, hence the same digest.
        family = FAMILIES[self.family]
        defaults: dict[str, object] = {name: PARAMETERS[name].default for name in family.parameters}
        defaults["form"] = next(iter(family.forms), None)
        for name, default in defaults.items():
            if default is not None and getattr(self, name) is None:
                object.__setattr__(self, name, default)
