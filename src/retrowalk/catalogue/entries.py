"""The rows of the five catalogue tables: what a column means and which values it takes."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from retrowalk.tables import Row

Status = Literal["measured", "derived", "assumed"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _read_units(text: object) -> object:
    """Units and factors of a cell such as ``m; cm 0.01``; the first unit has none."""
    if not isinstance(text, str):
        return text
    first, *others = (part.strip() for part in text.split(";"))
    units = {first: 1.0}
    for other in others:
        unit, _, factor = other.rpartition(" ")
        try:
            units[unit] = float(Fraction(factor))
        except (ValueError, ZeroDivisionError):
            units[unit] = 0.0
        if not (unit and units[unit] > 0):
            raise ValueError(f"{other!r} is no unit with a factor above 0 to {first!r}, such as 'cm 0.01'")
    return units


class Outcome(Row):
    """What is measured, with the one instrument and unit in which the package counts it."""

    name: str
    label: str
    long_name: str
    instrument: str
    unit: str
    evidence_units: Annotated[dict[str, float], BeforeValidator(_read_units)]
    """Units in which studies report it, each with its factor to the first: ``m; cm 0.01; km/h 5/18``."""
    link: Literal["log", "logit", "identity"]
    """Scale on which training responses add."""
    lower: float | None = None
    """Lowest value the instrument records; with a logit link also the bound of the true values."""
    upper: float | None = None
    resolution: Positive
    """Step in which the instrument is read off."""
    better: Literal["lower", "higher"]
    family: Literal["symptoms", "strength", "gait_balance", "cardio_metabolic", "cognition"]
    references: str
    """DOI or address of the instrument's key source."""

    @model_validator(mode="after")
    def _link_has_its_bounds(self) -> Self:
        if self.link == "logit" and (self.lower is None or self.upper is None or self.lower >= self.upper):
            raise ValueError("a logit link needs lower < upper")
        if self.link == "log" and self.lower != 0:
            raise ValueError("a log link needs lower = 0")
        return self


class Modality(Row):
    """One component of training and its reference session."""

    name: str
    label: str
    group: str
    """Components of one group share the concavity of dose."""
    modality: str
    """Name in scenario files: `walk` stands for both walking components."""
    direction: Literal["", "forward", "backward"] = ""
    reference_minutes: Positive
    reference_speed: Positive | None = None
    """m/s; None where no speed equation applies."""
    reference_grade: float = 0.0
    """Fraction, not per cent."""
    cost_level: Annotated[float, Field(ge=0)] | None = None
    """Oxygen per metre on the level [ml/kg/m], above the 3.5 ml/kg/min of rest."""
    cost_climb: Annotated[float, Field(ge=0)] | None = None
    """Oxygen per metre climbed [ml/kg/m]."""
    backward_ratio: Literal["", "walk", "run"] = ""
    """Whose ratio of backward to forward cost a backward component has; its forward one has the equation."""
    slowest: Positive | None = None
    """Speeds [m/s] and grades (fractions) outside which a session is refused; downhill always is."""
    fastest: Positive | None = None
    steepest: Share | None = None
    speed_source: str = ""
    """Where the equation and its limits come from."""
    met: Annotated[float, Field(gt=1)] | None = None
    """METs of the reference session; None where they follow from the speed."""
    met_status: Status | None = None
    met_source: str = ""
    met_notes: str = ""

    @model_validator(mode="after")
    def _cost_is_known_one_way(self) -> Self:
        if (self.met is None) == (self.reference_speed is None):
            raise ValueError("give either met or reference_speed")
        equation = ("backward_ratio",) if self.direction == "backward" else ("cost_level", "cost_climb")
        needed = () if self.met is not None else (*equation, "slowest", "fastest", "steepest")
        absent = [name for name in needed if getattr(self, name) in (None, "")]
        if absent:
            raise ValueError(f"a component with a speed needs {', '.join(absent)}")
        return self


class Population(Row):
    """Who the members are; baselines of their outcomes are in their own table.

    A status speaks of the mean or the share; spreads and limits may be assumed, as the source then says.
    """

    name: str
    label: str
    condition: str
    age_mean: Positive
    age_sd: Positive
    age_min: Positive
    age_max: Positive
    age_status: Status
    age_source: str
    female_share: Share
    female_status: Status
    female_source: str
    mass_kg: Positive | None = None
    mass_status: Status | None = None
    mass_source: str = ""
    attendance: Share
    """Mean share of visits attended."""
    attendance_sd: Annotated[float, Field(ge=0)]
    """SD between members of the propensity to attend, on the probit scale."""
    attendance_status: Status
    attendance_source: str
    completion: Annotated[float, Field(gt=0, le=1)]
    """Share of members still in the trial after `completion_weeks`."""
    completion_weeks: Positive
    completion_status: Status
    completion_source: str

    @model_validator(mode="after")
    def _ages_are_ordered(self) -> Self:
        if not self.age_min < self.age_mean < self.age_max:
            raise ValueError("age_min < age_mean < age_max must hold")
        return self


class _Supported(Row):
    """What a number rests on: a citation, or the reason of an assumption."""

    status: Status
    reason: str = ""
    citation: str = ""
    doi_or_pmid: str = ""
    url: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _is_supported(self) -> Self:
        if self.status != "assumed" and not self.citation:
            raise ValueError("a measured or derived row needs a citation")
        if self.status == "assumed" and not self.reason:
            raise ValueError("an assumed row needs a reason")
        return self


class BaselineRow(_Supported):
    """One published, derived or assumed baseline of an outcome in a population."""

    population: str
    outcome: str
    instrument: str
    unit: str
    range_min: float | None = None
    range_max: float | None = None
    mean: float | None = None
    sd: float | None = None
    n: int | None = None
    chosen: Literal["", "yes"] = ""
    """`yes` for the one row of a cell that the package uses."""

    @model_validator(mode="after")
    def _chosen_has_moments(self) -> Self:
        if self.chosen and (self.mean is None or self.sd is None or self.sd <= 0):
            raise ValueError("a chosen row needs a mean and a positive sd")
        return self


class MeasurementRow(_Supported):
    """One published, derived or assumed measurement error or minimal important change."""

    outcome: str
    population: str = ""
    """The population that a chosen row serves, or `any`."""
    sample: str = ""
    """The people it was measured in, in the words of the table."""
    instrument: str
    unit: str
    sem: float | None = None
    icc: float | None = None
    mdc95: float | None = None
    mic: float | None = None
    mic_method: str = ""
    sd_change: float | None = None
    corr_pre_post: float | None = None
    printed: str = ""
    """Cells that are not one number, as printed."""
    chosen: Literal["", "sem", "mic"] = ""
    """Which value of this row the package uses."""

    @model_validator(mode="after")
    def _chosen_has_its_value(self) -> Self:
        if self.chosen:
            value = self.sem if self.chosen == "sem" else self.mic
            if value is None or value <= 0 or not self.population:
                raise ValueError(f"a row chosen for {self.chosen} needs a positive value and a population")
        return self
