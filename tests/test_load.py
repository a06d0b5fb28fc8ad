"""Session load: what each match keeps equal, and that reference sessions weigh one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.catalogue import modalities
from retrowalk.errors import InputError
from retrowalk.model.load import Session, SessionPart, matched_speed, session_load, split
from retrowalk.model.metabolic import mets

MEASURES = ("met_minutes", "minutes", "vo2_reserve")
MATCHES = ("time", "energy", "intensity")


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    modality = draw(st.sampled_from(["walk", "run"]))
    low, high = {"walk": (0.4, 2.0), "run": (1.5, 4.5)}[modality]
    return Session(
        modality,
        minutes=draw(st.floats(0.5, 180)),
        speed=draw(st.none() | st.floats(low, high)),
        grade=draw(st.floats(0, 0.12)),
        backward_share=draw(st.sampled_from([0.0, 1.0]) | st.floats(0.01, 0.99)),
        match=draw(st.sampled_from(MATCHES)),
    )


def energy(session: Session) -> float:
    return sum(
        bout.minutes * (mets(component, bout.speed, bout.grade) - 1)
        for component, bout in split(session).items()
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_a_reference_session_weighs_one(measure: str) -> None:
    for component, row in modalities().items():
        share = 1.0 if row.direction == "backward" else 0.0
        session = Session(row.modality, row.reference_minutes, backward_share=share)
        assert session_load(session, measure) == {component: 1.0}


@given(sessions())
def test_matched_time_keeps_the_minutes(session: Session) -> None:
    bouts = split(replace(session, match="time"))
    assert sum(bout.minutes for bout in bouts.values()) == pytest.approx(session.minutes)
    assert len({bout.speed for bout in bouts.values()}) == 1


@given(sessions())
def test_matched_energy_keeps_the_energy(session: Session) -> None:
    matched = replace(session, match="energy")
    assert energy(matched) == pytest.approx(energy(replace(session, backward_share=0.0)), rel=1e-12)


@given(sessions())
def test_matched_intensity_keeps_minutes_and_energy(session: Session) -> None:
    matched = replace(session, match="intensity")
    bouts = split(matched)
    assert sum(bout.minutes for bout in bouts.values()) == pytest.approx(session.minutes)
    assert energy(matched) == pytest.approx(energy(replace(session, backward_share=0.0)), rel=1e-12)
    speeds = [bout.speed for bout in bouts.values()]
    assert len(speeds) == 1 or speeds[1] < speeds[0]


@given(sessions(), st.sampled_from(MEASURES))
def test_the_ends_of_the_share_are_the_pure_sessions(session: Session, measure: str) -> None:
    forward = split(replace(session, backward_share=0.0))
    assert list(forward) == [f"{session.modality}_forward"]
    assert forward[f"{session.modality}_forward"].minutes == session.minutes
    backward = split(replace(session, backward_share=1.0, match="time"))
    assert list(backward) == [f"{session.modality}_backward"]
    assert backward[f"{session.modality}_backward"].minutes == session.minutes
    assert all(amount > 0 for amount in session_load(session, measure).values())


@given(sessions(), st.sampled_from(["met_minutes", "minutes", "vo2_reserve"]), st.floats(0.1, 3))
def test_load_is_proportional_to_the_minutes(session: Session, measure: str, factor: float) -> None:
    once = session_load(session, measure)
    more = session_load(replace(session, minutes=factor * session.minutes), measure)
    for component, amount in once.items():
        assert more[component] == pytest.approx(factor * amount, rel=1e-12)


@given(st.floats(1, 120), st.floats(0, 1))
def test_shares_at_reference_speed_add_to_the_pure_load(minutes: float, share: float) -> None:
    mixed = session_load(Session("walk", minutes, backward_share=share))
    assert sum(mixed.values()) == pytest.approx(minutes / 20, rel=1e-12)


def test_by_hand() -> None:
    # walking at 1.5 m/s: 1 + 9/3.5 METs against 1 + 6/3.5 in the reference session
    assert session_load(Session("walk", 30, speed=1.5)) == {"walk_forward": pytest.approx(30 / 20 * 1.5)}
    assert session_load(Session("cycling", 45)) == {"cycling": 2.25}
    assert split(Session("walk", 30, backward_share=0.25)) == {
        "walk_forward": SessionPart(22.5, 1.0, 0.0),
        "walk_backward": SessionPart(7.5, 1.0, 0.0),
    }
    assert split(Session("swimming", 0)) == {}
    # the ratio of cost above rest does not depend on speed below 1.63 m/s, so speeds stand as 1 to it
    ratio = (mets("walk_backward", 1.0) - 1) / (mets("walk_forward", 1.0) - 1)
    assert matched_speed("walk_forward", "walk_backward", 1.2, 0.0) == pytest.approx(1.2 / ratio)


def test_no_minute_counts_for_more_than_the_whole_reserve() -> None:
    hard = Session("run", 20, speed=4.0)
    assert session_load(hard, "vo2_reserve", vo2max=80) == pytest.approx(session_load(hard))
    assert session_load(hard, "vo2_reserve", vo2max=20) == {"run_forward": 1.0}


def test_intensity_is_refused_where_backward_walking_would_all_but_stop() -> None:
    with pytest.raises(InputError, match=r"no backward speed from 0.2 .* walk forward at 0.25 m/s"):
        split(Session("walk", 10, speed=0.25, backward_share=0.5, match="intensity"))
    assert split(Session("walk", 10, speed=0.25, backward_share=0.5))["walk_backward"].speed == 0.25


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (Session("walking", 10), "unknown modality 'walking'; did you mean 'walk'"),
        (Session("walk", -1), "minutes must be at least 0, not -1"),
        (Session("walk", math.inf), "minutes must be at least 0, not inf"),
        (Session("walk", 10, backward_share=1.2), "between 0 and 1, not 1.2"),
        (Session("walk", 10, match="effort"), "match must be .* not 'effort'"),
        (Session("cycling", 10, backward_share=0.5), "cycling takes no backward_share"),
        (Session("cycling", 10, speed=5.0), "cycling takes no speed and no grade"),
        (Session("walk", 10, speed=2.1, backward_share=0.5), "of walk backward"),
        (Session("run", 10, speed=0.5), "of run forward"),
    ],
)
def test_bad_sessions_are_refused(session: Session, words: str) -> None:
    with pytest.raises(InputError, match=words):
        session_load(session)


def test_bad_measures_are_refused() -> None:
    with pytest.raises(InputError, match="measure must be one of met_minutes"):
        session_load(Session("walk", 10), "steps")
    with pytest.raises(InputError, match="vo2max must be above"):
        session_load(Session("walk", 10), "vo2_reserve", vo2max=3.0)
