"""Dose: concave in a group's total, shared in proportion, and nothing gained by splitting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retrowalk.errors import InputError
from retrowalk.model.dose import Hill, hill_response, impulse

GROUPS = ["locomotion", "locomotion", "locomotion", "cycling", "balance"]
amounts = st.floats(0, 50).map(lambda value: 0.0 if value < 1e-6 else value)
loads = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(len(GROUPS))), elements=amounts)
gammas = st.floats(0.01, 1)
hills = st.builds(Hill, st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.3, 4))


@given(loads, gammas)
def test_impulses_of_a_group_add_to_the_total_to_the_power_gamma(load: np.ndarray, gamma: float) -> None:
    doses = impulse(load, GROUPS, gamma=gamma)
    assert doses[:, :3].sum(axis=1) == pytest.approx(load[:, :3].sum(axis=1) ** gamma, rel=1e-12)
    assert doses[:, 3] == pytest.approx(load[:, 3] ** gamma, rel=1e-12)


@given(loads, gammas)
def test_impulses_are_shared_in_proportion_to_the_loads(load: np.ndarray, gamma: float) -> None:
    doses = impulse(load, GROUPS, gamma=gamma)
    assert doses[:, 0] * load[:, 1] == pytest.approx(doses[:, 1] * load[:, 0], rel=1e-12)


@given(st.floats(0.01, 10), st.floats(0, 1), gammas, st.none() | hills)
def test_splitting_a_session_in_two_directions_creates_nothing(
    load: float, share: float, gamma: float, hill: Hill | None
) -> None:
    parts = [[(1 - share) * load, share * load]]
    law = {"hill": hill} if hill else {"gamma": gamma}
    pure = impulse([[load, 0.0]], ["g", "g"], **law).sum()
    assert impulse(parts, ["g", "g"], **law).sum() == pytest.approx(pure, rel=1e-9)


@given(st.floats(0.01, 10), st.floats(0, 1), gammas, st.floats(-1, 1), st.floats(-1, 1))
def test_a_mix_lies_between_the_pure_arms(
    load: float, share: float, gamma: float, gain_forward: float, gain_backward: float
) -> None:
    gains = np.array([gain_forward, gain_backward])
    mix = impulse([[(1 - share) * load, share * load]], ["g", "g"], gamma=gamma)[0] @ gains
    pure = load**gamma * gains
    slack = 1e-12 * (1 + load)
    assert pure.min() - slack <= mix <= pure.max() + slack


@given(st.floats(0, 30), gammas)
def test_a_pure_session_equals_its_power_bit_for_bit(load: float, gamma: float) -> None:
    mixed = impulse([[load, 0.0, 3.0]], ["g", "g", "h"], gamma=gamma)
    alone = impulse([[load]], ["g"], gamma=gamma)
    assert mixed[0, 0] == alone[0, 0]
    assert mixed[0, 1] == 0


@given(loads)
def test_without_saturation_impulses_are_the_loads(load: np.ndarray) -> None:
    assert impulse(load, GROUPS) == pytest.approx(load, rel=1e-12)


@given(loads, st.lists(gammas, min_size=1, max_size=4))
def test_one_gamma_per_draw_gives_one_layer_per_draw(load: np.ndarray, exponents: list[float]) -> None:
    layers = impulse(load, GROUPS, gamma=exponents)
    assert layers.shape == (len(exponents), *load.shape)
    for layer, gamma in zip(layers, exponents, strict=True):
        assert layer == pytest.approx(impulse(load, GROUPS, gamma=gamma), rel=1e-12)


def test_a_reference_session_has_impulse_one_for_any_gamma() -> None:
    for gamma in (0.1, 0.35, 1.0):
        assert impulse([[1.0]], ["g"], gamma=gamma)[0, 0] == 1
        half = impulse([[0.5, 0.5]], ["g", "g"], gamma=gamma)
        assert half.tolist() == [[0.5, 0.5]]


def test_separate_groups_would_reward_splitting() -> None:
    half = impulse([[0.5, 0.5]], ["forward", "backward"], gamma=0.35).sum()
    assert half == pytest.approx(2**0.65)


def test_hill_has_half_its_maximum_at_half_load() -> None:
    curve = hill_response([0.0, 2.0, 1e300], Hill(3.0, 2.0, 1.7))
    assert curve.tolist() == pytest.approx([0, 1.5, 3.0])


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"loads": [[1.0, -0.5]]}, r"not -0.5 at \[0, 1\]"),
        ({"loads": [[1.0, float("nan")]]}, r"not nan at \[0, 1\]"),
        ({"loads": [1.0, 2.0]}, r"shape \(visit, 2\)"),
        ({"gamma": 0.0}, "gamma must be .* not 0"),
        ({"gamma": 1.5}, "at most 1, not 1.5"),
        ({"gamma": 0.5, "hill": (1, 1, 1)}, "gamma or hill, not both"),
        ({"hill": (1, 0, 1)}, "half_load"),
    ],
)
def test_bad_input_is_refused(kwargs: dict, words: str) -> None:
    arguments = {"loads": [[1.0, 1.0]], "groups": ["g", "g"], **kwargs}
    with pytest.raises(InputError, match=words):
        impulse(arguments.pop("loads"), arguments.pop("groups"), **arguments)
