"""The rows of sources, arms and exclusions: what a column means and which values it takes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retrowalk.tables import Row

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]

Design = Literal[
    "rct",
    "controlled",
    "single_arm",
    "crossover",
    "case",
    "measurement",
    "meta_analysis",
    "systematic_review",
    "protocol",
    "reference",
    "secondary",
]


class Source(Row):
    """One study: an article, a protocol, a registry entry or a reference table."""

    id: str
    citation: str
    doi: str = ""
    url: str = ""
    year: Annotated[int, Field(ge=1800, le=2100)] | None = None
    design: Design
    population: str = ""
    """The package's population that comes nearest; empty where none does."""
    population_match: Literal["", "exact", "near"] = ""
    condition: str = ""
    age_mean: Positive | None = None
    age_sd: Positive | None = None
    age_min: NotNegative | None = None
    age_max: Positive | None = None
    n_total: Count | None = None
    n_trials: Count | None = None
    """Trials behind a pooled row."""
    duplicate_of: str = ""
    """The source whose people and results these are."""
    contains: str = ""
    """Ids, separated by spaces, of the single trials inside a pooled source."""
    overlap_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of a pooled source that its contained trials make up; its variance is divided by the rest."""
    contrary: bool = False
    """Reports a null or an opposite result somewhere."""
    citation_checked: bool = True
    """False where part of the citation was not read at the source."""
    in_studies: bool = False
    """Belongs to the 73 sources the package's evidence began with."""
    notes: str = ""

    @property
    def trials(self) -> tuple[str, ...]:
        """Ids of the contained trials."""
        return tuple(self.contains.split())


class Arm(Row):
    """One group of one study and the programme it followed (or the bout it did)."""

    id: str
    """``<source>/<name>``."""
    source: str
    name: str
    n: Count | None = None
    component: str = ""
    """What the arm trained; empty: nothing the model knows."""
    speed: Positive | None = None
    """m/s."""
    grade: float | None = None
    """Fraction, not per cent."""
    second_component: str = ""
    second_share: Share | None = None
    """Share of the minutes spent on the second component."""
    second_speed: Positive | None = None
    addon_to: str = ""
    """Component that the arm did besides, in the same sessions."""
    addon_minutes: Positive | None = None
    comparator: Literal["", "none", "physiotherapy", "acute", "balance", "forward", "lateral"] = ""
    """Class of an arm that others are compared with; empty: it is no comparator."""
    drift: Literal["", "none", "physiotherapy", "acute"] = ""
    """What all arms of the study share: re-test only, care and natural course, recovery after stroke."""
    sessions_week: NotNegative | None = None
    weeks: Positive | None = None
    minutes: NotNegative | None = None
    intensity: str = ""
    n_imputed: bool = False
    sessions_week_imputed: bool = False
    weeks_imputed: bool = False
    minutes_imputed: bool = False
    speed_imputed: bool = False
    addon_minutes_imputed: bool = False
    sessions_week_log_sd: Positive | None = None
    weeks_log_sd: Positive | None = None
    minutes_log_sd: Positive | None = None
    speed_log_sd: Positive | None = None
    dose_log_sd: NotNegative | None = None
    """All imputed dose items together: 0.2 for one, 0.4 for several, 0.5 where the text is ambiguous."""
    imputed_reason: str = ""
    completion: Share | None = None
    where: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _imputed_items_have_values_and_reasons(self) -> Self:
        for item in self.imputed:
            if getattr(self, item) is None:
                raise ValueError(f"{item} is marked as imputed but has no value")
        if self.imputed and not self.imputed_reason:
            raise ValueError("an imputed item needs imputed_reason")
        return self

    @property
    def imputed(self) -> tuple[str, ...]:
        """Names of the items that the source does not state."""
        items = ("n", "sessions_week", "weeks", "minutes", "speed", "addon_minutes")
        return tuple(item for item in items if getattr(self, f"{item}_imputed"))

    @property
    def components(self) -> tuple[str, ...]:
        """What the arm trained, without what it did besides."""
        return tuple(name for name in (self.component, self.second_component) if name)


class Excluded(Row):
    """A source or one of its rows that no number, verdict or range could be taken from."""

    source: str
    studies_row: str = ""
    measure: str = ""
    original_text: str = ""
    reason: str
    where: str = ""
