"""Programme notation to days: the visits of an arm."""

from __future__ import annotations

from collections import defaultdict

from retrowalk.model.session import Session, Visit
from retrowalk.scenario.programme import Arm


def lay_out(arm: Arm) -> tuple[Visit, ...]:
    """Lay a programme out on days, from day 0 (a Monday).

    Sessions of one day form one visit, in the order of the phase's list. Sessions of 0 minutes are left
    out, and so are days without any: an empty programme has no visits.
    """
    days: defaultdict[int, list[Session]] = defaultdict(list)
    first_day = 0
    for phase in arm.phases:
        for week in range(phase.weeks):
            for planned in phase.sessions:
                session = phase.session(planned, week)
                if session.minutes > 0:
                    for day in planned.week_days():
                        days[first_day + day].append(session)
            first_day += 7
    return tuple(Visit(day, tuple(days[day])) for day in sorted(days))
