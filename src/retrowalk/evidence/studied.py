"""Within which ages, doses, speeds and conditions a component has been studied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from retrowalk.catalogue import modalities, populations
from retrowalk.errors import InputError
from retrowalk.evidence.checks import suggest
from retrowalk.evidence.rows import Source
from retrowalk.evidence.store import Evidence, load_evidence

Range = tuple[float, float]
_TRAINING = ("fit", "verdict", "check", "habituation")


@dataclass(frozen=True)
class Studied:
    """Ranges over the training arms of a component; None where no arm states the item.

    Attributes
    ----------
    component : str
    arms : int
    age : (low, high) or None
        Years: of the youngest and oldest groups, by their limits, else mean and SD, else mean.
    minutes, sessions_week, weeks, speed : (low, high) or None
        Of one session, a week, the programme; m/s. Stated items only, no imputed ones.
    populations : tuple of str
        Exact or nearest populations of the package.
    """

    component: str
    arms: int
    age: Range | None
    minutes: Range | None
    sessions_week: Range | None
    weeks: Range | None
    speed: Range | None
    populations: tuple[str, ...]

    def beyond(
        self,
        *,
        population: str | None = None,
        age: float | None = None,
        minutes: float | None = None,
        sessions_week: float | None = None,
        weeks: float | None = None,
        speed: float | None = None,
    ) -> tuple[str, ...]:
        """Names of what lies outside all studies, or was never stated by one; empty: no extrapolation."""
        asked = {
            "age": age,
            "minutes": minutes,
            "sessions_week": sessions_week,
            "weeks": weeks,
            "speed": speed,
        }
        found = [name for name, value in asked.items() if value is not None and not self._holds(name, value)]
        if population is not None and population not in self.populations:
            found.insert(0, "population")
        return tuple(found)

    def _holds(self, name: str, value: float) -> bool:
        known: Range | None = getattr(self, name)
        return known is not None and known[0] - 1e-9 <= value <= known[1] + 1e-9


def studied(component: str, *, evidence: Evidence | None = None) -> Studied:
    """What trials of a component cover.

    Counted are the arms that trained it as their first or second component and stand behind a verified result
    with role fit, verdict, check or habituation. An item that the package's author imputed does not count.

    Raises
    ------
    InputError
        For an unknown component.
    """
    if component not in modalities():
        raise InputError(f"there is no component {component!r}{suggest(component, modalities())}")
    return _studied(component) if evidence is None else _collect(component, evidence)


@cache
def _studied(component: str) -> Studied:
    return _collect(component, load_evidence())


def _collect(component: str, evidence: Evidence) -> Studied:
    used = {name for row in evidence.effects if row.verified and row.role in _TRAINING
            for name in (row.arm_a, row.arm_b)}  # fmt: skip
    arms = [arm for arm in evidence.arms if arm.id in used and component in arm.components]
    sources = [evidence.source(arm.source) for arm in arms]

    def stated(item: str) -> Range | None:
        return _range(getattr(arm, item) for arm in arms if item not in arm.imputed)

    people = dict.fromkeys(source.population for source in sources if source.population)
    return Studied(
        component=component,
        arms=len(arms),
        age=_range(end for source in sources for end in _ages(source)),
        minutes=stated("minutes"),
        sessions_week=stated("sessions_week"),
        weeks=stated("weeks"),
        speed=stated("speed"),
        populations=tuple(name for name in populations() if name in people),
    )


def _ages(source: Source) -> tuple[float | None, ...]:
    if source.age_min is not None or source.age_max is not None:
        return source.age_min, source.age_max
    if source.age_mean is None:
        return ()
    spread = source.age_sd or 0.0
    return source.age_mean - spread, source.age_mean + spread


def _range(values: Iterable[float | None]) -> Range | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None
