"""Within which ages, doses, speeds and conditions a component has been studied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from retrowalk.catalogue import known, modalities, outcomes, populations
from retrowalk.evidence.library import Evidence, load_evidence
from retrowalk.evidence.records import Arm, Source

Range = tuple[float, float]
_TRAINING = ("fit", "verdict", "check", "habituation")
_DOSE = ("minutes", "sessions_week", "weeks")
_ITEMS = (*_DOSE, "speed")

#: Standard scores that enclose the central 90 % of a group, which is what counts as its ages.
CENTRAL = 1.645


@dataclass(frozen=True)
class Studied:
    """What the training arms of a component cover, for one outcome or all together.

    Attributes
    ----------
    component : str
    outcome : str or None
    arms : int
    age : (low, high) or None
        Years; of a group its limits, else the central 90 % by its mean and SD. What a source leaves open is
        filled with the ages of the population of the package that is nearest to its people.
    minutes, sessions_week, weeks, speed : (low, high) or None
        Of one session, a week, the programme; m/s. Stated items only, no imputed ones.
    assumed : dict of str to (low, high)
        The same items, of the arms whose source does not state them, as the package's author took them.
    longest : dict of str to str
        Id of the source that reaches the upper end of each item, by the item's name, and of the assumed
        ones by ``assumed_`` and the name; ``age`` and ``youngest`` for both ends of the ages.
    dose_stated : bool
        Whether any arm states minutes, sessions a week and weeks, all of them. Speed is left out, since
        people mostly walked at their own pace.
    populations : tuple of str
        Exact or nearest populations of the package.
    """

    component: str
    outcome: str | None
    arms: int
    age: Range | None
    minutes: Range | None
    sessions_week: Range | None
    weeks: Range | None
    speed: Range | None
    populations: tuple[str, ...]
    assumed: dict[str, Range] = field(default_factory=dict)
    longest: dict[str, str] = field(default_factory=dict)
    dose_stated: bool = False

    def limit(self, item: str) -> float | None:
        """The most of an item that a study stated or was taken to have had; None where nothing is known."""
        ends = [ends[1] for ends in (getattr(self, item), self.assumed.get(item)) if ends is not None]
        return max(ends) if ends else None

    def covers_age(self, low: float, high: float) -> bool:
        """Whether ages lie within those studied, to a year, since ages are rounded to years."""
        return self.age is not None and self.age[0] - 1.0 <= low and high <= self.age[1] + 1.0


def studied(component: str, outcome: str | None = None, *, evidence: Evidence | None = None) -> Studied:
    """What trials of a component cover, of one outcome or of all.

    Counted are the arms that trained it as their first or second component and stand behind a result (on that
    outcome) with role fit, verdict, check or habituation. A trial that measured an outcome covers its own
    programme even where its result is unread; `dose_stated` counts verified results alone.

    Raises
    ------
    InputError
        For an unknown component or outcome.
    """
    known(component, modalities(), "component")
    if outcome is not None:
        known(outcome, outcomes(), "outcome")
    return _collect(component, outcome, evidence or load_evidence())


@cache
def longest_follow_up(outcome: str, *, evidence: Evidence | None = None) -> tuple[float, str] | None:
    """Days after the last session until which a study followed an outcome, and its source; None: never.

    Counted are verified results of training and of detraining whose source states the days.
    """
    followed = [
        (row.days_after_last, row.source)
        for row in (evidence or load_evidence()).effects
        if row.outcome == outcome and row.verified and row.role in (*_TRAINING, "retention")
        and row.days_after_last is not None and not row.days_after_last_imputed
    ]  # fmt: skip
    return max(followed, default=None, key=lambda days_source: days_source[0])


@cache
def _collect(component: str, outcome: str | None, evidence: Evidence) -> Studied:
    rows = [row for row in evidence.effects if row.role in _TRAINING and outcome in (None, row.outcome)]
    arm_ids, verified_ids = (
        {name for row in chosen for name in (row.arm_a, row.arm_b)}
        for chosen in (rows, [row for row in rows if row.verified])
    )
    arms = [arm for arm in evidence.arms if arm.id in arm_ids and component in arm.components]
    sources = [evidence.source(arm.source) for arm in arms]
    stated, assumed = ({item: list[tuple[float, str]]() for item in _ITEMS} for _ in range(2))
    for arm in arms:
        for item in _ITEMS:
            value = _of_component(arm, item, second=arm.component != component)
            if value is not None:
                (assumed if item in arm.imputed else stated)[item].append((value, arm.source))
    ages = [(ends, source.id) for source in sources if (ends := _ages(source)) is not None]
    longest = {item: max(pairs)[1] for item, pairs in stated.items() if pairs}
    longest |= {f"assumed_{item}": max(pairs)[1] for item, pairs in assumed.items() if pairs}
    if ages:
        longest |= {"age": max((ends[1], name) for ends, name in ages)[1]}
        longest |= {"youngest": min((ends[0], name) for ends, name in ages)[1]}
    people = {source.population for source in sources}
    return Studied(
        component=component,
        outcome=outcome,
        arms=len(arms),
        age=_range(end for ends, _ in ages for end in ends),
        **{item: _range(value for value, _ in pairs) for item, pairs in stated.items()},
        populations=tuple(name for name in populations() if name in people),
        assumed={item: (min(pairs)[0], max(pairs)[0]) for item, pairs in assumed.items() if pairs},
        longest=longest,
        dose_stated=any(
            arm.id in verified_ids
            and all(getattr(arm, item) is not None and item not in arm.imputed for item in _DOSE)
            for arm in arms
        ),
    )


def _of_component(arm: Arm, item: str, *, second: bool) -> float | None:
    """An item of one of the components that an arm trained: its own speed, its own part of the minutes."""
    if item == "speed":
        return arm.second_speed if second else arm.speed
    value: float | None = getattr(arm, item)
    if item == "minutes" and value is not None and arm.second_share is not None:
        return value * (arm.second_share if second else 1 - arm.second_share)
    return value


def _ages(source: Source) -> Range | None:
    nearest = populations().get(source.population)
    mean, sd = source.age_mean, source.age_sd
    if mean is None and nearest is not None and source.age_min is None and source.age_max is None:
        mean, sd = nearest.age_mean, nearest.age_sd
    if mean is not None and sd is None:
        sd = nearest.age_sd if nearest is not None else 0.0
    spread = CENTRAL * (sd or 0.0)
    usual = None if nearest is None else (nearest.age_min, nearest.age_max)
    low, high = (None, None) if mean is None else (mean - spread, mean + spread)
    low = source.age_min if source.age_min is not None else low if low is not None else usual and usual[0]
    high = source.age_max if source.age_max is not None else high if high is not None else usual and usual[1]
    return None if low is None or high is None else (low, high)


def _range(values: Iterable[float]) -> Range | None:
    known = list(values)
    return (min(known), max(known)) if known else None
