"""How well a calibration predicts, what carries it, and the pages that say so.

The words of a page stand in a Markdown template beside its module; Python computes what goes in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from retrowalk.tables import markdown_table
from retrowalk.words import CENTRAL_90

#: Outcomes of the five claims: knee, muscle, balance and gait, heart and fat, brain.
CLAIMED = ("knee_pain", "disability", "quadriceps_strength", "balance", "stride_length", "walking_speed",
           "vo2max", "body_fat", "cognition")  # fmt: skip


def page(template: str, **values: object) -> str:
    """The text of a template with these values in its places."""
    return files(__package__).joinpath(f"{template}.md").read_text(encoding="utf-8").format(**values)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table without a last line end."""
    return "\n".join(markdown_table(head, list(rows)))


def number_text(value: float) -> str:
    """About three digits, without an exponent.

    Examples
    --------
    >>> number_text(0.12345), number_text(12.345), number_text(-0.0001)
    ('0.123', '12.3', '0')
    """
    text = f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}" if abs(value) >= 0.995 else f"{value:.3f}"
    return "0" if float(text) == 0 else text


def mean_and_range(values: NDArray[np.float64], form: str, unit: str = "") -> str:
    """Mean and central 90 % of draws in a format such as ``.2f``.

    Examples
    --------
    >>> mean_and_range(np.arange(101.0), ".0f", "min")
    '50 min (5 to 95)'
    """
    low, high = np.quantile(values, CENTRAL_90)
    after = f" {unit}" if unit else ""
    return f"{values.mean():{form}}{after} ({low:{form}} to {high:{form}})"
