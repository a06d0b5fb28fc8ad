"""How large a result gets, roughly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrowalk.scenario import Scenario

#: Numbers kept per outcome, arm, draw and assessment: mean and SD of value, change and observed change,
#: five quantiles of value and of change, three shares of responders.
NUMBERS = 2 + 2 + 2 + 5 + 5 + 3
BYTES = 4


def result_bytes(scenario: Scenario) -> int:
    """Bytes of a sweep's numbers before compression."""
    from retrowalk.scenario import number_of_cases

    days = scenario.assess.days or (0,)
    recorded = len(days)
    per_cell = NUMBERS
    if scenario.record != "summaries":
        per_cell = 2 * scenario.population.size
        recorded = len(days) if scenario.record == "members" else days[-1] + 1
    cells = len(scenario.arms) * len(scenario.outcomes) * scenario.draws * scenario.replicates * recorded
    return number_of_cases(scenario) * cells * per_cell * BYTES


def readable(size: float) -> str:
    """Bytes as people write them: 3.2 MB."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
