"""check_model: a right model holds, and each purpose-made wrong one breaks the law that names its fault."""

import math

import numpy as np
import pytest

from retrowalk import fitness_fatigue
from retrowalk.errors import InputError
from retrowalk.testing import LAWS, LawBrokenError, check_model


def model(load, *, baseline, gain_fitness, tau_fitness, gain_fatigue, tau_fatigue, impulse,
          initial_fitness, initial_fatigue):  # fmt: skip
    """A plain recurrence that obeys every law; the wrong ones below change one thing each."""
    fitness = fatigue = 0.0
    a, b = math.exp(-1 / tau_fitness), math.exp(-1 / tau_fatigue)
    curve = []
    for n, amount in enumerate(load.tolist(), start=1):
        held = initial_fitness * a**n - initial_fatigue * b**n
        if impulse == "same_day":
            fitness, fatigue = a * fitness + amount, b * fatigue + amount
        curve.append(baseline + held + gain_fitness * fitness - gain_fatigue * fatigue)
        if impulse == "next_day":
            fitness, fatigue = a * (fitness + amount), b * (fatigue + amount)
    return np.array(curve)


def initial_fatigue_fading_with_the_gain(load, *, initial_fatigue, **p):
    n = np.arange(1, len(load) + 1)
    rate = max(p["gain_fatigue"], 1e-3)
    return model(load, initial_fatigue=0.0, **p) - initial_fatigue * np.exp(-n / rate)


def swapped_time_constants(load, *, tau_fitness, tau_fatigue, **p):
    return model(load, tau_fitness=tau_fatigue, tau_fatigue=tau_fitness, **p)


def first_load_dropped(load, **p):
    return model(np.where(np.arange(len(load)) == 0, 0.0, load), **p)


def one_aliased_state(load, *, baseline, gain_fitness, tau_fitness, gain_fatigue, tau_fatigue, impulse,
                      initial_fitness, initial_fatigue):  # fmt: skip
    fitness = fatigue = [0.0] * (len(load) + 1)
    for n, amount in enumerate(load, start=1):
        added = (amount, 0.0) if impulse == "same_day" else (0.0, amount)
        before = fitness[n - 1]
        fitness[n] = math.exp(-1 / tau_fitness) * (before + added[1]) + added[0]
        fatigue[n] = math.exp(-1 / tau_fatigue) * (before + added[1]) + added[0]
    shift = 0 if impulse == "next_day" else 1
    n = np.arange(1, len(load) + 1)
    held = initial_fitness * np.exp(-n / tau_fitness) - initial_fatigue * np.exp(-n / tau_fatigue)
    fitness, fatigue = (np.array(state[shift : shift + len(load)]) for state in (fitness, fatigue))
    return baseline + held + gain_fitness * fitness - gain_fatigue * fatigue


def same_day_for_next_day(load, *, impulse, **p):
    return model(load, impulse="same_day", **p)


def next_day_for_same_day(load, *, impulse, **p):
    return model(load, impulse="next_day", **p)


def clipped_at_zero(load, **p):
    return np.maximum(model(load, **p), 0.0)


def change_clipped_at_zero(load, *, baseline, **p):
    return baseline + np.maximum(model(load, baseline=0.0, **p), 0.0)


def yesterday_at_full_weight(load, *, impulse, **p):
    if impulse == "same_day":
        return model(load, impulse=impulse, **p)
    held = model(0.0 * load, impulse=impulse, **p)
    p |= {"initial_fitness": 0.0, "initial_fatigue": 0.0, "baseline": 0.0}
    return held + model(np.append(0.0, load[:-1]), impulse="same_day", **p)


def square_root_of_load(load, **p):
    return model(np.sqrt(load), **p)


def baseline_fading(load, *, baseline, **p):
    return model(load, baseline=0.0, **p) + baseline * 0.999 ** np.arange(len(load))


def looking_ahead(load, **p):
    return model(np.append(load[1:], 0.0), **p)


def load_overwritten(load, **p):
    load *= 2.0
    return model(load / 2.0, **p)


def one_day_short(load, **p):
    return model(load, **p)[:-1]


WRONG = [
    (initial_fatigue_fading_with_the_gain, "initial_states"),
    (swapped_time_constants, "own_time_constants"),
    (first_load_dropped, "every_load_counts"),
    (one_aliased_state, "two_states"),
    (same_day_for_next_day, "next_day_waits"),
    (next_day_for_same_day, "same_day_counts"),
    (clipped_at_zero, "no_clipping"),
    (square_root_of_load, "superposition"),
    (one_day_short, "one_response_per_day"),
]
#: More of the kind, to know that the kit does not only know the faults above.
FURTHER = [
    (change_clipped_at_zero, "no_clipping"),
    (yesterday_at_full_weight, "weight_of_age"),
    (baseline_fading, "no_load_no_response"),
    (looking_ahead, "causality"),
    (load_overwritten, "no_memory"),
]


def test_right_models_break_no_law():
    for right in (model, fitness_fatigue):
        report = check_model(right, examples=25)
        assert report.ok, str(report)
        assert [law.name for law in report.held] == list(LAWS)
        report.raise_if_broken()


def assert_named(wrong, law):
    report = check_model(wrong, examples=30)
    assert [breach.law.name for breach in report.causes] == [law], str(report)


@pytest.mark.parametrize(("wrong", "law"), WRONG, ids=[wrong.__name__ for wrong, _ in WRONG])
def test_each_fault_is_caught_by_the_law_that_names_it(wrong, law):
    assert_named(wrong, law)


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "law"), FURTHER, ids=[wrong.__name__ for wrong, _ in FURTHER])
def test_further_faults_are_caught_by_the_law_that_names_them(wrong, law):
    assert_named(wrong, law)


def test_a_report_says_which_law_breaks_on_which_smallest_load():
    report = check_model(
        first_load_dropped, ["every_load_counts", "weight_of_age", "direct_sum"], examples=60
    )
    breach = report.causes[0]
    assert breach.case.load.tolist() == [1.0]
    assert breach.found == "the load of day 1 changes nothing on day 2"
    text = str(report)
    assert "every_load_counts: The load of every day counts, the first day's too." in text
    assert "load [1] with gain_fitness=" in text
    assert text.splitlines()[-1].startswith("and, as a consequence, ")
    with pytest.raises(LawBrokenError, match="3 of 4 laws are broken"):
        report.raise_if_broken()


def test_a_late_fault_shrinks_to_the_day_it_needs():
    def forgetful(load, **p):
        """Loads from the fourth day on are lost."""
        return model(np.where(np.arange(len(load)) < 3, load, 0.0), **p)

    breach = check_model(forgetful, laws=["every_load_counts"]).causes[0]
    assert breach.case.load.tolist() == [0.0, 0.0, 0.0, 1.0]


def test_the_same_call_reports_the_same():
    first, again = (check_model(clipped_at_zero, ["no_clipping"], examples=30) for _ in range(2))
    assert str(first) == str(again)


def test_laws_can_be_chosen_by_name_or_object():
    report = check_model(clipped_at_zero, laws=["time_shift", LAWS["causality"]], examples=30)
    assert [law.name for law in report.held] == ["one_response_per_day", "time_shift", "causality"]


def test_models_with_one_convention_are_tried_on_it_alone():
    def only_next_day(load, *, impulse, **p):
        if impulse != "next_day":
            raise ValueError("what is that?")
        return model(load, impulse=impulse, **p)

    report = check_model(only_next_day, impulses=["next_day"], examples=10)
    assert report.ok
    assert "same_day_counts" not in [law.name for law in report.held]
    broken = check_model(only_next_day, examples=10).causes
    assert [breach.law.name for breach in broken] == ["one_response_per_day"]
    assert broken[0].found == "it raises ValueError: what is that?"


def test_a_model_of_one_convention_needs_no_argument_for_it():
    def without_the_argument(load, *, baseline, gain_fitness, tau_fitness, gain_fatigue, tau_fatigue,
                             initial_fitness, initial_fatigue):  # fmt: skip
        return model(
            load, baseline=baseline, gain_fitness=gain_fitness, tau_fitness=tau_fitness, impulse="next_day",
            gain_fatigue=gain_fatigue, tau_fatigue=tau_fatigue, initial_fitness=initial_fitness,
            initial_fatigue=initial_fatigue,
        )  # fmt: skip

    assert check_model(without_the_argument, impulses=["next_day"], examples=10).ok
    with pytest.raises(InputError, match="'impulse'"):
        check_model(without_the_argument)


def test_models_that_refuse_negative_gains_are_tried_without():
    def strict(load, **p):
        if min(p["gain_fitness"], p["gain_fatigue"]) < 0:
            raise ValueError("negative gain")
        return model(load, **p)

    assert not check_model(strict, ["one_response_per_day"]).ok
    assert check_model(strict, ["one_response_per_day", "superposition"], kinds=["valid"]).ok


def test_laws_that_are_not_linear_hold_for_other_members_of_the_family():
    def variable_dose(load, **p):
        return fitness_fatigue(load, model="variable_dose", tau_gain=3.0, **p)

    general = [law for law in LAWS.values() if not law.linear]
    assert check_model(variable_dose, general, examples=15).ok
    causes = check_model(variable_dose, ["superposition"], examples=40).causes
    assert [breach.law.name for breach in causes] == ["superposition"]


def test_nan_and_the_wrong_shape_are_no_responses():
    def nan_at_rest(load, **p):
        return model(load, **p) / (load.sum() > 0)

    with np.errstate(invalid="ignore", divide="ignore"):
        breach = check_model(nan_at_rest, examples=30).causes[0]
    assert breach.law.name == "one_response_per_day"
    assert breach.found.startswith("it returns ")
    assert breach.case.load.tolist() == [0.0]


def test_what_cannot_be_tried_is_refused():
    with pytest.raises(InputError, match=r"laws is 'superpositon'.*did you mean 'superposition'"):
        check_model(model, laws=["superpositon"])
    with pytest.raises(InputError, match="impulses is 'next_day'; it must be a sequence of next_day, same_d"):
        check_model(model, impulses="next_day")
    with pytest.raises(InputError, match="kinds is 'wild'"):
        check_model(model, kinds=["wild"])
    with pytest.raises(InputError, match=r"fn cannot be called as fn\(load, baseline=.*wrap it"):
        check_model(lambda load, gain_fitness: load)


def test_every_law_has_a_sentence_and_explains_only_laws_after_it():
    # No two laws explain each other, so every report names a cause.
    names = list(LAWS)
    for place, (name, law) in enumerate(LAWS.items()):
        assert law.name == name
        assert law.sentence[0].isupper()
        assert law.sentence.endswith(".")
        assert law.explains <= set(names[place + 1 :])
