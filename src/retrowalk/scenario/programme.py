"""Programmes: arms, their phases, and the sessions of a week."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from retrowalk.errors import InputError
from retrowalk.model.session import Match, Session
from retrowalk.scenario.document import Path
from retrowalk.scenario.fields import Block, Measured, ModalityName, Whole, one_of, refuse, refuse_several
from retrowalk.scenario.names import reference_speed
from retrowalk.scenario.people import Doing
from retrowalk.scenario.progression import PROGRESSED_FIELDS, ProgressedField, Progression, Step

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Modalities with a speed equation, hence with speed, grade and direction.
LOCOMOTION = ("walk", "run")
MAX_DAYS = 3660
MAX_SESSIONS_A_WEEK = 84

#: What a progressed value must stay within, whatever its rule.
_BOUNDS: dict[ProgressedField, tuple[float, float, str]] = {
    "minutes": (0.0, 600.0, "min"),
    "speed": (0.05, 12.0, "m/s"),
    "grade": (-0.45, 0.45, "as a fraction"),
    "backward_share": (0.0, 1.0, "as a fraction"),
}


class PlannedSession(Block):
    """A session that comes back every week of its phase."""

    model_config = one_of("per_week", "days")

    modality: ModalityName
    """What is done; only walk and run have a speed, a grade and a direction."""
    minutes: Annotated[float, Measured("minutes", ge=0, le=600)]
    """Duration of one session [min]; 0 is no session."""
    speed: Annotated[float, Measured("speed", ge=0.05, le=12)] | None = None
    """Forward speed [m/s] of a walk or run; left out: the modality's reference speed."""
    grade: Annotated[float, Measured("fraction", ge=-0.45, le=0.45)] = 0.0
    """Slope as a fraction."""
    backward_share: Annotated[float, Measured("fraction", ge=0, le=1)] = 0.0
    """Share of the minutes replaced by backward movement, 0 to 1."""
    match: Match = "time"
    """What the backward part has in common with the forward part it replaces."""
    per_week: Annotated[int, Whole(ge=1, le=14)] | None = None
    """Sessions a week, spread evenly: number i of k is on day floor(7 i / k), so 3 is days 0, 2 and 4."""
    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] | None = None
    """Weekdays instead of `per_week`; every week begins on a Monday, day 0."""
    times_per_day: Annotated[int, Whole(ge=1, le=4)] = 1
    """How often the session is done on each of its days."""
    progression: Progression = Progression.model_construct()
    """Changes from week to week; goes before the phase's own rules."""

    @model_validator(mode="after")
    def _consistent(self) -> PlannedSession:
        problems: list[tuple[Path, str]] = []
        if (self.per_week is None) == (self.days is None):
            problems.append(((), "give either per_week or days, such as `per_week: 3` or `days: [mon, thu]`"))
        if self.days is not None and len(set(self.days)) < len(self.days):
            problems.append((("days",), "names a day twice; use times_per_day for two sessions on a day"))
        if self.modality not in LOCOMOTION:
            problems += self._only_on_foot()
        if problems:
            raise refuse_several(problems)
        return self

    def _only_on_foot(self) -> list[tuple[Path, str]]:
        neutral: dict[str, Any] = {"speed": None, "grade": 0.0, "backward_share": 0.0, "match": "time"}
        said = f"is only for walk and run, not for {self.modality}"
        problems: list[tuple[Path, str]] = [
            ((name,), said) for name, value in neutral.items() if getattr(self, name) != value
        ]
        rules = [name for name in PROGRESSED_FIELDS[1:] if self.progression.step(name) is not None]
        return problems + [(("progression", name), said) for name in rules]

    def week_days(self) -> tuple[int, ...]:
        """Days of the week, from 0 for Monday, once per session; two sessions on a day name it twice."""
        if self.days is not None:
            days = sorted(WEEKDAYS.index(day) for day in self.days)
        else:
            count = self.per_week or 0
            days = [7 * i // count for i in range(count)]
        return tuple(day for day in days for _ in range(self.times_per_day))

    def start(self, name: ProgressedField) -> float:
        """The value of a field in the first week of the phase."""
        if name == "speed":
            return reference_speed(self.modality) if self.speed is None else self.speed
        value: float = getattr(self, name)
        return value


class Phase(Block):
    """Some weeks of the same plan; a phase without sessions is rest (detraining)."""

    weeks: Annotated[int, Measured("weeks", ge=0, le=522, whole=True)]
    """Length of the phase in whole weeks."""
    sessions: Annotated[tuple[PlannedSession, ...], Field(max_length=32)] = ()
    """Sessions of each week; those that fall on one day form one visit."""
    progression: Progression = Progression.model_construct()
    """Changes from week to week for all sessions of the phase that have no rule of their own."""

    @model_validator(mode="after")
    def _within_bounds(self) -> Phase:
        problems: list[tuple[Path, str]] = []
        if sum(len(session.week_days()) for session in self.sessions) > MAX_SESSIONS_A_WEEK:
            problems.append((("sessions",), f"a week has more than {MAX_SESSIONS_A_WEEK} sessions"))
        for number, session in enumerate(self.sessions):
            for name in PROGRESSED_FIELDS:
                sentence = self._progression_problem(session, name)
                if sentence:
                    own = session.progression.step(name) is not None
                    path: Path = ("sessions", number, "progression", name) if own else ("progression", name)
                    problems.append((path, sentence))
            if not problems:
                problems += self._model_problems(number, session)
        if problems:
            raise refuse_several(problems)
        return self

    def step(self, session: PlannedSession, name: ProgressedField) -> Step | None:
        """The rule for one field of one session: its own, else the phase's where it applies."""
        if name != "minutes" and session.modality not in LOCOMOTION:
            return None
        return session.progression.step(name) or self.progression.step(name)

    def progresses(self, session: PlannedSession) -> bool:
        """Whether anything about a session changes from week to week."""
        return any(self.step(session, name) is not None for name in PROGRESSED_FIELDS)

    def value(self, session: PlannedSession, name: ProgressedField, week: int) -> float:
        """A session's minutes, speed, grade or backward share in a week of this phase."""
        step = self.step(session, name)
        start = session.start(name)
        return start if step is None else step.value(start, week)

    def session(self, planned: PlannedSession, week: int) -> Session:
        """A planned session as the model sees it in a week of this phase, counted from 0."""
        minutes = self.value(planned, "minutes", week)
        if planned.modality not in LOCOMOTION:
            return Session(planned.modality, minutes)
        return Session(
            planned.modality,
            minutes,
            self.value(planned, "speed", week),
            self.value(planned, "grade", week),
            self.value(planned, "backward_share", week),
            planned.match,
        )

    def _model_problems(self, number: int, session: PlannedSession) -> list[tuple[Path, str]]:
        # Rules of change are monotone, so a phase's first and last week bound all others.
        weeks = sorted({0, max(0, self.weeks - 1)})
        sentences = dict.fromkeys(refusal(self.session(session, week)) for week in weeks)
        return [(("sessions", number), sentence) for sentence in sentences if sentence]

    def _progression_problem(self, session: PlannedSession, name: ProgressedField) -> str | None:
        step = self.step(session, name)
        if step is None or self.weeks == 0:
            return None
        if step.starts_beyond_limit(session.start(name)):
            return f"the limit {step.limit:g} lies before the first value {session.start(name):g}"
        low, high, unit = _BOUNDS[name]
        last = self.value(session, name, self.weeks - 1)
        if low <= last <= high:
            return None
        return (
            f"in its week {self.weeks} {name} would be {last:g}, outside {low:g} to {high:g} {unit}; "
            "add a limit such as 'up to ...'"
        )


@lru_cache(maxsize=256)
def refusal(session: Session) -> str | None:
    """Why the model cannot cost a session (a speed or grade beyond its equations); None where it can."""
    if session.modality not in LOCOMOTION or session.speed is None or session.minutes == 0:
        return None
    from retrowalk.model.metabolic import check_limits

    try:
        if session.backward_share < 1:
            check_limits(f"{session.modality}_forward", session.speed, session.grade)
        if session.backward_share > 0 and session.match != "intensity":
            check_limits(f"{session.modality}_backward", session.speed, session.grade)
        elif session.backward_share > 0:
            # Only the costs of both directions tell whether a backward speed of that intensity exists.
            from retrowalk.model.load import split

            split(session)
    except InputError as error:
        return str(error)
    return None


class Arm(Block):
    """A programme given to a cohort."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=100)]
    """Phases one after the other, from day 0."""
    adherence: Doing = Doing.model_construct()
    """What differs in this arm from the scenario's adherence."""

    @model_validator(mode="after")
    def _not_too_long(self) -> Arm:
        if self.total_days > MAX_DAYS:
            raise refuse(f"the phases last {self.total_days} days together; at most {MAX_DAYS} are simulated")
        return self

    @property
    def total_days(self) -> int:
        """Length of the programme in days."""
        return 7 * sum(phase.weeks for phase in self.phases)
