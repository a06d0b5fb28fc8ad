"""Columns of text that line up."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

#: Columns that a line of prose takes at most.
WIDTH = 100


def number(value: float | None) -> float:
    """None as NaN, for formatting."""
    return math.nan if value is None else value


def paragraph(words: str, *, indent: int = 2, hang: int = 2) -> str:
    """Words wrapped to a width that fits a terminal and a page, continued `hang` spaces further in."""
    margin = " " * indent
    return textwrap.fill(
        words,
        WIDTH,
        initial_indent=margin,
        subsequent_indent=margin + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def align(cells: Sequence[Sequence[str]], *, spanning: int | None = None, indent: int = 2) -> list[str]:
    """Lay rows of cells out under each other: the first and last column to the left, others to the right.

    Parameters
    ----------
    cells : sequence of rows
        Rows of equal length; the first one or two hold the headings.
    spanning : int, optional
        The column whose cell in the first row stands above it and the two behind it, and takes no width.
    indent : int
        Spaces in front of every line.
    """
    widths = [
        max(len(row[column]) for i, row in enumerate(cells) if not (i == 0 and column == spanning))
        for column in range(len(cells[0]))
    ]
    if spanning is not None:
        room = sum(widths[spanning : spanning + 3]) + 4
        widths[spanning] += max(0, len(cells[0][spanning]) - room)
    lines = []
    for i, row in enumerate(cells):
        words = [_pad(text, widths[column], column, len(row)) for column, text in enumerate(row)]
        if i == 0 and spanning is not None:
            wide = row[spanning].rjust(sum(widths[spanning : spanning + 3]) + 4)
            words[spanning : spanning + 3] = [wide]
        lines.append((" " * indent + "  ".join(words)).rstrip())
    return lines


def _pad(text: str, width: int, column: int, columns: int) -> str:
    return text.ljust(width) if column in (0, columns - 1) else text.rjust(width)
