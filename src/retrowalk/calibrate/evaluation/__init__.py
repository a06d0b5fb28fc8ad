"""How well a calibration predicts, what carries it, and the pages that say so in words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from retrowalk.words import CENTRAL_90


def section(title: str, *parts: str | Iterable[str]) -> Iterator[str]:
    """Lines of a section of a page: its heading and each paragraph or table, with empty lines before them.

    Examples
    --------
    >>> list(section("Gains", "More is better."))
    ['', '## Gains', '', 'More is better.']
    """
    for part in (f"## {title}", *parts):
        yield ""
        yield from (part,) if isinstance(part, str) else part


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
