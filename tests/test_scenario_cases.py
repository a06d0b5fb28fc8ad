"""Sweeps: cases, axes and their names, settings from the command line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrowalk.errors import InputError
from retrowalk.scenario import (
    axis_labels,
    case_values,
    cases,
    chosen_cases,
    load_scenario,
    parse_scenario,
)
from retrowalk.scenario.axes import MAX_DRAWN, column, column_by_numpy
from scenario_files import SMALL, changed

SHARE = "arms.walking.phases.0.sessions.0.backward_share"
MINUTES = "arms.walking.phases.0.sessions.0.minutes"
SPEED = "arms.walking.phases.0.sessions.0.speed"


class TestCases:
    def test_the_first_axis_is_slowest(self):
        scenario = parse_scenario(SMALL + f"sweep: {{{SHARE}: [0, 50 %], {MINUTES}: [10, 20 min, 0.5 h]}}\n")
        coords = [tuple(case.coords.values()) for case in cases(scenario)]
        assert coords == [(0.0, 10.0), (0.0, 20.0), (0.0, 30.0), (0.5, 10.0), (0.5, 20.0), (0.5, 30.0)]
        assert [case.index for case in cases(scenario)] == list(range(6))

    def test_a_case_is_the_scenario_written_by_hand(self):
        swept = parse_scenario(SMALL + f"sweep: {{{SHARE}: [0.25, 0.5]}}\n")
        first, second = cases(swept)
        assert first.scenario == parse_scenario(changed("share: 0.5", "share: 0.25"))
        assert second.scenario.digest() == parse_scenario(SMALL).digest()

    def test_no_sweep_is_one_case(self):
        scenario = parse_scenario(SMALL)
        (case,) = cases(scenario)
        assert (case.index, case.coords, case.scenario) == (0, {}, scenario)

    def test_defaults_that_are_not_written_can_be_swept(self):
        scenario = parse_scenario(
            SMALL + "sweep: {adherence.attendance: [0.5, 80 %], model.impulse: [same_day, next_day], "
            "arms.usual.adherence.dropout_per_week: [0, 0.1], seed: [1, 2]}\n"
        )
        assert scenario.sweep.number_of_cases() == 16
        last = list(cases(scenario))[-1]
        assert tuple(last.coords.values()) == (0.8, "next_day", 0.1, 2)
        assert last.scenario.arms["usual"].adherence.dropout_per_week == 0.1

    def test_rules_of_change_can_be_swept_as_words(self):
        text = changed("minutes: 20", "minutes: 20, progression: {speed: '+5 % per week'}")
        path = "arms.walking.phases.0.sessions.0.progression.speed"
        scenario = parse_scenario(text + f"sweep: {{{path}: ['+5 % per week', '+10 % per week']}}\n")
        one, other = cases(scenario)
        assert one.scenario.digest() == parse_scenario(text).digest() != other.scenario.digest()

    def test_ranges_are_exact_decimals(self):
        scenario = parse_scenario(SMALL + f"sweep: {{{SHARE}: {{from: 0.1, to: 0.7, steps: 7}}}}\n")
        assert [case.coords[SHARE] for case in cases(scenario)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]

    def test_ranges_of_whole_numbers_reach_whole_fields(self):
        scenario = parse_scenario(
            SMALL + "sweep: {arms.walking.phases.0.weeks: {from: 2, to: 8, steps: 4}}\n"
        )
        assert [tuple(case.coords.values()) for case in cases(scenario)] == [(2,), (4,), (6,), (8,)]
        with pytest.raises(InputError, match=r"must be a whole number, not 4.5"):
            parse_scenario(SMALL + "sweep: {arms.walking.phases.0.weeks: {from: 3, to: 6, steps: 3}}\n")

    def test_a_latin_hypercube_fills_every_slice_once(self):
        over = f"{{{SHARE}: [0.2, 0.8], {MINUTES}: [10, 30], arms.walking.phases.0.weeks: [2, 8]}}"
        scenario = parse_scenario(SMALL + f"sweep: {{latin_hypercube: 20, over: {over}}}\n")
        columns = list(zip(*(case.coords.values() for case in cases(scenario)), strict=True))
        for values, low, high in ((columns[0], 0.2, 0.8), (columns[1], 10, 30)):
            slices = sorted(int((value - low) / (high - low) * 20) for value in values)
            assert slices == list(range(20))
        assert set(columns[2]) <= set(range(2, 9))
        again = parse_scenario(SMALL + f"sweep: {{latin_hypercube: 20, over: {over}}}\n")
        assert list(cases(again)) == list(cases(scenario))

    def test_a_hypercube_keeps_a_paths_points_when_another_is_added(self):
        text = SMALL + "sweep: {latin_hypercube: 9, over: {AXES}}\n"
        alone = parse_scenario(text.replace("AXES", f"{SHARE}: [0, 1]"))
        joined = parse_scenario(text.replace("AXES", f"{MINUTES}: [5, 9], {SHARE}: [0, 1]"))
        assert [c.coords[SHARE] for c in cases(alone)] == [c.coords[SHARE] for c in cases(joined)]

    @given(st.integers(1, 3000), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.text(max_size=20))
    @settings(max_examples=30, deadline=None)
    def test_large_hypercubes_have_the_same_bits_as_small_ones(self, count, low, width, key):
        ends = (low, low + width)
        assert column_by_numpy(count, ends, key) == column(count, ends, key)

    def test_a_hypercube_that_is_too_large_is_refused(self):
        points = MAX_DRAWN // 2 + 1
        with pytest.raises(InputError, match=r"latin_hypercube: [0-9,]+ points over 2 paths are"):
            parse_scenario(
                SMALL
                + f"sweep: {{latin_hypercube: {points}, over: {{{SHARE}: [0, 1], {MINUTES}: [1, 9]}}}}\n"
            )

    def test_a_hypercube_inside_a_grid(self):
        sweep = f"sweep: {{{MINUTES}: [10, 20], latin_hypercube: 3, over: {{{SHARE}: [0, 1]}}}}\n"
        scenario = parse_scenario(SMALL + sweep)
        coords = [tuple(case.coords.values()) for case in cases(scenario)]
        assert len(coords) == scenario.sweep.number_of_cases() == 6
        assert coords[0][1] == coords[3][1]
        assert [label.in_grid for label in axis_labels(scenario)] == [True, False]

    def test_short_names_are_unique_and_free(self):
        values = {
            SHARE: 0.5,
            "arms.usual.phases.0.sessions.0.minutes": 7,
            MINUTES: 7,
            "population.size": 7,
            "arms.usual.phases.0.weeks": 3,
            "arms.walking.adherence.attendance": 0.5,
        }
        axes = ", ".join(f"{path}: [{value}]" for path, value in values.items())
        labels = axis_labels(parse_scenario(SMALL + f"sweep: {{{axes}}}\n"))
        names = [label.name for label in labels]
        assert len(set(names)) == len(names)
        assert names[0] == "backward_share"
        assert names[3:] == ["size", "weeks", "attendance"]
        assert names[1:3] == ["usual_phases_0_sessions_0_minutes", "walking_phases_0_sessions_0_minutes"]
        assert [label.units for label in labels] == ["1", "min", "min", "1", "week", "1"]

    def test_cases_share_no_state(self):
        scenario = parse_scenario(SMALL + f"sweep: {{{SHARE}: [0, 0.5, 1]}}\n")
        before = scenario.canonical_json()
        kept = list(cases(scenario))
        assert [case.scenario.arms["walking"].phases[0].sessions[0].backward_share for case in kept] == [
            0,
            0.5,
            1,
        ]
        assert scenario.canonical_json() == before

    def test_ten_thousand_cases_are_each_a_scenario(self):
        scenario = parse_scenario(SMALL + f"sweep: {{{SHARE}: {{from: 0, to: 1, steps: 10000}}}}\n")
        assert sum(1 for _ in cases(scenario)) == 10_000

    @pytest.mark.parametrize(
        "sweep",
        [
            f"{{{SHARE}: [0, 50 %], {MINUTES}: [10, 20 min, 0.5 h]}}",
            "{arms.walking.phases.0.weeks: {from: 2, to: 8, steps: 4}, model.impulse: [same_day, next_day]}",
            f"{{{MINUTES}: [10, 20], latin_hypercube: 3, over: {{{SHARE}: [0, 1], seed: [9, 99]}}}}",
            f"{{{SPEED}: [3 km/h, 1, 1.2], {SHARE}: {{from: 0, to: 1, steps: 3}}}}",
        ],
    )
    def test_values_of_all_cases_are_those_of_each(self, sweep):
        scenario = parse_scenario(SMALL + f"sweep: {sweep}\n")
        one_by_one = [case.coords for case in cases(scenario)]
        together = case_values(scenario)
        assert list(together) == list(one_by_one[0])
        for path, values in together.items():
            assert values == [coords[path] for coords in one_by_one]
            assert [type(value) for value in values] == [type(coords[path]) for coords in one_by_one]

    def test_any_part_of_a_sweep_can_be_had_alone(self):
        scenario = parse_scenario(
            SMALL + f"sweep: {{{MINUTES}: [10, 20, 30], latin_hypercube: 4, over: {{{SHARE}: [0, 1]}}}}\n"
        )
        every = list(cases(scenario))
        assert list(cases(scenario, 5, 9)) == every[5:9]
        assert list(cases(scenario, 10)) == every[10:]
        assert list(cases(scenario, 12)) == []
        assert list(chosen_cases(scenario, [7, 2])) == [every[7], every[2]]

    @pytest.mark.timeout(30)
    def test_the_last_of_a_million_cases_comes_at_once(self):
        axes = f"{SHARE}: {{from: 0, to: 1, steps: 1000}}, {MINUTES}: {{from: 1, to: 20, steps: 1000}}"
        scenario = parse_scenario(SMALL + f"sweep: {{{axes}}}\n")
        (last,) = cases(scenario, 999_999)
        assert tuple(last.coords.values()) == (1.0, 20.0)

    @pytest.mark.timeout(30)
    def test_a_billion_cases_are_refused_at_once(self):
        with pytest.raises(InputError, match="1,000,000,000 cases"):
            parse_scenario(SMALL + f"sweep: {{{SHARE}: {{from: 0, to: 1, steps: 1000000000}}}}\n")


class TestCommandLineSettings:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "s.yaml"
        path.write_text(SMALL)
        return path

    def test_settings_act_as_if_written_in_the_file(self, file):
        found = load_scenario(file, set_values=[f"{SHARE}=25 %", "draws=7", "model.impulse=same_day"])
        text = changed("share: 0.5", "share: 0.25")
        written = parse_scenario(text + "draws: 7\nmodel: {impulse: same_day}\n")
        assert found.digest() == written.digest()

    def test_axes_are_added_to_the_files(self, file):
        file.write_text(SMALL + f"sweep: {{{SHARE}: [0, 1]}}\n")
        more = [f"{MINUTES}=10,20 min", f"{SHARE}={{from: 0, to: 1, steps: 3}}"]
        assert load_scenario(file, axes=more).sweep.number_of_cases() == 6
        assert load_scenario(file, axes=[f"{MINUTES}=12"]).sweep.number_of_cases() == 2

    def test_lists_can_be_set(self, file):
        found = load_scenario(file, set_values=["outcomes=[vo2max]", "assess={days: [0, 3]}"])
        assert (found.outcomes, found.assess.days) == (("vo2max",), (0, 3))
