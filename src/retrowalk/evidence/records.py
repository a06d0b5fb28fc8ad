"""The rows of the evidence tables: what a column means, which values it takes, and in which units."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from retrowalk.catalogue import outcomes
from retrowalk.tables import Row

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]

Design = Literal[
    "rct", "controlled", "single_arm", "crossover", "case", "measurement", "meta_analysis",
    "systematic_review", "protocol", "reference", "secondary",
]  # fmt: skip


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


def _plus_or_minus_one(sign: int) -> int:
    if sign not in (-1, 1):
        raise ValueError("must be 1 or -1")
    return sign


Role = Literal[
    "fit", "verdict", "check", "alternative", "part_of", "sub_scale", "duplicate", "habituation", "acute",
    "mechanics", "time_constant", "retention", "measurement", "completion", "post_only", "not_modelled",
    "excluded",
]  # fmt: skip
Kind = Literal[
    "arm_change", "contrast", "post_diff", "percent", "smd", "bound", "verdict", "retention", "half_time",
    "level", "ratio", "constant",
]  # fmt: skip


class Effect(Row):
    """One reported or derived result. Positive values: the measured number rises."""

    id: str
    """``<source>/<name>``."""
    source: str
    studies_row: str = ""
    """Where it was first noted: ``<source>#<n>``, several separated by spaces for a derived result."""
    arm_a: str = ""
    arm_b: str = ""
    """Arm subtracted; empty: a change or a level within `arm_a`."""
    population: str = ""
    outcome: str = ""
    """Model outcome; empty: only `measure` says what it is."""
    measure: str
    instrument: str = ""
    kind: Kind
    value: float | None = None
    unit: str = ""
    """Canonical unit of the outcome, ``%`` of the baseline mean, or ``SD``; body fat counts in ``points``."""
    sign: Annotated[int, AfterValidator(_plus_or_minus_one)] = 1
    """Times this, value and direction have the sense of the outcome's own scale (Biodex: -1)."""
    denominator: Literal["", "sd_baseline", "sd_post", "sd_change", "unstated"] = ""
    """What a standardised difference was divided by."""
    typical_sd: Positive | None = None
    sd_change: Positive | None = None
    """SD of the change between people, printed or implied by p."""
    se: Positive | None = None
    se_rung: Annotated[int, Field(ge=1, le=6)] | None = None
    """1 SD or SE; 2 CI; 3 exact p and n; 4 p bound, at the bound; 5 imputed; 6 pooled row without CI."""
    df: Count | None = None
    """Degrees of freedom of the t quantile behind `se`."""
    n_a: Count | None = None
    n_b: Count | None = None
    p: Annotated[float, Field(gt=0, le=1)] | None = None
    p_kind: Literal["", "exact", "below", "above"] = ""
    verdict: Literal["", "significant", "not_significant"] = ""
    direction: Literal["", "up", "down", "none"] = ""
    ci_low: float | None = None
    ci_high: float | None = None
    range_low: float | None = None
    range_high: float | None = None
    """Ends of a range where no single number is reported."""
    days_after_last: NotNegative | None = None
    days_after_last_imputed: bool = False
    matched: Literal["", "no", "unknown", "dose", "intensity", "distance"] = ""
    """Whether the two arms of a contrast trained equally much, and in which sense."""
    contrary: bool = False
    """Speaks against a benefit of what `arm_a` trained: null or opposite."""
    role: Role
    alternative_to: str = ""
    correlated_with: str = ""
    error_correlation: Annotated[float, Field(gt=-1, lt=1)] | None = None
    """Correlation of its sampling error with that of `correlated_with` (an arm in both)."""
    cluster: str
    """Same cluster, same people."""
    reason: str = ""
    baseline_mean: float | None = None
    baseline_sd: Positive | None = None
    post_mean: float | None = None
    post_sd: Positive | None = None
    original_value: float | None = None
    original_sd: Positive | None = None
    original_se: Positive | None = None
    original_unit: str = ""
    original_text: str = ""
    """Words of the source where they are no single number."""
    where: str = ""
    verified: bool = False
    """Read at `where`."""

    @model_validator(mode="after")
    def _numbers_of_a_fit(self) -> Self:
        if self.role == "fit":
            needed = ("outcome", "arm_a", "value", "unit", "se", "se_rung")
            absent = [name for name in needed if getattr(self, name) in (None, "")]
            if absent:
                raise ValueError(f"a row with role fit needs {', '.join(absent)}")
        return self


_SCALED = ("value", "typical_sd", "sd_change", "se", "ci_low", "ci_high", "range_low", "range_high")


def in_canonical_unit(effect: Effect) -> Effect:
    """The effect with its numbers in the outcome's canonical unit; the original value and unit are kept.

    ``%`` and ``SD`` stay, and so does a row on no model outcome. The unit must be an accepted one.
    """
    units = outcomes()[effect.outcome].evidence_units if effect.outcome in outcomes() else {}
    factor = units.get(effect.unit, 1.0)
    if factor == 1.0:
        return effect
    update: dict[str, Any] = {
        name: number * factor for name in _SCALED if (number := getattr(effect, name)) is not None
    }
    update["unit"] = next(iter(units))
    if effect.original_value is None:
        update["original_value"] = effect.value
    update["original_unit"] = effect.original_unit or effect.unit
    return effect.model_copy(update=update)
