"""Strategies for validated scenarios and for results as `retrowalk.simulate` gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from retrowalk.scenario import Scenario, scenario_from_data
from retrowalk.testing.documents import documents

if TYPE_CHECKING:
    import xarray as xr


def scenarios(
    *, max_size: int = 20, max_weeks: int = 4, record: str | None = None
) -> SearchStrategy[Scenario]:
    """Whole valid scenarios, small enough to run in milliseconds.

    Parameters
    ----------
    max_size, max_weeks, record
        As in `documents`, whose plain data is easier to read in a failing example.

    Returns
    -------
    SearchStrategy
        Of `retrowalk.Scenario`.
    """
    drawn = documents(max_size=max_size, max_weeks=max_weeks, record=record)
    return st.builds(scenario_from_data, drawn)


def result_datasets(*, record: str | None = None) -> SearchStrategy[xr.Dataset]:
    """Results of small scenarios, computed, hence with every dimension, attribute and gap of real ones.

    Parameters
    ----------
    record : {"summaries", "members", "trajectories"}, optional
        Which layout; any of them unless given.

    Returns
    -------
    SearchStrategy
        Of datasets with up to three draws, replicates, arms and outcomes, and eight members.
    """
    from retrowalk.engine import simulate

    return scenarios(max_size=8, record=record).map(simulate)
