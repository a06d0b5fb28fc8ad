"""The fast family against its definition: direct sums over all earlier loads, written apart."""

import numpy as np
import pytest

from retrowalk.errors import InputError
from retrowalk.kernels import recurrences, responses
from retrowalk.model import reference
from retrowalk.model.family import FAMILIES, PARAMETERS
from retrowalk.response.training_response import fitness_fatigue

VARIANTS = [
    ("one_component", {}),
    ("banister", {}),
    ("fitness_delay", {}),
    ("variable_dose", {"form": "inclusive"}),
    ("variable_dose", {"form": "exclusive"}),
    ("variable_dose", {"form": "filter"}),
]
CASES = 1000


def draw_load(rng, length):
    kind = rng.integers(5)
    if kind == 0:
        return np.zeros(length)
    if kind == 1:
        return np.full(length, 1e6)
    load = rng.uniform(0.0, 3.0, length) * (rng.random(length) < 0.6)
    return load if kind == 2 else load * 10.0 ** rng.uniform(-6, 6, length)


def draw_length(rng, case):
    if case < 2:
        return 5000
    return int(rng.choice([0, 1, 2, int(rng.integers(3, 60)), 100]))


def draw_parameters(rng, model):
    values = {}
    for name in FAMILIES[model].parameters:
        values[name] = 10.0 ** rng.uniform(-1, 3) if name.startswith("tau") else rng.uniform(-2.0, 2.0)
    if "tau_fatigue" in values and rng.random() < 0.2:
        values["tau_fatigue"] = values["tau_fitness"]
    return values


def draw_call(rng, model, form, case):
    """One call's load and arguments."""
    load = draw_load(rng, draw_length(rng, case))
    call = {
        "impulse": str(rng.choice(["same_day", "next_day"])),
        "scaling": str(rng.choice(["sum", "ewma"])),
        "baseline": float(rng.choice([0.0, -40.0, 300.0])),
        **draw_parameters(rng, model),
        **form,
    }
    if rng.random() < 0.4:
        call["initial_fitness"] = rng.uniform(-50, 50)
        call["initial_fatigue"] = 0.0 if model == "one_component" else rng.uniform(-50, 50)
    if rng.random() < 0.25:
        call["hill"] = (rng.uniform(0.1, 5), 10.0 ** rng.uniform(-2, 3), rng.uniform(0.3, 4))
    elif rng.random() < 0.4 and not FAMILIES[model].steps_by_day(form.get("form")):
        times = np.cumsum(rng.choice([0.0, 0.25, 1.0, 3.7], load.size))
        call["times"] = times + rng.uniform(-100, 100)
    return load, call


@pytest.mark.parametrize(
    ("model", "form"),
    VARIANTS,
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_equals_its_direct_sums(model, form):
    rng = np.random.default_rng([len(model), len(form.get("form", ""))])
    for case in range(CASES):
        load, call = draw_call(rng, model, form, case)
        expected = reference.fitness_fatigue(load, model=model, **call)
        got = fitness_fatigue(load, model=model, components=True, **call)
        bound = 1e-10 * expected.size
        for name in ("fitness", "fatigue", "response"):
            error = np.abs(got[name].values - getattr(expected, name))
            assert np.all(error <= bound), (case, name, call)


def test_nonlinear_equals_its_own_recursion_and_refuses_the_same_steps():
    rng = np.random.default_rng(7)
    refused = 0
    for case in range(CASES):
        load = draw_load(rng, draw_length(rng, case))
        load = load if case < 2 else np.minimum(load, 10.0 ** rng.uniform(0, 6))
        call = {
            "impulse": str(rng.choice(["same_day", "next_day"])),
            "baseline": rng.uniform(-5, 5),
            "gain_fitness": rng.uniform(0, 0.2),
            "gain_fatigue": rng.uniform(0, 0.2),
            "tau_fitness": 2.0 * 10 ** rng.uniform(0, 2.6),
            "tau_fatigue": 2.0 * 10 ** rng.uniform(0, 2.6),
            "exponent_fitness": rng.uniform(0.8, 1.25),
            "exponent_fatigue": rng.uniform(0.8, 1.25),
            "initial_fitness": float(rng.choice([0.0, 12.0])),
            "initial_fatigue": float(rng.choice([0.0, 3.0])),
        }
        try:
            expected = reference.fitness_fatigue(load, model="nonlinear", **call)
        except ValueError:
            refused += 1
            with pytest.raises(InputError, match=r"(fitness|fatigue) would be -.* at index \d+"):
                fitness_fatigue(load, model="nonlinear", **call)
            continue
        got = fitness_fatigue(load, model="nonlinear", components=True, **call)
        for name in ("fitness", "fatigue", "response"):
            assert np.all(np.abs(got[name].values - getattr(expected, name)) <= 1e-10 * expected.size), case
    assert 0 < refused < 0.6 * CASES


def test_a_step_below_zero_is_refused_with_day_and_value():
    """From 12, a step of 12^2 / 4 takes off 36."""
    call = {"gain_fitness": 1.0, "tau_fitness": 4.0, "exponent_fitness": 2.0, "gain_fatigue": 0.0,
            "tau_fatigue": 4.0, "exponent_fatigue": 1.0}  # fmt: skip
    load = [0.0, 0.0, 12.0, 1.0]
    with pytest.raises(ValueError, match=r"step 3 reaches -23\.0"):
        reference.fitness_fatigue(load, model="nonlinear", impulse="same_day", **call)
    with pytest.raises(InputError, match=r"fitness would be -23\.0 at index 3: a step of one day"):
        fitness_fatigue(load, model="nonlinear", impulse="same_day", **call)
    with pytest.raises(InputError, match=r"fatigue would be -2\.0 at index 0"):
        fitness_fatigue(
            [0.0],
            model="nonlinear",
            **{**call, "exponent_fatigue": 2.0, "initial_fatigue": 8.0, "tau_fatigue": 6.4},
        )


def test_nonlinear_with_unit_exponents_is_a_linear_decay_of_one_minus_one_over_tau():
    got = fitness_fatigue(
        [1.0, 0, 0, 0], model="nonlinear", impulse="same_day", gain_fitness=2.0, tau_fitness=4.0,
        exponent_fitness=1.0, gain_fatigue=0.0, tau_fatigue=9.0, exponent_fatigue=1.0,
    )  # fmt: skip
    np.testing.assert_allclose(got, 2.0 * 0.75 ** np.arange(4), rtol=1e-15)


def test_reference_sum_is_what_a_pencil_gives():
    same = reference.decaying_sum([1.0, 0.0, 2.0], 1 / np.log(2), [1, 2, 3], "same_day")
    later = reference.decaying_sum([1.0, 0.0, 2.0], 1 / np.log(2), [1, 2, 3], "next_day")
    np.testing.assert_allclose(same, [1.0, 0.5, 2.25])
    np.testing.assert_allclose(later, [0.0, 0.5, 0.25])
    saturated = reference.fitness_fatigue(
        [0.0, 2.0], model="one_component", impulse="same_day", gain_fitness=1, tau_fitness=1, hill=(6, 2, 3)
    )
    np.testing.assert_allclose(saturated.response, [0.0, 3.0])


def test_reference_variable_dose_by_pencil():
    """Half-life of one day everywhere: K = 1, 2.5 and strain K w, K w with K before, K."""
    tau = 1 / np.log(2)
    call = {"gain_fitness": 0.0, "tau_fitness": 1.0, "gain_fatigue": 1.0, "tau_fatigue": tau, "tau_gain": tau}
    fatigue = {
        form: reference.fitness_fatigue(
            [1.0, 2.0], model="variable_dose", impulse="same_day", form=form, **call
        ).fatigue
        for form in ("inclusive", "exclusive", "filter")
    }
    np.testing.assert_allclose(fatigue["inclusive"], [1.0, 5.5])
    np.testing.assert_allclose(fatigue["exclusive"], [0.0, 1.0])
    np.testing.assert_allclose(fatigue["filter"], [1.0, 3.0])


def test_compiled_code_numbers_the_models_and_forms_as_their_table_does():
    for name, row in FAMILIES.items():
        assert getattr(responses, name.upper()) == row.number
        assert (row.number in responses.LINEAR) == row.linear
        assert callable(getattr(recurrences, row.kernel))
        assert callable(getattr(reference, row.reference))
        for number, form in enumerate(row.forms):
            assert getattr(responses, form.upper()) == number
    assert set(recurrences.COLUMNS) >= PARAMETERS.keys()
