"""Practice apart from fitness: the arithmetic, the cut, and known parameters found again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.calibrate import (
    OXYGEN_COSTS,
    calibrate,
    cost_changes,
    draw_habituation,
    draw_nuisances,
    fit_habituation,
    gain_prior,
    habituation_rows,
    prior,
)
from retrowalk.calibrate.evaluation.pages import oxygen_cost_section
from retrowalk.catalogue import outcomes
from retrowalk.evidence import load_evidence
from retrowalk.model.load import practised

FEW = {"draws": 60, "candidates": 300, "verdict_weight": 0.0}


@pytest.fixture(scope="module")
def fitted():
    return calibrate(**FEW)


@given(minutes=st.floats(0, 5000), more=st.floats(0, 500), constant=st.floats(1, 500))
def test_practice_only_ever_takes_novelty_away(minutes: float, more: float, constant: float) -> None:
    before, after = practised([minutes, minutes + more], constant)
    assert 0.0 <= before <= after <= 1.0
    assert practised(0.0, constant) == 0.0
    assert practised(constant, constant) == pytest.approx(1.0 - np.exp(-1.0))


def test_minutes_add_whatever_their_sessions() -> None:
    left = 1.0 - practised(180.0, 50.0)
    assert left == pytest.approx((1.0 - practised(15.0, 50.0)) ** 12)


def test_the_published_changes_are_read_as_falls_of_the_logarithm() -> None:
    rows = {row.id: row for row in cost_changes(load_evidence())}
    assert list(rows) == [row.effect for row in habituation_rows()]
    heath, ordway = rows["heath2001_bw_habituation/0"], rows["ordway2016/economy"]
    assert heath.value == pytest.approx(np.log(2.05 / 1.66), abs=1e-4)
    assert heath.minutes == 180.0
    # against its own baseline of 46.9 ml/kg/min, not the catalogue's of walking
    assert ordway.value == pytest.approx(np.log(46.85 / (46.85 - 1.19)), abs=1e-4)
    assert all(row.se > 0 and 0.05 < row.link_sd < 0.2 for row in rows.values())


def test_every_prior_of_the_sub_model_has_a_reason_and_leaves_both_readings_open() -> None:
    pairs = [("novelty", name) for name in OXYGEN_COSTS]
    for name, scope in (*pairs, ("novelty_minutes", "any"), ("novelty_heterogeneity", "any")):
        row = prior(name, scope)
        assert row.scope == scope
        assert len(row.reason) > 40
    falls = draw_habituation(2000, 1).practice(cost_changes(load_evidence()))
    backward = falls[:, [row.outcome == OXYGEN_COSTS[1] for row in cost_changes(load_evidence())]]
    assert np.quantile(backward, 0.05) < 0.06
    assert 0.25 < np.quantile(backward, 0.95) < 0.6


def test_these_rows_move_no_other_parameter(fitted) -> None:
    evidence = load_evidence()
    without = dataclasses.replace(
        evidence, effects=tuple(row for row in evidence.effects if row.role != "habituation")
    )
    full, cut = fitted, calibrate(without, **FEW)
    others = [name for name in outcomes() if name not in OXYGEN_COSTS]
    for name in ("gain", "tau_fitness", "fatigue_fraction"):
        one, two = (
            np.sort(found.posterior[name].sel(outcome=others).values, axis=0) for found in (full, cut)
        )
        np.testing.assert_array_equal(one, two)  # the order of draws looks at all outcomes
    one, two = (np.sort(found.posterior["heterogeneity"].values) for found in (full, cut))
    np.testing.assert_array_equal(one, two)
    one, two = (
        np.sort(found.posterior["gain"].sel(outcome=OXYGEN_COSTS[1]).values, axis=0) for found in (full, cut)
    )
    assert not np.array_equal(one, two)


def test_without_any_change_the_novelty_stays_at_its_prior() -> None:
    design, gains = ("x",), gain_prior()
    latent = gains.draw_latent(40, 1)
    after, habit = fit_habituation((), gains, latent, draw_nuisances(40, design, 1), 3)
    np.testing.assert_array_equal(after, latent)
    np.testing.assert_array_equal(habit.size, draw_habituation(40, 3).size)


@pytest.mark.parametrize(("size", "constant"), [(0.35, 30.0), (0.10, 150.0)])
def test_known_practice_is_found_again(size: float, constant: float) -> None:
    pattern = next(row for row in cost_changes(load_evidence()) if row.id.startswith("heath"))
    rest = dataclasses.replace(pattern.protocol, loads=np.zeros_like(pattern.protocol.loads))
    rows = tuple(
        dataclasses.replace(
            pattern, id=f"s{i}/x", source=f"s{i}", minutes=minutes, se=0.01, protocol=rest,
            value=size * float(practised(minutes, constant)),
        )
        for i, minutes in enumerate((10, 20, 40, 80, 160, 320, 640, 640, 640, 640))
    )  # fmt: skip
    gains = gain_prior()
    latent = gains.draw_latent(300, 1)
    _, habit = fit_habituation(rows, gains, latent, draw_nuisances(300, ("x",), 1), 3)
    found = habit.size[:, list(outcomes()).index(pattern.outcome)]
    assert found.mean() == pytest.approx(size, abs=0.04)
    assert found.std() < 0.06  # the prior's is 0.12
    low, high = np.quantile(habit.minutes, (0.02, 0.98))
    assert low < constant < high
    assert habit.heterogeneity.mean() < 0.05


def test_draws_of_practice_ship_for_oxygen_cost_alone(fitted) -> None:
    novelty = fitted.posterior["novelty"]
    for name in outcomes():
        moved = float(abs(novelty.sel(outcome=name)).max())
        assert (moved > 0) == (name in OXYGEN_COSTS)


def test_the_report_tells_practice_from_fitness(fitted) -> None:
    text = oxygen_cost_section(fitted)
    assert "heath2001_bw_habituation/0 | 180 | 19.0 (2.4)" in text
    assert "ordway2016/economy | 300 | 2.5" in text
    assert "lognormal(60, 0.7): minutes of backward practice" in text
