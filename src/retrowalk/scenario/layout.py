"""Programme notation to days: the visits of an arm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from retrowalk.model.session import Session, Visit
from retrowalk.scenario.programme import Arm, Phase


def lay_out(arm: Arm) -> tuple[Visit, ...]:
    """Lay a programme out on days, from day 0 (a Monday).

    Sessions of one day form one visit, in the order of the phase's list. Sessions of 0 minutes are left
    out, and so are days without any: an empty programme has no visits.
    """
    days: defaultdict[int, list[Session]] = defaultdict(list)
    first_day = 0
    for phase in arm.phases:
        week_days = [planned.week_days() for planned in phase.sessions]
        for sessions in _weeks(phase):
            for session, offsets in zip(sessions, week_days, strict=True):
                if session.minutes > 0:
                    for day in offsets:
                        days[first_day + day].append(session)
            first_day += 7
    return tuple(Visit(day, tuple(days[day])) for day in sorted(days))


def _weeks(phase: Phase) -> Iterator[list[Session]]:
    """Sessions of each week, in the order of the phase's list; those that never change are made once."""
    steady = [None if phase.progresses(planned) else phase.session(planned, 0) for planned in phase.sessions]
    for week in range(phase.weeks):
        yield [
            known or phase.session(planned, week)
            for known, planned in zip(steady, phase.sessions, strict=True)
        ]
