"""Good scenarios: the shipped ones, round trips, digests, robustness, start-up time."""

import copy
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrowalk.catalogue import populations
from retrowalk.errors import InputError
from retrowalk.scenario import (
    Scenario,
    cases,
    lay_out,
    load_scenario,
    parse_document,
    parse_scenario,
    read_document,
    scenario_from_data,
    scenario_from_json,
    template,
)
from scenario_files import FOLDER, SHIPPED, SMALL, changed

SHARE = "arms.walking.phases.0.sessions.0.backward_share"
MINUTES = "arms.walking.phases.0.sessions.0.minutes"


class TestShippedScenarios:
    def test_the_promised_ones_are_there(self):
        names = {path.stem for path in SHIPPED}
        assert names >= {
            "knee_walk_mix", "knee_trial", "young_women_backward", "runner_week", "balance_detraining",
            "stroke_gait",
        }  # fmt: skip

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_they_are_valid_and_survive_a_round_trip(self, path):
        scenario = load_scenario(path)
        again = scenario_from_json(scenario.canonical_json())
        assert again == scenario
        assert again.digest() == scenario.digest()
        found = list(cases(scenario))
        assert len(found) == scenario.sweep.number_of_cases()
        assert len({case.scenario.digest() for case in found}) == len(found)

    def test_knee_walk_mix_asks_its_question(self):
        scenario = load_scenario(FOLDER / "knee_walk_mix.yaml")
        assert scenario.sweep.number_of_cases() == 33
        assert (len(scenario.arms), scenario.population.size, scenario.draws) == (2, 2000, 100)
        shares = sorted({next(iter(case.coords.values())) for case in cases(scenario)})
        assert shares == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]

    def test_knee_trial_has_the_trials_numbers(self):
        scenario = load_scenario(FOLDER / "knee_trial.yaml")
        assert scenario.population.size * len(scenario.arms) == pytest.approx(68, abs=2)
        assert scenario.replicates == 1000
        assert [len(lay_out(one)) for one in scenario.arms.values()] == [18, 18, 18]
        kept = {name: 1 - (scenario.adherence_of(name).weekly_dropout or 0) for name in scenario.arms}
        assert {name: round(share**6, 9) for name, share in kept.items()} == {
            "control": 0.82, "forward": 0.87, "backward": 0.91,
        }  # fmt: skip

    @pytest.mark.parametrize("preset", list(populations()))
    def test_every_population_has_a_starting_point(self, preset):
        text = template(preset)
        scenario = parse_scenario(text)
        assert scenario.population.preset == preset
        assert populations()[preset].label.lower() in scenario.title.lower()
        assert "#" in text
        # What is trained more than in the reference arm has backward movement, which is what is swept.
        (axis,) = scenario.sweep.axes
        assert axis.endswith("backward_share")
        found = list(cases(scenario))
        assert found[0].coords[axis] == 0
        assert found[-1].coords[axis] == 1
        assert all(lay_out(arm) for name, arm in scenario.arms.items() if name != scenario.reference)
        days = {visit.day for arm in scenario.arms.values() for visit in lay_out(arm)}
        assert max(days) < scenario.assess.days[-1]


class TestDigest:
    @given(st.randoms(use_true_random=False), st.sampled_from(SHIPPED))
    @settings(max_examples=30, deadline=None)
    def test_key_order_does_not_change_it_but_for_arms_and_axes(self, randomness, path):
        data = read_document(path).data
        shuffled = _shuffled(data, randomness, keep=("arms", "sweep", "over"))
        assert scenario_from_data(shuffled).digest() == load_scenario(path).digest()

    def test_the_order_of_arms_is_the_order_of_results_and_changes_it(self):
        data = parse_document(SMALL).data
        turned = data | {"arms": dict(reversed(data["arms"].items()))}
        assert scenario_from_data(turned).digest() != scenario_from_data(data).digest()
        assert scenario_from_data(turned).reference == "walking"

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("seed: 1", "# a comment\nseed: 0x1   # another"),
            ("seed: 1", "seed: 1.0"),
            ("minutes: 20", "minutes: 20 min"),
            ("minutes: 20", "minutes: 1200 s"),
            ("minutes: 20", "minutes: 0:20 h"),
            ("speed: 0.8", "speed: 2.88 km/h"),
            ("backward_share: 0.5", "backward_share: 50 %"),
            ("weeks: [0, 6]", "days: [0, 42]"),
            ("weeks: [0, 6]", "weeks: [6]"),
            ("size: 100", "size: 1e2"),
            ("seed: 1", "seed: 1\ndraws: 100\nreplicates: 1\nreference: usual\nload: met_minutes"),
            ("seed: 1", "seed: 1\ntitle: ''\ngains: []\nsweep: {}\nparameters: posterior"),
            ("seed: 1", "seed: 1\nmodel: {family: banister, impulse: next_day, form: null}"),
            ("seed: 1", "seed: 1\nadherence: {dropout: missing, attendance: null}"),
            ("backward_share: 0.5", "backward_share: 0.5, match: time, grade: 0, times_per_day: 1"),
        ],
    )
    def test_spelling_does_not_change_it(self, old, new):
        assert parse_scenario(changed(old, new)).digest() == parse_scenario(SMALL).digest()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("seed: 1", "seed: 2"),
            ("minutes: 20", "minutes: 20.5"),
            ("walk, per_week: 3", "walk, per_week: 4"),
            ("backward_share: 0.5", "backward_share: 0.5, match: energy"),
            ("seed: 1", "seed: 1\nmodel: {impulse: same_day}"),
            ("seed: 1", "seed: 1\nreference: walking"),
            ("seed: 1", "seed: 1\nparameters: prior"),
        ],
    )
    def test_meaning_changes_it(self, old, new):
        assert parse_scenario(changed(old, new)).digest() != parse_scenario(SMALL).digest()

    def test_units_in_axes_do_not_change_it(self):
        axis = "sweep: {{arms.walking.phases.0.sessions.0.speed: [{}], {}: [{}]}}\n"
        one = parse_scenario(SMALL + axis.format("1, 0.5", MINUTES, "10, 60"))
        other = parse_scenario(SMALL + axis.format("3.6 km/h, 30 m/min", MINUTES, "10.0, 1 h"))
        assert one.digest() == other.digest()

    def test_progressions_in_words_and_numbers_are_one(self):
        rules = ["{percent: 10, every: 2, limit: 1.2}", "'+10 % per 2 weeks up to 4.32 km/h'"]
        words, numbers = (
            parse_scenario(changed("minutes: 20", f"minutes: 20, progression: {{speed: {rule}}}"))
            for rule in rules
        )
        assert words.digest() == numbers.digest()


def _shuffled(value, randomness, keep, key=""):
    if isinstance(value, dict):
        items = [(name, _shuffled(item, randomness, keep, name)) for name, item in value.items()]
        if key not in keep:
            randomness.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [_shuffled(item, randomness, keep) for item in value]
    return value


class TestRobustness:
    @given(st.sampled_from(SHIPPED), st.integers(0, 2**32))
    @settings(max_examples=150, deadline=None)
    def test_mutated_documents_are_scenarios_or_refused(self, path, seed):
        randomness = random.Random(seed)
        data = copy.deepcopy(read_document(path).data)
        for _ in range(randomness.randint(1, 3)):
            _mutate(data, randomness)
        _check_outcome(lambda: scenario_from_data(data))

    @given(st.sampled_from(SHIPPED), st.integers(0, 2**32))
    @settings(max_examples=100, deadline=None)
    def test_mutated_texts_are_scenarios_or_refused(self, path, seed):
        randomness = random.Random(seed)
        text = list(path.read_text())
        for _ in range(randomness.randint(1, 4)):
            where = randomness.randrange(len(text))
            action = randomness.choice(["drop", "double", "put"])
            if action == "put":
                text[where] = randomness.choice("{}[]:,-#&*!%'\"\n\t 019eabz.\u00e9\U0001f600")
            elif action == "drop":
                del text[where : where + randomness.randint(1, 30)]
            else:
                text[where:where] = text[where : where + randomness.randint(1, 30)]
        _check_outcome(lambda: parse_scenario("".join(text), "s.yaml"))


_ODD = (
    None, True, 0, -1, 3, 0.5, 1e308, -1e-300, float("nan"), float("inf"), 10**30, "", "walk", "5 %",
    "3 km/h", "\ud800", [], [1], {}, {"a": 1}, [[]], "x" * 1000, "+10 % per week",
    {"from": 0, "to": 1, "steps": 3}, ["mon"],
)  # fmt: skip


def _mutate(data, randomness):
    spots = list(_spots(data))
    container, key = randomness.choice(spots)
    action = randomness.choice(["set", "drop", "move", "copy"])
    if action == "set":
        container[key] = copy.deepcopy(randomness.choice(_ODD))
    elif action == "drop":
        del container[key]
    else:
        other, place = randomness.choice(spots)
        try:
            value = copy.deepcopy(container[key])
            other[place] = value
        except (KeyError, IndexError):
            return


def _spots(value):
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _spots(value[key])
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value, index
            yield from _spots(value[index])


def _check_outcome(load):
    try:
        scenario = load()
    except InputError as error:
        refused = str(error)
    else:
        assert scenario_from_json(scenario.canonical_json()).digest() == scenario.digest()
        assert all(lay_out(one) is not None for one in scenario.arms.values())
        return
    assert 0 < len(refused) < 20_000


class TestImports:
    HEAVY = ("numpy", "numba", "xarray", "pandas", "scipy", "zarr", "pint", "hypothesis")

    def test_checking_a_scenario_loads_no_heavy_library(self):
        code = (
            "import sys; from retrowalk.cli import main; from contextlib import suppress\n"
            f"sys.argv = ['retrowalk', 'check', {str(FOLDER / 'knee_walk_mix.yaml')!r}]\n"
            "with suppress(SystemExit): main()\n"
            f"print([name for name in {self.HEAVY} if name in sys.modules])"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ": fine: " in run.stdout.splitlines()[0]
        assert run.stdout.splitlines()[-1] == "[]"

    def test_a_scenario_is_frozen(self):
        scenario = parse_scenario(SMALL)
        with pytest.raises(ValueError, match="frozen"):
            scenario.seed = 2
        assert isinstance(scenario, Scenario)
