"""From the days a caller gives to the steps a kernel takes: gaps, several sessions at once, absent days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.arguments import Numbers, as_real


@dataclass(frozen=True)
class Timeline:
    """Steps of a kernel and where the caller's entries lie among them.

    Parameters
    ----------
    gap : numpy.ndarray
        Days from each step to the one before; the first is one day after the initial state.
    slots : numpy.ndarray or None
        Step of each entry; None where entry n is step n.
    labels : numpy.ndarray or None
        The caller's own name of each entry; None where an entry has only its index.
    daily : bool
        Whether every gap is one day.
    """

    gap: NDArray[np.float64]
    slots: NDArray[np.int64] | None = None
    labels: NDArray[Any] | None = None
    daily: bool = True

    def spread(self, load: NDArray[Any]) -> NDArray[Any]:
        """Load per step: entries at one time are added, steps without an entry are zero."""
        if self.slots is None:
            return load
        steps = np.zeros((*load.shape[:-1], self.gap.size), load.dtype)
        for entry, step in enumerate(self.slots):
            steps[..., step] += load[..., entry]
        return steps

    def collect(self, curve: NDArray[Any]) -> NDArray[Any]:
        """Values at the caller's entries."""
        return curve if self.slots is None else curve[..., self.slots]

    def place(self, step: int) -> str:
        """Where a step lies, in the caller's words: its index and, where days have names, its day."""
        entry = step if self.slots is None else int(np.searchsorted(self.slots, step, side="right")) - 1
        later = 0 if self.slots is None else step - int(self.slots[entry])
        after = f", {later} days later" if later else ""
        day = "" if self.labels is None else f" (day {self.labels[entry]}{after})"
        return f"at index {entry}{day}"


def daily(length: int) -> Timeline:
    """One entry a day, without gaps."""
    return Timeline(np.ones(length))


def from_coordinate(name: str, days: NDArray[Any], missing: str) -> Timeline:
    """Daily grid of a labelled load, whose days must be whole and, unless `missing` is zero, complete."""
    numbers = _day_numbers(name, days)
    _check_order(name, numbers, days, strictly=True)
    steps = np.diff(numbers)
    broken = np.flatnonzero(steps != np.round(steps))
    if numbers.size and days.dtype.kind in "fiu" and numbers[0] != round(numbers[0]):
        raise InputError(
            f"{name} is {days[0]} at index 0; a daily grid has whole days (use times= for others)"
        )
    if broken.size:
        at = int(broken[0]) + 1
        raise InputError(
            f"{name} is {days[at]} at index {at}; a daily grid has whole days (use times= for others)"
        )
    absent = np.flatnonzero(steps > 1)
    if not absent.size:
        return Timeline(np.ones(days.size), labels=days)
    if missing == "error":
        at = int(absent[0])
        raise InputError(
            f"{name} goes from {days[at]} at index {at} to {days[at + 1]}; the days between have no load: "
            "give them, or pass missing='zero' or times="
        )
    return _dense(numbers, days)


def from_times(times: Numbers, length: int, *, whole: bool, reason: str) -> Timeline:
    """Entries at any times, in days; `whole` says that the model steps by the day, for `reason`."""
    given = np.asarray(times)
    if given.shape != (length,):
        raise InputError(
            f"times has shape {given.shape}; it must be one-dimensional with {length} entries like load"
        )
    numbers = _day_numbers("times", given)
    _check_order("times", numbers, given, strictly=False)
    if whole:
        broken = np.flatnonzero(numbers - numbers[:1] != np.round(numbers - numbers[:1]))
        if broken.size:
            at = int(broken[0])
            raise InputError(
                f"times is {given[at]} at index {at}; {reason} steps by the day, so times must be whole"
            )
        return _dense(numbers, given)
    unique, slots = np.unique(numbers, return_inverse=True)
    gap = np.diff(unique, prepend=unique[:1] - 1.0)
    gap[:1] = 1.0
    single = unique.size == numbers.size
    return Timeline(gap, None if single else slots.astype(np.int64), given, bool(np.all(gap == 1.0)))


def _dense(numbers: NDArray[np.float64], labels: NDArray[Any]) -> Timeline:
    slots = np.round(numbers - numbers[:1]).astype(np.int64)
    span = int(slots[-1]) + 1 if slots.size else 0
    return Timeline(np.ones(span), slots, labels)


def _day_numbers(name: str, days: NDArray[Any]) -> NDArray[np.float64]:
    if days.dtype.kind == "M":
        empty = np.isnat(days)
        if empty.any():
            raise InputError(f"{name} is missing (NaT) at index {int(np.argmax(empty))}")
        return np.asarray((days - days[:1]) / np.timedelta64(1, "D"), np.float64)
    if days.dtype.kind == "m":
        return np.asarray(days / np.timedelta64(1, "D"), np.float64)
    numbers = as_real(name, days).astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"{name} is {days[at]} at index {at}; it must be a finite number of days")
    return numbers


def _check_order(name: str, numbers: NDArray[np.float64], days: NDArray[Any], *, strictly: bool) -> None:
    steps = np.diff(numbers)
    bad = np.flatnonzero(steps <= 0 if strictly else steps < 0)
    if bad.size:
        at = int(bad[0]) + 1
        hint = " (several sessions a day go through times=)" if strictly and steps[at - 1] == 0 else ""
        raise InputError(f"{name} is {days[at]} at index {at} after {days[at - 1]}; it must increase{hint}")
