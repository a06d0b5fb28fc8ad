"""A cohort to look at: the members of a population with all their traits, labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.catalogue import Outcome, baseline, known, outcomes, populations
from retrowalk.cohort.members import ages, attendance_share, baseline_z, response_z
from retrowalk.errors import InputError
from retrowalk.model.links import Link

if TYPE_CHECKING:
    import xarray as xr

Column = tuple[str, np.ndarray[Any, Any], dict[str, str]]


def sample_cohort(population: str, n: int, *, seed: int) -> xr.Dataset:
    """Draw the first `n` members of a population: those that a scenario with this seed simulates.

    Parameters
    ----------
    population : str
        Name of a population of the catalogue, such as ``"knee_oa"``.
    n : int
        Number of members. A larger cohort begins with the same members.
    seed : int
        0 to 2**64 - 1.

    Returns
    -------
    xarray.Dataset
        Over the dimension `member`: `age`; each outcome that has a baseline in this population, in its own
        unit, before training and without measurement error; ``<outcome>_response``, the standard score of
        the member's response on the link scale; `attendance`, the member's own share of visits attended.

    Raises
    ------
    InputError
        For an unknown population, less than one member, or a seed out of range.

    Examples
    --------
    >>> cohort = sample_cohort("knee_oa", 100, seed=1)
    >>> bool(cohort["knee_pain"].max() < 10)
    True
    """
    import xarray as xr

    person = populations()[known(population, populations(), "population")]
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"n is {n!r}; it must be a whole number of members, at least 1")
    drawn = (seed, 0, 0, int(n))
    columns: dict[str, Column] = {
        "age": _column(
            ages(*drawn, person.age_mean, person.age_sd, (person.age_min, person.age_max)),
            "age", "years", person.age_source),
        "attendance": _column(
            attendance_share(*drawn, person.attendance, person.attendance_sd),
            "probability to attend a visit", "1", person.attendance_source),
    }  # fmt: skip
    for slot, outcome in enumerate(outcomes().values()):
        columns |= _outcome_columns(population, outcome, slot, drawn)
    member = ("member", np.arange(n), {"long_name": "virtual participant", "units": "1"})
    attributes = {"Conventions": "CF-1.11", "title": f"Cohort: {person.label}", "population": population,
                  "seed": str(seed)}  # fmt: skip
    return xr.Dataset(columns, coords={"member": member}, attrs=attributes)


def _outcome_columns(
    population: str, outcome: Outcome, slot: int, drawn: tuple[int, int, int, int]
) -> dict[str, Column]:
    try:
        before = baseline(population, outcome.name)
    except InputError:
        return {}  # nothing is known or can sensibly be assumed: there is no such variable
    link = Link(outcome.link, outcome.lower, outcome.upper)
    mu, sd = link.from_moments(before.mean, before.sd)
    name = outcome.long_name
    value = link.inverse(mu + sd * baseline_z(*drawn, slot))
    natural = _column(value, name, outcome.unit, before.source or before.reason)
    natural[2]["baseline_status"] = before.status
    natural[2]["instrument"] = before.instrument
    score = _column(
        response_z(*drawn, slot), f"response of {name}, standard score on the link scale", "1", ""
    )
    return {outcome.name: natural, f"{outcome.name}_response": score}


def _column(values: np.ndarray[Any, Any], long_name: str, units: str, references: str) -> Column:
    attributes = {"long_name": long_name, "units": units, "references": references}
    return "member", values, {name: text for name, text in attributes.items() if text}
