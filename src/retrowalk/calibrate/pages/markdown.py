"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
