"""What goes beyond the studies: found rightly, carried to every output, and said in plain words."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import retrowalk
from cli_runner import retrowalk as shell
from report_factory import make_result
from retrowalk.catalogue import modalities, outcomes, populations
from retrowalk.evidence import Arm, Effect, Evidence, load_evidence, longest_follow_up, studied
from retrowalk.model.load import Session, split
from retrowalk.report import arm_rows, level_rows, text_summary
from retrowalk.scenario import Scenario, cases, scenario_from_data
from retrowalk.simulation.flags import MASKS
from retrowalk.support import FLAGS, beyond, brief_sentences, central_ages, sample_cases, sentences

SHIPPED = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
WALK = {"modality": "walk", "per_week": 3, "minutes": 20, "speed": 1.0}

REAL = load_evidence()


def studies(follow_up: int | None = 28, assumed_minutes: float | None = None) -> Evidence:
    """Every component studied on knee pain in 40 to 60 year olds with osteoarthritis: 30 min, 3 times a week,
    12 weeks, 1.2 m/s, followed up for four weeks. Where minutes are assumed, no study states any."""
    people = {"population": "knee_oa", "age_min": 40.0, "age_max": 60.0, "age_mean": None, "age_sd": None}
    sources = tuple(
        REAL.source(name).model_copy(update=people) for name in ("alghadir2019", "gondhalekar2013")
    )
    arms, effects = [], []
    for component in modalities():
        dose = {"component": component, "sessions_week": 3.0, "weeks": 12.0, "speed": 1.2, "minutes": 30.0}
        trained = {"alghadir2019": dose}
        if assumed_minutes:
            imputed = {"minutes": assumed_minutes, "minutes_imputed": True, "imputed_reason": "as usual"}
            trained = {"alghadir2019": dose | {"minutes": None}, "gondhalekar2013": dose | imputed}
        for source, values in trained.items():
            name = f"{source}/{component}"
            arms.append(Arm(id=name, source=source, name=component, **values))
            effects.append(
                Effect(
                    id=name, source=source, arm_a=name, outcome="knee_pain", measure="pain", role="verdict",
                    kind="arm_change", cluster=source, verified=True,
                )
            )  # fmt: skip
    if follow_up is not None:
        later = {"role": "retention", "days_after_last": float(follow_up)}
        effects.append(effects[0].model_copy(update={"id": "alghadir2019/later", **later}))
    return Evidence(sources, tuple(arms), tuple(effects))


STUDIES = studies()


def scenario(*sessions: dict, weeks: int = 6, assess: tuple[int, ...] = (0, 6), **more: object) -> Scenario:
    phases = [{"weeks": weeks, "sessions": list(sessions or (WALK,))}]
    given = {
        "format": "retrowalk-scenario/1",
        "population": {"preset": "knee_oa", "size": 20, "age": {"min": 45, "max": 58}},
        "outcomes": ["knee_pain"],
        "assess": {"weeks": list(assess)},
        "arms": {"nothing": {"phases": [{"weeks": weeks}]}, "walking": {"phases": phases}},
        "draws": 2,
    }
    return scenario_from_data(given | more)


def flags(one: Scenario, outcome: str = "knee_pain", evidence: Evidence | None = STUDIES) -> dict[str, int]:
    """Flags of the walking arm with the day after which they hold."""
    return {finding.flag: finding.since for finding in beyond(one, "walking", outcome, evidence=evidence)}


def said(one: Scenario, day: int, evidence: Evidence = STUDIES) -> list[str]:
    return sentences(sample_cases(one), "knee_pain", day, evidence=evidence)


# -- each flag


def test_within_the_studies_nothing_is_flagged() -> None:
    assert flags(scenario()) == {}
    assert beyond(scenario(), "nothing", "knee_pain", evidence=STUDIES) == ()


@pytest.mark.parametrize(
    ("flag", "prescribed"),
    [
        ("minutes", {"minutes": 31}),
        ("sessions_week", {"per_week": 4}),
        ("speed", {"speed": 1.25}),
        ("minutes", {"minutes": 16, "times_per_day": 2, "per_week": 1}),
        ("minutes", {"minutes": 62, "backward_share": 0.5}),
    ],
)
def test_more_than_was_studied_is_flagged_from_the_first_session(flag, prescribed) -> None:
    assert flags(scenario(WALK | prescribed)) == {flag: 0}


@pytest.mark.parametrize(
    "prescribed", [{"minutes": 2}, {"per_week": 1}, {"speed": 0.3}, {"backward_share": 0.05}]
)
def test_less_than_was_studied_lies_between_it_and_nothing(prescribed) -> None:
    assert flags(scenario(WALK | prescribed)) == {}


def test_weeks_are_flagged_once_they_pass_the_longest_study() -> None:
    assert flags(scenario(weeks=12, assess=(0, 12))) == {}
    assert flags(scenario(weeks=52, assess=(0, 12))) == {}
    assert flags(scenario(weeks=52, assess=(0, 12, 13, 52))) == {"weeks": 84}


def test_a_pause_counts_among_the_weeks_and_as_follow_up() -> None:
    train, rest = {"weeks": 4, "sessions": [WALK]}, {"weeks": 6}
    arms = {"nothing": {"phases": [rest]}, "walking": {"phases": [train, rest, train]}}
    found = flags(scenario(arms=arms, assess=(0, 14)))
    assert found == {"weeks": 84, "follow_up": 56}


def test_progression_is_flagged_from_the_week_that_passes() -> None:
    faster = WALK | {"progression": {"speed": "+0.1 per week"}}
    assert flags(scenario(faster)) == {"speed": 21}
    longer = WALK | {"progression": {"minutes": "+5 min per 2 weeks"}}
    assert flags(scenario(longer)) == {}
    assert flags(scenario(longer, weeks=8, assess=(0, 8))) == {"minutes": 42}


def test_condition_and_ages() -> None:
    people = {"preset": "older_adults", "size": 20, "age": {"min": 45, "max": 58, "mean": 50, "sd": 4}}
    assert flags(scenario(population=people)) == {"condition": 0}
    for age in ({"min": 62}, {"min": 20, "max": 35, "mean": 30, "sd": 5}, {"min": 40, "max": 75}):
        people = {"preset": "knee_oa", "size": 20, "age": age}
        assert flags(scenario(population=people)) == {"age": 0}


def test_later_than_anybody_looked() -> None:
    assert flags(scenario(assess=(0, 6, 10))) == {}
    assert flags(scenario(assess=(0, 6, 11))) == {"follow_up": 70}
    never = studies(follow_up=None)
    assert flags(scenario(assess=(0, 6, 7)), evidence=never) == {"follow_up": 42}
    assert flags(scenario(assess=(0, 6)), evidence=never) == {}


def test_an_assumed_dose_is_no_limit_but_is_said() -> None:
    assumed = studies(assumed_minutes=15.0)
    assert flags(scenario(WALK | {"minutes": 15}), evidence=assumed) == {"dose_assumed": 0}
    assert flags(scenario(), evidence=assumed) == {"minutes": 0, "dose_assumed": 0}
    (line,) = said(scenario(), 42, assumed)
    assert "20 min a day: no study states its minutes (15 min assumed for Gondhalekar 2013, doi" in line


def test_what_nobody_studied_is_beyond_in_everything() -> None:
    nothing = Evidence((), (), ())
    assert set(flags(scenario(), evidence=nothing)) == set(FLAGS) - {"follow_up"}
    assert said(scenario(), 42, nothing) == ["walking forward (walking): no training study measured this."]
    brief = brief_sentences(sample_cases(scenario()), "knee_pain", 42, evidence=nothing)
    assert brief == ["walking forward: everything"]


def test_the_users_own_gains_are_no_matter_of_studies() -> None:
    own = {"modality": "walk", "direction": "forward", "outcome": "knee_pain", "mean": -0.3, "sd": 0.1,
           "source": "our pilot"}  # fmt: skip
    much = WALK | {"minutes": 90}
    assert flags(scenario(much)) == {"minutes": 0}
    assert flags(scenario(much, gains=[own])) == {}
    assert flags(scenario(much, gains=[own | {"direction": "backward"}])) == {"minutes": 0}


# -- what is compared


@pytest.mark.parametrize("match", ["time", "energy", "intensity"])
def test_what_is_compared_is_what_loads_the_components(match: str) -> None:
    one = scenario(WALK | {"minutes": 62, "backward_share": 0.5, "match": match})
    bouts = split(Session("walk", 62.0, 1.0, 0.0, 0.5, match))
    found = beyond(one, "walking", "knee_pain", evidence=STUDIES)
    longest = {finding.component: finding.value_at(42) for finding in found if finding.flag == "minutes"}
    assert longest == {name: bout.minutes for name, bout in bouts.items() if bout.minutes > 30}


def test_central_ages_leave_five_in_a_hundred_on_each_side() -> None:
    person = populations()["knee_oa"]
    low, high = central_ages("knee_oa", scenario(population={"preset": "knee_oa", "size": 1}).population.age)
    drawn = retrowalk.sample_cohort("knee_oa", 20_000, seed=1)["age"]
    assert np.quantile(drawn, [0.05, 0.95]) == pytest.approx([low, high], abs=0.5)
    assert person.age_min < low < high < person.age_max


def test_an_arm_without_minutes_prescribes_nothing() -> None:
    assert flags(scenario(WALK | {"minutes": 0}), evidence=Evidence((), (), ())) == {}


def test_each_outcome_has_its_own_longest_study() -> None:
    spans = {name: studied("walk_backward", name).limit("weeks") for name in outcomes()}
    assert len(set(spans.values())) > 2
    shortest, longest = (pick((weeks, name) for name, weeks in spans.items() if weeks) for pick in (min, max))
    weeks = round(longest[0])
    back = scenario(WALK | {"backward_share": 1}, weeks=weeks, assess=(0, weeks),
                    outcomes=[shortest[1], longest[1]])  # fmt: skip
    assert "weeks" in flags(back, shortest[1], evidence=None)
    assert "weeks" not in flags(back, longest[1], evidence=None)


def test_a_trial_whose_result_is_unread_covers_its_programme_but_states_no_dose_behind_an_effect() -> None:
    found = studied("walk_forward", "knee_pain")
    assert not any(
        row.verified for row in load_evidence().effects_of("alghadir2019") if "alghadir2019/forward" in
        (row.arm_a, row.arm_b) and row.outcome == "knee_pain"
    )  # fmt: skip
    assert found.limit("weeks") >= 6
    assert not found.dose_stated


def test_a_scenario_that_repeats_a_trial_lies_within_it() -> None:
    trial = retrowalk.load_scenario(next(path for path in SHIPPED if path.stem == "knee_trial"))
    assert [line for name in trial.outcomes for line in sentences(sample_cases(trial), name, 42)] == []


@settings(max_examples=60)
@given(data=st.data())
def test_widening_what_was_studied_never_adds_a_flag(data: st.DataObject) -> None:
    whole = load_evidence()
    component = data.draw(st.sampled_from([name for name in modalities() if studied(name).arms]))
    outcome = data.draw(st.sampled_from([None, *outcomes()]))
    kept = data.draw(st.sets(st.integers(0, len(whole.effects) - 1)))
    fewer = tuple(row for number, row in enumerate(whole.effects) if number not in kept)
    before = studied(component, outcome, evidence=Evidence(whole.sources, whole.arms, fewer))
    after = studied(component, outcome)
    for item in ("minutes", "sessions_week", "weeks", "speed"):
        assert (after.limit(item) or 0.0) >= (before.limit(item) or 0.0)
    assert set(after.populations) >= set(before.populations)
    ages = sorted(data.draw(st.tuples(st.floats(5, 95), st.floats(5, 95))))
    assert after.covers_age(*ages) >= before.covers_age(*ages)
    assert after.dose_stated >= before.dose_stated
    if outcome:
        last = longest_follow_up(outcome, evidence=Evidence(whole.sources, whole.arms, fewer))
        assert (longest_follow_up(outcome) or (0.0,))[0] >= (last or (0.0,))[0]


# -- in the result


def words_of(result: xr.Dataset, outcome: str, arm: str, day: int, kind: str = "extrapolation") -> set[str]:
    array = result[f"{outcome}_{kind}"].sel(arm=arm, day=day)
    names = array.attrs["flag_meanings"].split()
    masks = [int(mask) for mask in array.attrs["flag_masks"]]
    return {name for name, mask in zip(names, masks, strict=True) if int(array) & mask}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_result_carries_what_its_scenario_asks(path: Path, tmp_path: Path) -> None:
    shipped = retrowalk.load_scenario(path)
    data = shipped.model_dump(mode="json", exclude={"sweep"})
    small = data | {"draws": 2, "replicates": 1, "population": data["population"] | {"size": 5}}
    one = scenario_from_data(small)
    result = retrowalk.simulate(one)
    for outcome in one.outcomes:
        stored = result[f"{outcome}_extrapolation"]
        assert stored.dims == ("arm", "day")
        assert stored.dtype == np.uint8
        for arm in one.arms:
            for day in map(int, result["day"].values):
                found = {found.flag for found in beyond(one, arm, outcome) if found.since < day}
                assert words_of(result, outcome, arm, day) == found, (outcome, arm, day)
    assert tuple(stored.attrs["flag_meanings"].split()) == FLAGS == tuple(MASKS)


def test_what_both_arms_do_alike_cancels_from_the_difference() -> None:
    care = {"modality": "physiotherapy", "per_week": 3, "minutes": 600}
    arms = {
        "care": {"phases": [{"weeks": 6, "sessions": [care]}]},
        "walking": {"phases": [{"weeks": 6, "sessions": [care, WALK | {"minutes": 1, "backward_share": 1}]}]},
    }
    result = retrowalk.simulate(scenario(arms=arms))
    assert "minutes" in words_of(result, "knee_pain", "walking", 42)
    assert "minutes" not in words_of(result, "knee_pain", "walking", 42, "difference_extrapolation")
    assert words_of(result, "knee_pain", "care", 42, "difference_extrapolation") == set()
    alone = retrowalk.simulate(scenario(arms=arms | {"walking": {"phases": [{"weeks": 6}]}}))
    assert words_of(alone, "knee_pain", "walking", 42) == set()
    assert "minutes" in words_of(alone, "knee_pain", "walking", 42, "difference_extrapolation")


def test_day_zero_asks_nothing_and_flags_only_grow() -> None:
    one = scenario(WALK | {"progression": {"minutes": "+10 min per week"}}, weeks=30, assess=(0, 6, 20, 52))
    bits = retrowalk.simulate(one)["knee_pain_extrapolation"].sel(arm="walking").values
    assert bits[0] == 0
    assert all(later & earlier == earlier for earlier, later in pairwise(bits))


def test_store_export_members_and_memory_agree(tmp_path: Path) -> None:
    path = "arms.walking.phases.0.sessions.0.minutes"
    swept = scenario(sweep={path: [5, 60, 90]}, outcomes=["knee_pain", "balance"])
    stored = retrowalk.sweep(swept, store=tmp_path / "a.zarr")
    for number, case in enumerate(cases(swept)):
        alone = retrowalk.simulate(case.scenario)
        followed = retrowalk.simulate(case.scenario.model_copy(update={"record": "members"}))
        for outcome in swept.outcomes:
            name = f"{outcome}_extrapolation"
            np.testing.assert_array_equal(stored[name][number], alone[name])
            np.testing.assert_array_equal(followed[name], alone[name])
    done = shell("export", tmp_path / "a.zarr", tmp_path / "a.nc")
    assert done.code == 0, done.err
    exported = retrowalk.open_results(tmp_path / "a.nc")
    xr.testing.assert_identical(
        exported["knee_pain_extrapolation"].drop_attrs(), stored["knee_pain_extrapolation"].drop_attrs()
    )
    assert words_of(exported.isel(case=2), "knee_pain", "walking", 42) >= {"minutes", "dose_assumed"}
    levels = [row for row in level_rows(stored) if row["outcome"] == "balance"]
    assert ["minutes" in row["extrapolation"].split() for row in levels] == [False, True, True]


def test_summary_of_a_summary_keeps_the_flags() -> None:
    result = retrowalk.simulate(scenario(WALK | {"minutes": 90}))
    summary = retrowalk.summarize(result)
    assert summary["knee_pain_extrapolation"].dims == ("arm", "day")
    assert "minutes" in words_of(summary, "knee_pain", "walking", 42)
    turned = retrowalk.summarize(result, reference="walking")
    assert "minutes" in words_of(turned, "knee_pain", "nothing", 42, "difference_extrapolation")


# -- in words


def test_each_limit_is_said_with_the_study_behind_it() -> None:
    much = WALK | {"minutes": 45, "per_week": 5, "speed": 1.4}
    one = scenario(
        much, weeks=52, assess=(0, 52), population={"preset": "knee_oa", "size": 5, "age": {"min": 70}}
    )
    (line,) = said(one, 364)
    assert line == (
        "walking forward (walking): ages 70 to 74: people studied were 40 to 60 years old (Alghadir 2019, "
        "doi 10.1186/s12891-019-2537-9); 45 min a day: the longest session studied was 30 min (Alghadir "
        "2019); 5 sessions a week: the most studied were 3 (Alghadir 2019); 52 weeks: the longest study "
        "lasted 12 (Alghadir 2019); 1.4 m/s: the fastest studied was 1.2 m/s (Alghadir 2019)."
    )
    people = {"preset": "older_adults", "size": 5}
    (line,) = said(scenario(population=people), 42)
    assert line == (
        "walking forward (walking): not studied in older adults, only in people with knee osteoarthritis."
    )
    (line,) = said(scenario(assess=(0, 6, 18)), 126)
    assert line.startswith("walking: 12 weeks after training: the longest follow-up was 4 (Alghadir 2019")
    assert said(scenario(assess=(0, 6, 18)), 42) == []


def test_a_sweep_says_how_far_and_in_how_many_cases() -> None:
    path = "arms.walking.phases.0.sessions.0"
    swept = scenario(sweep={f"{path}.minutes": [20, 40, 60], f"{path}.backward_share": [0, 1]})
    lines = said(swept, 42)
    assert lines[0].startswith(
        "walking forward, walking backward (walking): up to 60 min a day: the longest session studied was 30"
    )
    assert all(line.endswith("in 2 of 6 cases.") for line in lines)
    some = sentences(sample_cases(swept, at_most=2), "knee_pain", 42, evidence=STUDIES)
    assert all(line.endswith("in some of the cases.") for line in some)


def test_a_result_whose_scenario_cannot_be_read_still_names_the_flags() -> None:
    bits = np.array([[0, 0, 0, 0], [0, 0, MASKS["minutes"] | MASKS["weeks"], 0]], np.uint8)
    attrs = {"flag_masks": list(MASKS.values()), "flag_meanings": " ".join(MASKS)}
    ds = make_result().assign(knee_pain_extrapolation=(("arm", "day"), bits, attrs))
    text = text_summary(ds)
    assert "  Beyond the studies of knee pain:\n    walking: minutes a day, weeks." in text
    assert "Beyond the studies" not in text_summary(ds, days=[14])
    assert "Beyond the studies" not in text_summary(make_result())
    rows = arm_rows(ds)
    assert [row["extrapolation"] for row in rows] == ["", "minutes weeks"]
    assert [row["extrapolation"] for row in arm_rows(make_result())] == [None, None]


def test_assumed_doses_are_marked_where_studies_stand_behind_the_grade() -> None:
    bits = np.full((2, 4), MASKS["dose_assumed"], np.uint8)
    attrs = {"flag_masks": list(MASKS.values()), "flag_meanings": " ".join(MASKS)}

    def told(grade: str) -> str:
        ds = make_result(grade=grade, draws=41, effects={"walking": np.linspace(-2.1, -0.9, 41)})
        variables = {
            f"knee_pain{part}_extrapolation": (("arm", "day"), bits, attrs) for part in ("", "_difference")
        }
        return " ".join(text_summary(ds.assign(variables)).split())

    assert "add-on trial* " in told("add_on")
    assert "evidence: add-on trial, dose assumed." in told("add_on")
    assert "* dose assumed: no study" in told("add_on")
    assert "dose assumed" not in told("none")


# -- from the shell

USER = """\
format: retrowalk-scenario/1
population: {preset: knee_oa, size: 20, age: {min: 85, max: 95}}
outcomes: [knee_pain]
assess: {weeks: [0, 52, 104]}
draws: 3
arms:
  nothing: {phases: [{weeks: 52}]}
  walking:
    phases:
      - weeks: 52
        sessions: [{modality: walk, per_week: 14, minutes: 300, speed: 1.9, backward_share: 1}]
"""


def test_a_users_scenario_beyond_each_limit_from_the_shell(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(USER)
    checked = shell("check", "my.yaml", cwd=tmp_path)
    assert checked.code == 0
    assert checked.out.splitlines()[0].startswith("my.yaml: fine: 2 arms")
    (told,) = checked.out.splitlines()[1:]
    assert told.startswith("  beyond the studies of Knee pain: ")
    for word in ("ages", "minutes a day", "weeks", "speed", "time after training"):
        assert word in told
    in_full = shell("check", "-v", "my.yaml", cwd=tmp_path).out
    assert "52 weeks: the longest study lasted" in in_full
    assert shell("run", "my.yaml", "-o", "my.nc", cwd=tmp_path).code == 0
    text = " ".join(shell("summary", "my.nc", "--week", "all", cwd=tmp_path).out.split())
    for part in (
        "Beyond the studies of knee pain:",
        "600 min a day: the longest session studied was",
        "52 weeks: the longest study lasted",
        "1.9 m/s: ",
        "ages 85 to ",
        "52 weeks after training: ",
        "a simulation is no substitute for a health professional's advice.",
    ):
        assert part in text
    rows = list(csv.DictReader(io.StringIO(shell("summary", "my.nc", "--csv", cwd=tmp_path).out)))
    assert rows[0]["extrapolation"] == ""
    assert {"age", "minutes", "weeks", "speed"} <= set(rows[1]["extrapolation"].split())
    found = json.loads(shell("summary", "my.nc", "--json", cwd=tmp_path).out)["rows"]
    assert found[1]["difference_extrapolation"] == rows[1]["difference_extrapolation"]


def test_a_scenario_within_the_studies_checks_without_a_word_on_them(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(
        USER.replace("weeks: 52", "weeks: 2").replace("[0, 52, 104]", "[0, 2]")
        .replace(", age: {min: 85, max: 95}", "")
        .replace("per_week: 14, minutes: 300, speed: 1.9", "per_week: 2, minutes: 5, speed: 0.3")
    )  # fmt: skip
    assert len(shell("check", "my.yaml", cwd=tmp_path).out.splitlines()) == 1
