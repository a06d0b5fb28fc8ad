"""Bad scenarios: each fault one line, in our words, at its exact place, all at once."""

# ruff: noqa: E501 (the tables hold error lines as they are printed)

import json

import pytest

from retrowalk.errors import DocumentError, InputError
from retrowalk.scenario import (
    cases,
    load_scenario,
    parse_scenario,
    scenario_from_data,
    scenario_from_json,
    template,
)
from scenario_files import SMALL, changed, problems_of

WALK = "{modality: walk, per_week: 3, minutes: 20, speed: 0.8, backward_share: 0.5}"
SHARE = "arms.walking.phases.0.sessions.0.backward_share"

#: What is replaced, by what, and the line that must come out.
FAULTS = [
    ("seed: 1", "sed: 1", "2:1: sed: unknown key 'sed'; did you mean 'seed'?"),
    ("seed: 1", "seed: one", "2:7: seed: must be a whole number, not 'one'"),
    ("seed: 1", "seed: true", "2:7: seed: must be a whole number, not True"),
    ("seed: 1", "seed: 1.5", "2:7: seed: must be a whole number, not 1.5"),
    ("seed: 1", "seed: -1", "2:7: seed: must be at least 0, not -1"),
    ("seed: 1", "seed: 18446744073709551616", "2:7: seed: must be at most 18446744073709551615, not 18446744073709551616"),
    ("seed: 1", "seed:", "2:1: seed: must be a whole number, not nothing"),
    ("format: retrowalk-scenario/1\n", "", "1:1: format: is missing"),
    ("scenario/1", "scenario/9", "1:9: format: must be 'retrowalk-scenario/1', not 'retrowalk-scenario/9'; did you mean 'retrowalk-scenario/1'?"),
    ("knee_oa", "knee_ao", "3:22: population.preset: unknown population 'knee_ao'; did you mean 'knee_oa'?"),
    ("knee_oa", "[1]", "3:22: population.preset: must be text, not [1]"),
    ("size: 100", "size: 1000000000000", "3:37: population.size: must be at most 10000000, not 1000000000000"),
    ("size: 100", "size: 0", "3:37: population.size: must be at least 1, not 0"),
    ("{preset: knee_oa, size: 100}", "knee_oa", "3:13: population: must be a mapping of keys to values, not 'knee_oa'"),
    ("balance]", "balanse]", "4:23: outcomes.1: unknown outcome 'balanse'; did you mean 'balance'?"),
    ("balance]", "knee_pain]", "4:23: outcomes.1: knee_pain is named twice"),
    ("[knee_pain, balance]", "[]", "4:11: outcomes: must not be empty"),
    ("weeks: [0, 6]", "weeks: [6, 0]", "5:21: assess.weeks.1: must come after 6; 0 does not"),
    ("weeks: [0, 6]", "weeks: [0, 600]", "5:21: assess.weeks.1: must be at most 522, not 600"),
    ("{weeks: [0, 6]}", "{weeks: [0], days: [0]}", "5:9: assess: give either weeks or days, such as `weeks: [0, 6]`"),
    ("modality: walk", "modality: walkk", "16:24: arms.walking.phases.0.sessions.0.modality: unknown modality 'walkk'; did you mean 'walk'?"),
    ("share: 0.5", "share: 1.01", f"16:84: {SHARE}: must be at most 1, not 1.01"),
    ("share: 0.5", "share: -10 %", f"16:84: {SHARE}: must be at least 0, not '-10 %'"),
    ("share: 0.5", "share: .nan", f"16:84: {SHARE}: must be a finite number, not nan"),
    ("share: 0.5", "share: half", f"16:84: {SHARE}: must be a number, or a number with a unit such as 0.05 or '5 %', not 'half'"),
    ("speed: 0.8", "speed: 3 kmm/h", "16:63: arms.walking.phases.0.sessions.0.speed: unknown unit 'kmm/h'; did you mean 'km/h'?"),
    ("speed: 0.8", "speed: 0", "16:63: arms.walking.phases.0.sessions.0.speed: must be at least 0.05, not 0"),
    ("speed: 0.8", "match: tyme", "16:63: arms.walking.phases.0.sessions.0.match: must be 'time', 'energy' or 'intensity', not 'tyme'; did you mean 'time'?"),
    ("speed: 0.8", "speed: 8", "16:13: arms.walking.phases.0.sessions.0: speed 8 m/s is outside the 0.2 to 2.2 m/s of walk forward"),
    ("minutes: 20", "minuts: 20", "16:13: arms.walking.phases.0.sessions.0.minutes: is missing"),
    ("walk, per_week: 3, ", "walk, ", "16:13: arms.walking.phases.0.sessions.0: give either per_week or days, such as `per_week: 3` or `days: [mon, thu]`"),
    ("walk, per_week: 3", "walk, per_week: 15", "16:40: arms.walking.phases.0.sessions.0.per_week: must be at most 14, not 15"),
    ("walk, per_week: 3", "walk, days: [mon, mon]", "16:36: arms.walking.phases.0.sessions.0.days: names a day twice; use times_per_day for two sessions on a day"),
    ("minutes: 30", "minutes: 30, backward_share: 1", "11:81: arms.usual.phases.0.sessions.0.backward_share: is only for walk and run, not for physiotherapy"),
    ("  walking:", "  wal king:", "12:3: arms.wal king: the name 'wal king' may hold only letters, digits, _ and -, at most 40, and begin with no sign"),
    ("seed: 1", "seed: 1\nreference: walkin", "3:12: reference: there is no arm 'walkin'; did you mean 'walking'?"),
    ("seed: 1", "seed: 1\ndraws: 1001", "3:8: draws: must be at most 1000, not 1001"),
    ("seed: 1", "seed: 1\nload: metminutes", "3:7: load: must be 'met_minutes', 'minutes' or 'vo2_reserve', not 'metminutes'; did you mean 'met_minutes'?"),
    ("seed: 1", "seed: 1\nmodel: {form: filter}", "3:15: model.form: is a setting of variable_dose, not of banister"),
    ("seed: 1", "seed: 1\nmodel: {hill: [1, 2]}", "3:15: model.hill: must be a mapping of keys to values, not [1, 2]"),
    ("seed: 1", "seed: 1\nadherence: {attendance: 101 %}", "3:25: adherence.attendance: must be at most 1, not '101 %'"),
    ("seed: 1", "seed: 1\nadherence: {completion: 0.9}", "3:12: adherence: completion and completion_weeks go together; completion_weeks is missing"),
    ("size: 100", "size: 100, age: {min: 60, max: 50}", "3:62: population.age.max: must be above min (60)"),
    ("size: 100", "size: 100, include: {vo2max: {min: 1}}", "3:60: population.include.vo2max: vo2max is not among the scenario's outcomes"),
    ("size: 100", "size: 100, include: {knee_pain: {min: 10}}", "3:69: population.include.knee_pain.min: nobody can be included: knee_pain stays below 10"),
    ("size: 100", "size: 100, baseline: {knee_pain: {mean: 12, sd: 1}}", "3:71: population.baseline.knee_pain.mean: must lie between 0 and 10 points, not 12"),
    ("size: 100", "size: 100, baseline: {knee_pain: {mean: 5, sd: 5}}", "3:78: population.baseline.knee_pain.sd: no values between 0 and 10 with this mean can spread by 5"),
    ("seed: 1", "seed: 1\ngains: [{modality: walk, outcome: balance, mean: 1, sd: 1, source: us}]", "3:9: gains.0: walk needs a direction: forward or backward"),
    ("seed: 1", "seed: 1\ngains: [{modality: cycling, outcome: balance, mean: 1, sd: 1, source: ''}]", "3:71: gains.0.source: must not be empty"),
    ("seed: 1", f"seed: 1\nsweep: {{{SHARE}s: [0, 1]}}", f"3:9: sweep.{SHARE}s: leads nowhere; did you mean '{SHARE}'?"),
    ("seed: 1", "seed: 1\nsweep: {arms.walking.phases.0: [0, 1]}", "3:9: sweep.arms.walking.phases.0: leads to a whole block, not to one value; did you mean 'arms.walking.phases.0.weeks'?"),
    ("seed: 1", "seed: 1\nsweep: {outcomes.0: [balance]}", "3:9: sweep.outcomes.0: outcomes cannot be swept: all cases share it"),
    ("seed: 1", f"seed: 1\nsweep: {{{SHARE}: [0, 2]}}", f"3:62: sweep.{SHARE}.1: must be at most 1, not 2"),
    ("seed: 1", f"seed: 1\nsweep: {{{SHARE}: 3}}", f"3:58: sweep.{SHARE}: must be a list of values or {{from: ..., to: ..., steps: ...}}"),
    ("seed: 1", f"seed: 1\nsweep: {{{SHARE}: [0, 0]}}", f"3:9: sweep.{SHARE}: holds a value twice"),
    ("seed: 1", f"seed: 1\nsweep: {{{SHARE}: [[0]]}}", f"3:59: sweep.{SHARE}.0: must be a finite number, text, true or false"),
    ("seed: 1", f"seed: 1\nsweep: {{{SHARE}: {{from: 0, to: 1, steps: 1000000000}}}}", "3:8: sweep: the axes make 1,000,000,000 cases; at most 1,000,000 are run"),
    ("seed: 1", f"seed: 1\nsweep: {{latin_hypercube: 5, over: {{{SHARE}: [1, 0]}}}}", '3:36: sweep.over.arms.walking.phases.0.sessions.0.backward_share: the low end 1 must be below the high end 0'),
    ("seed: 1", "seed: 1\nsweep: {latin_hypercube: 5}", "3:8: sweep: latin_hypercube and over go together: {latin_hypercube: 100, over: {PATH: [0, 1]}}"),
    ("seed: 1", "seed: 1\nrecord: trajectories\nreplicates: 100000", "3:9: record: trajectories would be 172,000,000,000 values; at most 10,000,000,000 are kept; use summaries, fewer members or fewer draws"),
    ("size: 100", "size: 10000000}\nreplicates: 100 #", "3:37: population.size: 10000000 members x 100 draws x 100 replicates are 100,000,000,000 in each arm; at most 10,000,000,000 are run"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), FAULTS)
def test_a_fault_is_one_line_at_its_place(old, new, line):
    lines = problems_of(changed(old, new))
    if line is not None:
        assert f"s.yaml:{line}" in lines
    for found in lines:
        assert found.startswith("s.yaml:")
        assert "<" not in found
        assert "pydantic" not in found


def test_all_faults_come_at_once_in_the_order_of_the_file():
    text = SMALL
    for old, new in [("knee_oa", "knee"), ("balance]", "balanse]"), ("minutes: 30", "minutes: x"), ("share: 0.5", "share: 2")]:  # fmt: skip
        text = changed(old, new, text)
    lines = problems_of(text)
    assert [line.split(":")[1] for line in lines] == ["3", "4", "11", "16"]


def test_too_many_faults_are_summed_up():
    text = changed("seed: 1", "seed: 1\n" + "\n".join(f"x{i}: 1" for i in range(200)))
    lines = problems_of(text)
    assert len(lines) == 51
    assert lines[-1] == "s.yaml: and 150 more problems"


def test_a_refused_outcome_names_the_way_out():
    (line,) = problems_of(changed("knee_oa", "school_boys"))
    assert line.startswith("s.yaml:4:12: outcomes.0: no baseline of 'knee_pain'")
    assert "population.baseline.knee_pain" in line
    own = changed("preset: knee_oa", "preset: school_boys, baseline: {knee_pain: {mean: 2, sd: 1}}")
    assert parse_scenario(own).population.baseline["knee_pain"].mean == 2


def test_long_programmes_are_bounded():
    (line,) = problems_of(changed("arms:\n", "arms:\n  long: {phases: [{weeks: 522}, {weeks: 522}]}\n"))
    assert "7:9" in line
    assert "7308 days together; at most 3660" in line


def test_a_week_of_too_many_sessions():
    session = "{modality: weights, per_week: 14, times_per_day: 4, minutes: 1}"
    (line,) = problems_of(changed(WALK, f"{session}\n          - {session}"))
    assert line == "s.yaml:16:11: arms.walking.phases.0.sessions: a week has more than 84 sessions"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("minutes: 10", "must be"),
        ("minutes: faster", "must read like"),
        ("minutes: '+10 %'", "must read like"),
        ("minutes: '+1 km per week'", "does not measure this"),
        ("minutes: '+1 of start per week'", "of start` goes with per cent"),
        ("minutes: {percent: 10, add: 1}", "give either percent or add"),
        ("minutes: {add: 1, of: start}", "goes with percent"),
        ("minutes: '-5 min per week'", "in its week 6 minutes would be -5, outside 0 to 600 min"),
        ("minutes: '+1 min per week up to 15 min'", "the limit 15 lies before the first value 20"),
        ("speed: '+50 % per week'", "speed 6.075 m/s is outside"),
        ("backward_share: '+0.2 per week'", "outside 0 to 1"),
        ("per_week: '+1 per week'", "unknown key 'per_week'"),
    ],
)  # fmt: skip
def test_rules_of_change_that_do_not_work(rule, words):
    lines = problems_of(changed("backward_share: 0.5", f"backward_share: 0.5, progression: {{{rule}}}"))
    assert any(words in line for line in lines), lines
    assert all(line.startswith("s.yaml:16:") for line in lines)


def test_a_bad_case_between_good_ends_is_found_when_it_is_reached():
    # Alone, each axis is fine; together, in one corner, the weekly steps leave the model's range.
    text = changed("backward_share: 0.5", "backward_share: 0.5, progression: {minutes: '+60 min per week'}")
    text += (
        "sweep: {arms.walking.phases.0.weeks: [6, 9], arms.walking.phases.0.sessions.0.minutes: [20, 149]}\n"
    )
    found = cases(parse_scenario(text))
    with pytest.raises(DocumentError, match=r"minutes would be 629, outside") as caught:
        list(found)
    assert "case 3 (arms.walking.phases.0.weeks = 9" in str(caught.value)


def test_settings_from_the_command_line_have_their_own_source(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(SMALL)
    for kind, argument, line in [
        ("set_values", "seed=x", "--set: seed: must be a whole number, not 'x'"),
        ("set_values", "seed", "--set: needs PATH=VALUE, such as population.size=500, not 'seed'"),
        ("set_values", "seed=[", "--set: seed: this is not valid YAML: expected the node content, but found '<stream end>'"),
        ("set_values", "seeed=1", "--set: seeed: unknown key 'seeed'; did you mean 'seed'?"),
        ("set_values", "seed.x=1", "--set: seed: is a single value; nothing lies below it"),
        ("set_values", "arms.walkin.phases.0.weeks=1", "--set: arms.walkin: there is no arm 'walkin'; did you mean 'walking'?"),
        ("set_values", "arms.walking.phases.1.weeks=1", "--set: arms.walking.phases.1: there are 1 entries here, counted from 0"),
        ("axes", f"{SHARE}=0,2", f"--axis: sweep.{SHARE}.1: must be at most 1, not 2"),
        ("axes", f"{SHARE}x=0,1", f"--axis: sweep.{SHARE}x: leads nowhere; did you mean '{SHARE}'?"),
    ]:  # fmt: skip
        with pytest.raises(DocumentError) as caught:
            load_scenario(path, **{kind: [argument]})
        assert str(caught.value) == line


UNSAFE = {
    "C0": "\x07", "ESC, CSI": "\x1b[2J", "OSC": "\x1b]0;x\x07", "C1": "\x9b", "delete": "\x7f",
    "line break": "\n ", "carriage return": "\r", "bidirectional override": "\u202e",
    "bidirectional isolate": "\u2066", "direction mark": "\u200f", "line separator": "\u2028",
    "paragraph separator": "\u2029",
}  # fmt: skip


@pytest.mark.parametrize("text", UNSAFE.values(), ids=UNSAFE)
@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("seed: 1", "title: TEXT", "title"),
        ("size: 100", "size: 100, baseline: {knee_pain: {mean: 5, sd: 1, source: TEXT}}", "population.baseline.knee_pain.source"),
        ("seed: 1", "gains: [{modality: cycling, outcome: balance, mean: 1, sd: 1, source: TEXT}]", "gains.0.source"),
        ("seed: 1", "sweep: {TEXT: [1, 2]}", "sweep."),
        ("  walking:", "  TEXT:", "arms."),
    ],
    ids=["title", "baseline", "gain", "axis", "arm"],
)  # fmt: skip
def test_text_that_a_terminal_would_obey_is_refused_and_printed_as_an_escape(old, new, path, text):
    lines = problems_of(changed(old, new.replace("TEXT", json.dumps(f"all{text}fine"))))
    (line,) = [line for line in lines if f": {path}" in line]
    assert line.isprintable()
    if path.endswith(("title", "source")):
        assert f"holds the character U+{ord(text[0]):04X}" in line


@pytest.mark.parametrize("text", ["Grüße, naïve café", "膝の痛み", "👩\u200d⚕️ walks", "50 % – more"])
def test_words_of_any_language_are_kept(text):
    scenario = parse_scenario(changed("seed: 1", f"title: {json.dumps(text)}"))
    assert scenario.title == text
    assert parse_scenario(changed("seed: 1", f"title: |\n  {text}")).digest() == scenario.digest()


def test_plain_data_and_json_are_refused_with_paths():
    with pytest.raises(DocumentError, match=r"^population: is missing$|population: is missing"):
        scenario_from_data({"format": "retrowalk-scenario/1"})
    with pytest.raises(InputError, match=r"r\.nc holds no scenario in JSON"):
        scenario_from_json("{", "r.nc")
    with pytest.raises(DocumentError, match="must be a mapping"):
        scenario_from_json("[1]")
    with pytest.raises(InputError, match="did you mean 'knee_oa'"):
        template("knee")


@pytest.mark.timeout(60)
def test_huge_inputs_are_reported_in_bounded_time_and_space():
    text = changed("seed: 1", "seed: [" + "[1], " * 3000 + "]")
    assert all(len(line) < 400 for line in problems_of(text))
    text = changed("seed: 1", "seed: " + "x" * 100_000)
    assert all(len(line) < 400 for line in problems_of(text))
    text = changed("seed: 1", "sweep: {" + ", ".join(f"nowhere.{i}: [1]" for i in range(2000)) + "}")
    assert len(problems_of(text)) <= 51
