"""Programme notation: which session is on which day, and how it changes from week to week."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrowalk.model.load import Session
from retrowalk.scenario import lay_out, parse_document, scenario_from_data
from scenario_files import SMALL


def arm(*phases):
    data = copy.deepcopy(parse_document(SMALL).data)
    data["arms"] = {"a": {"phases": list(phases)}}
    return scenario_from_data(data).arms["a"]


class TestLayout:
    @pytest.mark.parametrize(
        ("per_week", "days"),
        [
            (1, [0]), (2, [0, 3]), (3, [0, 2, 4]), (4, [0, 1, 3, 5]), (5, [0, 1, 2, 4, 5]),
            (7, [0, 1, 2, 3, 4, 5, 6]), (8, [0, 0, 1, 2, 3, 4, 5, 6]),
            (14, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]),
        ],
    )  # fmt: skip
    def test_per_week_is_spread_evenly(self, per_week, days):
        visits = lay_out(
            arm({"weeks": 1, "sessions": [{"modality": "weights", "minutes": 5, "per_week": per_week}]})
        )
        assert [visit.day for visit in visits for _ in visit.sessions] == days

    def test_weekdays_begin_on_monday_in_every_phase(self):
        run = {"modality": "tempo", "minutes": 5, "days": ["sun", "mon"]}
        visits = lay_out(arm({"weeks": 1, "sessions": [run]}, {"weeks": 2}, {"weeks": 1, "sessions": [run]}))
        assert [visit.day for visit in visits] == [0, 6, 21, 27]

    def test_sessions_of_a_day_are_one_visit_in_the_order_of_the_list(self):
        sessions = [
            {"modality": "physiotherapy", "minutes": 30, "days": ["mon"]},
            {"modality": "walk", "minutes": 10, "days": ["mon"], "times_per_day": 2, "match": "energy"},
        ]  # fmt: skip
        sessions[1]["grade"] = "2 %"
        (visit,) = lay_out(arm({"weeks": 1, "sessions": sessions}))
        walk = Session("walk", 10.0, 1.0, 0.02, 0.0, "energy")
        assert visit.sessions == (Session("physiotherapy", 30.0), walk, walk)

    def test_the_reference_speed_is_written_out(self):
        sessions = [{"modality": name, "minutes": 10, "per_week": 1} for name in ("walk", "run", "cycling")]
        (visit,) = lay_out(arm({"weeks": 1, "sessions": sessions}))
        assert [session.speed for session in visit.sessions] == [1.0, 2.5, None]

    def test_empty_programmes_have_no_visits(self):
        nothing = {"modality": "walk", "minutes": 0, "per_week": 3}
        assert lay_out(arm({"weeks": 6})) == ()
        assert lay_out(arm({"weeks": 6, "sessions": [nothing]})) == ()
        assert lay_out(arm({"weeks": 0, "sessions": [nothing | {"minutes": 5}]})) == ()

    @pytest.mark.parametrize(
        ("rule", "values"),
        [
            ("+10 % per week", [20, 22, 24.2, 26.62]),
            ("+10 % of start per week", [20, 22, 24, 26]),
            ("+1 min per week", [20, 21, 22, 23]),
            ("+1 per week, up to 22 min", [20, 21, 22, 22]),
            ("-6 every week down to 10", [20, 14, 10, 10]),
            ("+5 per 2 weeks", [20, 20, 25, 25]),
            ("-50 % a week", [20, 10, 5, 2.5]),
            ("+0:30 min each week", [20, 20.5, 21, 21.5]),
            ({"percent": 100, "limit": "1 h"}, [20, 40, 60, 60]),
            ({"add": -5, "every": 3}, [20, 20, 20, 15]),
        ],
    )
    @pytest.mark.parametrize("where", ["session", "phase"])
    def test_progressions(self, rule, values, where):
        session = {"modality": "weights", "minutes": 20, "days": ["wed"]}
        phase = {"weeks": 4, "sessions": [session]}
        (session if where == "session" else phase)["progression"] = {"minutes": rule}
        visits = lay_out(arm(phase))
        assert [visit.day for visit in visits] == [2, 9, 16, 23]
        assert [visit.sessions[0].minutes for visit in visits] == pytest.approx(values, rel=1e-12)

    def test_a_phases_rule_is_for_sessions_without_their_own(self):
        walk = {"modality": "walk", "minutes": 10, "speed": 0.5, "per_week": 1}
        own = walk | {"progression": {"speed": "+0.2 per week"}}
        other = {"modality": "weights", "minutes": 10, "per_week": 1}
        phase = {"weeks": 2, "sessions": [walk, own, other], "progression": {"speed": "+10 % per week"}}
        assert [session.speed for session in lay_out(arm(phase))[1].sessions] == [0.55, 0.7, None]

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 8), st.lists(st.tuples(st.integers(1, 14), st.integers(1, 2)), max_size=3)
            ),
            min_size=1,
            max_size=4,
        )
    )
    @settings(deadline=None)
    def test_visits_are_ordered_within_the_programme_and_none_is_lost(self, plan):
        phases = [
            {
                "weeks": weeks,
                "sessions": [
                    {"modality": "cycling", "minutes": 9, "per_week": k, "times_per_day": n}
                    for k, n in sessions
                ],
            }
            for weeks, sessions in plan
        ]
        planned = arm(*phases)
        visits = lay_out(planned)
        days = [visit.day for visit in visits]
        assert days == sorted(set(days))
        assert all(0 <= day < planned.total_days for day in days)
        assert all(visit.sessions for visit in visits)
        expected = sum(weeks * k * n for weeks, sessions in plan for k, n in sessions)
        assert sum(len(visit.sessions) for visit in visits) == expected
