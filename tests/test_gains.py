"""Gains: the reference programme yields the net response, whatever the model and its conventions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.errors import InputError
from retrowalk.model import reference
from retrowalk.model.family import FAMILIES, IMPULSES
from retrowalk.model.gains import (
    REFERENCE_ASSESSMENT,
    REFERENCE_DAYS,
    gains_from_net,
    nonlinear_gain,
    reference_sums,
    unit_sum,
)
from retrowalk.model.reference import arm_response

#: The reference programme as a daily series: index n holds the load of day n.
LOAD = np.bincount(REFERENCE_DAYS, minlength=REFERENCE_ASSESSMENT + 1).astype(float)
taus = st.floats(2, 200)
hills = st.none() | st.tuples(st.floats(0.2, 3), st.floats(0.2, 3), st.floats(0.5, 3))
nets = st.floats(-2, 2)
fractions = st.floats(0, 0.9)


def response(model: str, k1: float, k2: float, **parameters: object) -> float:
    curves = reference.fitness_fatigue(LOAD, model=model, gain_fitness=k1, gain_fatigue=k2, **parameters)
    return float(curves.response[REFERENCE_ASSESSMENT])


def test_the_reference_programme_is_three_visits_a_week_for_six_weeks() -> None:
    assert len(REFERENCE_DAYS) == 18
    assert REFERENCE_DAYS[:4] == (0, 2, 4, 7)
    assert REFERENCE_DAYS[-1] == 39


@given(taus)
def test_unit_sum_is_the_geometric_series(tau: float) -> None:
    week = sum(math.exp(-(7 - day) / tau) for day in (0, 2, 4))
    series = sum(math.exp(-7 * week_index / tau) for week_index in range(6))
    assert float(unit_sum(tau)) == pytest.approx(week * series, rel=1e-12)


@pytest.mark.parametrize("impulse", IMPULSES)
@given(net=nets, fraction=fractions, tau1=taus, tau2=taus, hill=hills)
def test_banister_yields_the_net_response(
    impulse: str, net: float, fraction: float, tau1: float, tau2: float, hill: tuple | None
) -> None:
    k1, k2 = gains_from_net(net, fraction, tau1, tau2, impulse=impulse, hill=hill)
    found = response(
        "banister", float(k1), float(k2), tau_fitness=tau1, tau_fatigue=tau2, impulse=impulse, hill=hill
    )
    assert found == pytest.approx(net, abs=1e-11)
    G, H = reference_sums(tau1, tau2, impulse=impulse, hill=hill)
    assert float(k2 * H) == pytest.approx(fraction * float(k1 * G), abs=1e-12)


@pytest.mark.parametrize("form", FAMILIES["variable_dose"].forms)
@pytest.mark.parametrize("impulse", IMPULSES)
@given(net=nets, fraction=fractions, tau1=taus, tau2=taus, tau_gain=taus, hill=hills)
def test_variable_dose_yields_the_net_response(
    form: str,
    impulse: str,
    net: float,
    fraction: float,
    tau1: float,
    tau2: float,
    tau_gain: float,
    hill: tuple | None,
) -> None:
    common = {"impulse": impulse, "form": form, "hill": hill, "tau_gain": tau_gain}
    k1, k2 = gains_from_net(net, fraction, tau1, tau2, model="variable_dose", **common)
    found = response("variable_dose", float(k1), float(k2), tau_fitness=tau1, tau_fatigue=tau2, **common)
    assert found == pytest.approx(net, abs=1e-10)


@pytest.mark.parametrize("impulse", IMPULSES)
@given(net=nets, fraction=fractions, tau1=st.floats(20, 80), tau2=taus, tau_delay=st.floats(2, 15))
def test_fitness_delay_yields_the_net_response(
    impulse: str, net: float, fraction: float, tau1: float, tau2: float, tau_delay: float
) -> None:
    common = {"impulse": impulse, "tau_delay": tau_delay}
    k1, k2 = gains_from_net(net, fraction, tau1, tau2, model="fitness_delay", **common)
    found = response("fitness_delay", float(k1), float(k2), tau_fitness=tau1, tau_fatigue=tau2, **common)
    assert found == pytest.approx(net, abs=1e-10)


@given(net=nets, tau1=taus)
def test_one_component_yields_the_net_response(net: float, tau1: float) -> None:
    k1, k2 = gains_from_net(net, 0.0, tau1, model="one_component")
    curves = reference.fitness_fatigue(LOAD, model="one_component", gain_fitness=float(k1), tau_fitness=tau1)
    assert float(curves.response[-1]) == pytest.approx(net, abs=1e-11)
    assert float(k2) == 0


@pytest.mark.parametrize("impulse", IMPULSES)
@given(target=st.floats(0.01, 3), tau=st.floats(10, 60), exponent=st.floats(1, 1.5))
def test_the_nonlinear_gain_reaches_its_target(
    impulse: str, target: float, tau: float, exponent: float
) -> None:
    gain = nonlinear_gain(target, tau, exponent, impulse=impulse)
    path = reference.euler_path(LOAD, gain, tau, exponent, 0.0, impulse)
    assert path[-1] == pytest.approx(target, rel=1e-9)


def test_gains_broadcast_over_draws_and_outcomes() -> None:
    tau1, net = np.array([[20.0], [42.0]]), np.array([0.1, 0.2, -0.3])
    k1, k2 = gains_from_net(net, 0.2, tau1, 7.0)
    assert k1.shape == k2.shape == (2, 3)
    alone = gains_from_net(-0.3, 0.2, 42.0, 7.0)
    assert (k1[1, 2], k2[1, 2]) == (float(alone[0]), float(alone[1]))


def test_conventional_constants_by_hand() -> None:
    # 42 and 7 days: (e^-7/42 + e^-5/42 + e^-3/42) (1 - e^-1) / (1 - e^-1/6), and the same for 7 days
    G, H = reference_sums(42.0, 7.0)
    assert float(G) == pytest.approx(10.97457, abs=1e-5)
    assert float(H) == pytest.approx(2.38106, abs=1e-5)


@pytest.mark.parametrize("convention", IMPULSES)
@given(
    net=nets,
    fraction=fractions,
    tau1=taus,
    tau2=taus,
    gamma=st.floats(0.05, 1),
    share=st.floats(0, 1),
    sd=st.floats(0.1, 3),
)
def test_the_arm_of_the_reference_programme_responds_by_the_net_gain(
    convention: str,
    net: float,
    fraction: float,
    tau1: float,
    tau2: float,
    gamma: float,
    share: float,
    sd: float,
) -> None:
    loads = np.tile([1 - share, share], (len(REFERENCE_DAYS), 1))
    everything = np.ones(len(REFERENCE_DAYS), dtype=bool)
    found = arm_response(
        loads, REFERENCE_DAYS, ["g", "g"], [net, net], 0.0, fraction, tau1, tau2, gamma, sd, everything,
        [0, REFERENCE_ASSESSMENT], convention,
    )  # fmt: skip
    assert found[1] == pytest.approx(sd * net, abs=1e-9)
    if convention == "next_day":
        assert found[0] == 0


@given(net=nets, own=nets, tau1=taus, tau2=taus, seen=st.lists(st.booleans(), min_size=6, max_size=6))
def test_an_arm_is_the_sum_of_its_attended_visits(
    net: float, own: float, tau1: float, tau2: float, seen: list[bool]
) -> None:
    days, assess = np.array([0, 2, 4, 7, 9, 11]), [3, 14, 40]
    loads = np.array([[1.0], [2.0], [0.5], [0.0], [1.5], [3.0]])

    def arm(attended: np.ndarray) -> np.ndarray:
        return arm_response(loads, days, ["g"], [net], own, 0.3, tau1, tau2, 0.5, 1.2, attended, assess)

    alone = sum(arm(np.eye(6, dtype=bool)[v]) for v in range(6) if seen[v])
    assert arm(np.array(seen)) == pytest.approx(alone + np.zeros(3), abs=1e-10)
    assert arm(np.zeros(6, dtype=bool)).tolist() == [0, 0, 0]


@given(net=nets, own=nets, tau1=taus, tau2=taus, fraction=fractions)
def test_an_arm_equals_the_family_oracle(
    net: float, own: float, tau1: float, tau2: float, fraction: float
) -> None:
    days = np.array([0, 1, 3, 10])
    loads = np.array([1.0, 0.4, 2.0, 1.0])
    k1, k2 = gains_from_net(net + own, fraction, tau1, tau2)
    series = np.zeros(21)
    series[days] = loads**0.4
    curves = reference.fitness_fatigue(
        series, gain_fitness=float(k1), gain_fatigue=float(k2), tau_fitness=tau1, tau_fatigue=tau2
    )
    found = arm_response(
        loads[:, None], days, ["g"], [net], own, fraction, tau1, tau2, 0.4, 1.0, np.ones(4, dtype=bool),
        np.arange(21),
    )  # fmt: skip
    assert found == pytest.approx(curves.response, abs=1e-10)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: unit_sum(0.0), "tau must be above 0 days, not 0"),
        (lambda: gains_from_net(1, 1.0, 42, 7), "below 1, not 1"),
        (lambda: gains_from_net(1, 0.1, 42, model="one_component"), "has no fatigue"),
        (lambda: reference_sums(42), "tau_fatigue is missing"),
        (lambda: reference_sums(42, 7, model="fitness_delay", tau_delay=50), "shorter than tau_fitness"),
        (lambda: reference_sums(42, 7, model="banisters"), "did you mean 'banister'"),
        (lambda: reference_sums(42, 7, impulse="tomorrow"), "next_day, same_day"),
        (lambda: nonlinear_gain(1.0, 0.5, 1.0), "below zero"),
        (lambda: nonlinear_gain(-1.0, 5.0, 1.0), "target"),
    ],
)
def test_bad_input_is_refused(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
