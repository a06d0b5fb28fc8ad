"""The whole sweep's result without numbers, and how many cases make a block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrowalk.engine.outputs import Shape, imagine, tabulate
from retrowalk.engine.provenance import attributes
from retrowalk.engine.table import Table
from retrowalk.scenario import Scenario, axis_labels, case_values, cases, chosen_cases, number_of_cases

#: Bytes that a block may take before compression. Small beside what the program itself takes, so that
#: memory does not grow with the number of cases.
BLOCK_BYTES = 16 * 2**20

#: Cases of a block at most: what is kept and copied for each adds up, however small its results.
BLOCK_CASES = 256

#: Member-arm-outcome-day-draws of a block: at most about half a minute's work of one processor, which is how
#: long a stopped sweep takes to end and what a killed one loses.
BLOCK_WORK = 3e10

#: Work of a block at least, where that leaves ten blocks: about a second of one processor, beside which the
#: time to write it is small.
LEAST_WORK = 1e9

#: More combinations than these are not all tried before the first case runs.
TRIED = 10_000


def template(scenario: Scenario) -> Table:
    """Shapes of the first case, coordinates of all."""
    first, axes = next(cases(scenario)).scenario, axis_labels(scenario)
    values: dict[str, list[Any]] = {"case": list(range(number_of_cases(scenario))), **case_values(scenario)}
    one = {name: found[:1] for name, found in values.items()}
    block = tabulate(imagine(Shape.of(first), 1), first, one, axes, attributes(scenario))
    return block.widened(tabulate({}, first, values, axes, {}, only="case").coords)


def work_of(scenario: Scenario) -> float:
    """Member-arm-outcome-day-draws of one case."""
    shape = Shape.of(scenario)
    cells = scenario.population.size * len(shape.arms) * len(shape.outcomes) * (shape.days[-1] + 1)
    return float(cells) * shape.draws * shape.replicates


def most_per_block(scenario: Scenario) -> int:
    """Upper limit of cases per block: tens of blocks that keep workers busy, and none that runs long."""
    first, total = next(cases(scenario)).scenario, number_of_cases(scenario)
    work = work_of(first)
    shared = max(total // 32, min(total // 10, max(4, int(LEAST_WORK / work))))
    return max(1, min(shared, BLOCK_CASES, int(BLOCK_WORK / work)))


def check_cases(scenario: Scenario) -> None:
    """Validate the cases before the first one runs: all, or ten thousand spread evenly over a longer sweep.

    Raises
    ------
    DocumentError
        At the first combination of values that is no valid scenario.
    """
    for _ in chosen_cases(scenario, _spread(number_of_cases(scenario), TRIED)):
        pass


def sample(scenario: Scenario, count: int) -> Iterator[Scenario]:
    """Scenarios of some cases, spread evenly over the sweep."""
    return (case.scenario for case in chosen_cases(scenario, _spread(number_of_cases(scenario), count)))


def _spread(total: int, count: int) -> list[int]:
    if total <= count:
        return list(range(total))
    return sorted({round(number * (total - 1) / (count - 1)) for number in range(count)})
