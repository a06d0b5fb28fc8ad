"""Closed forms against the curves they describe."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retrowalk.errors import InputError
from retrowalk.model.analytics import influence_curve, steady_state, time_to_benefit, time_to_peak
from retrowalk.response.training_response import fitness_fatigue

#: The first example of a law compiles a kernel, which no deadline should count.
law = settings(deadline=None)

CLARKE = {"gain_fitness": 0.1825819069014407, "gain_fatigue": 0.23016327121095306,
          "tau_fitness": 35.821034441472136, "tau_fatigue": 21.33971458297882}  # fmt: skip


@st.composite
def sessions(draw, low=1.02):
    """Parameters in which one session has a cost first and a benefit later."""
    tau_fatigue = draw(st.floats(0.5, 30.0))
    tau_fitness = tau_fatigue * draw(st.floats(1.1, 6.0))
    gain_fitness = draw(st.floats(0.01, 10.0))
    ratio = draw(st.floats(low, 5.0))
    return {"gain_fitness": gain_fitness, "gain_fatigue": gain_fitness * ratio,
            "tau_fitness": tau_fitness, "tau_fatigue": tau_fatigue}  # fmt: skip


def test_published_times():
    assert time_to_benefit(**CLARKE) == pytest.approx(12.224707842077706, rel=1e-12)
    assert time_to_peak(**CLARKE) == pytest.approx(39.566018965827936, rel=1e-12)
    mild = {"gain_fitness": 1, "gain_fatigue": 0.8, "tau_fitness": 40, "tau_fatigue": 10}
    assert time_to_peak(**mild) == pytest.approx(15.5087, abs=5e-5)
    with pytest.raises(InputError, match=r"gain_fatigue is 0\.8, not above gain_fitness"):
        time_to_benefit(**mild)


@law
@given(sessions())
def test_one_session_is_zero_at_its_time_to_benefit(p):
    at = time_to_benefit(**p)
    size = p["gain_fitness"] * np.exp(-at / p["tau_fitness"])
    assert abs(influence_curve(at, **p)) <= 1e-12 * (1 + at / p["tau_fatigue"]) * size
    assert influence_curve(at * 0.999, **p) < 0 < influence_curve(at * 1.001, **p)


@law
@given(sessions())
def test_largest_daily_value_is_beside_the_time_to_peak(p):
    at = time_to_peak(**p)
    days = int(np.ceil(at)) + 5
    assume(days < 2000)
    load = np.zeros(days + 1)
    load[0] = 1.0
    curve = fitness_fatigue(load, impulse="same_day", **p)
    beside = curve[[int(np.floor(at)), int(np.ceil(at))]].max()
    assert curve.max() <= beside + 1e-13 * (p["gain_fitness"] + p["gain_fatigue"])


@law
@given(sessions(), st.sampled_from(["same_day", "next_day"]), st.sampled_from(["sum", "ewma"]))
def test_influence_is_the_response_to_one_load(p, impulse, scaling):
    curve = fitness_fatigue([1.0] + [0.0] * 30, impulse=impulse, scaling=scaling, **p)
    expected = influence_curve(np.arange(31), impulse=impulse, scaling=scaling, **p)
    np.testing.assert_allclose(curve, expected, rtol=0, atol=1e-12 * p["gain_fatigue"])
    assert influence_curve(-1, impulse=impulse, scaling=scaling, **p) == 0.0


@pytest.mark.parametrize("impulse", ["same_day", "next_day"])
@pytest.mark.parametrize(
    ("model", "extra"),
    [("one_component", {}), ("banister", {}), ("fitness_delay", {"tau_delay": 3.0}),
     ("variable_dose", {"tau_gain": 4.0}), ("variable_dose", {"tau_gain": 4.0, "form": "exclusive"}),
     ("variable_dose", {"tau_gain": 4.0, "form": "filter"}),
     ("nonlinear", {"exponent_fitness": 1.2, "exponent_fatigue": 0.9})],
)  # fmt: skip
def test_a_long_constant_load_reaches_the_steady_state(model, extra, impulse):
    p = {"gain_fitness": 0.3, "tau_fitness": 20.0, "gain_fatigue": 0.2, "tau_fatigue": 6.0, **extra}
    if model == "one_component":
        p = {name: value for name, value in p.items() if "fitness" in name}
    call = {"model": model, "impulse": impulse, "baseline": 7.0, "hill": (4.0, 2.0, 1.5), **p}
    reached = fitness_fatigue(np.full(1500, 1.7), components=True, **call).isel(day=-1)
    settled = steady_state(1.7, components=True, **call)
    for name in ("fitness", "fatigue", "response"):
        assert float(reached[name]) == pytest.approx(getattr(settled, name), rel=1e-9), name
    assert steady_state(1.7, **call) == settled.response


def test_ewma_of_a_constant_load_is_the_load():
    call = {"model": "one_component", "gain_fitness": 1.0, "tau_fitness": [0.5, 42.0]}
    np.testing.assert_allclose(steady_state(3.0, impulse="same_day", scaling="ewma", **call), 3.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: time_to_peak(gain_fitness=1, gain_fatigue=2, tau_fitness=5, tau_fatigue=[2, 5]),
         r"tau_fatigue is 5\.0 at index 1, not below tau_fitness"),
        (lambda: time_to_peak(gain_fitness=1, gain_fatigue=0.1, tau_fitness=40, tau_fatigue=10),
         r"is 0\.4, not above 1.*no later peak"),
        (lambda: time_to_benefit(gain_fitness=0, gain_fatigue=1, tau_fitness=40, tau_fatigue=10),
         r"gain_fitness is 0\.0; it must be above 0"),
        (lambda: time_to_benefit(gain_fitness=1, gain_fatigue=2, tau_fitness=-3, tau_fatigue=10),
         r"tau_fitness is -3\.0; it must be a finite number of days above 0"),
        (lambda: influence_curve(1, model="variable_dose", tau_gain=2, **CLARKE), "it has no curve"),
        (lambda: steady_state(-1, **CLARKE), r"load is -1\.0; it must be finite and not below 0"),
        (lambda: steady_state(8, model="nonlinear", gain_fitness=1, tau_fitness=2, exponent_fitness=3,
                              gain_fatigue=0, tau_fatigue=2, exponent_fatigue=1), "swing ever farther"),
        (lambda: steady_state(1, hill=(1, 2), **CLARKE), r"hill is \(1, 2\); it must be"),
        (lambda: steady_state(1, form="filter", **CLARKE), "only model 'variable_dose' has forms"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
