"""The row of one result: what a column means and which values it takes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from retrowalk.evidence.rows import Count, NotNegative, Positive
from retrowalk.tables import Row

Rung = Annotated[int, Field(ge=1, le=6)]


def _plus_or_minus_one(sign: int) -> int:
    if sign not in (-1, 1):
        raise ValueError("must be 1 or -1")
    return sign


Sign = Annotated[int, AfterValidator(_plus_or_minus_one)]

Role = Literal[
    "fit",
    "verdict",
    "check",
    "alternative",
    "part_of",
    "sub_scale",
    "duplicate",
    "habituation",
    "acute",
    "mechanics",
    "time_constant",
    "retention",
    "measurement",
    "completion",
    "post_only",
    "not_modelled",
    "excluded",
]
Kind = Literal[
    "arm_change",
    "contrast",
    "post_diff",
    "percent",
    "smd",
    "bound",
    "verdict",
    "retention",
    "half_time",
    "level",
    "ratio",
    "constant",
]


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
    sign: Sign = 1
    """Times this, value and direction have the sense of the outcome's own scale (Biodex: -1)."""
    denominator: Literal["", "sd_baseline", "sd_post", "sd_change", "unstated"] = ""
    """What a standardised difference was divided by."""
    typical_sd: Positive | None = None
    sd_change: Positive | None = None
    """SD of the change between people, printed or implied by p."""
    se: Positive | None = None
    se_rung: Rung | None = None
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

    @property
    def studies_rows(self) -> tuple[str, ...]:
        """The noted rows it rests on."""
        return tuple(self.studies_row.split())
