"""Where a result goes beyond the studies, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrowalk.errors import DocumentError, InputError
from retrowalk.report.layout import arm_names, flag_words
from retrowalk.scenario import number_of_cases, scenario_from_json
from retrowalk.scenario.gather import ASKED, Cases, sentences, spread_cases

if TYPE_CHECKING:
    import xarray as xr


class Beyond:
    """What a result's scenarios ask beyond the studies.

    What is told follows from the flags in the result, by how much from its scenario.

    Parameters
    ----------
    ds : Dataset
        A result. One that records no ``o_extrapolation`` says nothing.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds
        self._cases = _cases_of(ds)

    def lines(self, outcome: str, day: int) -> list[str]:
        """One line per component and what is asked of it up to a day, with the arms."""
        arms = {arm: self._flags(outcome, arm, day) for arm in arm_names(self._ds)}
        if self._cases is not None and any(arms.values()):
            return sentences(self._cases, outcome, day, arms)
        return [f"{arm}: {', '.join(ASKED[flag] for flag in flags)}." for arm, flags in arms.items() if flags]

    def _flags(self, outcome: str, arm: str, day: int) -> list[str]:
        """What an arm goes beyond in any case."""
        name = f"{outcome}_extrapolation"
        if name not in self._ds:
            return []
        array = self._ds[name].sel(arm=arm, day=day)
        words = {word for value in set(array.values.ravel().tolist()) for word in flag_words(array, value)}
        return [flag for flag in ASKED if flag in words]


def _cases_of(ds: xr.Dataset) -> Cases | None:
    """The scenarios behind a result; None where they cannot be read."""
    try:
        whole = scenario_from_json(str(ds.attrs.get("scenario", "")))
        if list(whole.arms) != arm_names(ds):
            return None
        if "case" in ds.dims:
            return spread_cases(whole, [int(number) for number in ds["case"].values])
        return spread_cases(whole) if number_of_cases(whole) == 1 else None
    except (DocumentError, InputError, IndexError, ValueError):
        return None
