"""The laws of the model as properties of the real code: the labelled function and whole trials."""

from functools import partial

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from retrowalk import catalogue, fitness_fatigue, simulate
from retrowalk.model.links import Link
from retrowalk.scenario import scenario_from_data
from retrowalk.testing import LAWS, TRIAL_LAWS, check_model, documents, loads, parameter_sets, programmes

GENERAL = [law for law in LAWS.values() if not law.linear]

OTHERS = {
    "variable dose, inclusive": {"model": "variable_dose", "tau_gain": 3.0, "form": "inclusive"},
    "variable dose, exclusive": {"model": "variable_dose", "tau_gain": 3.0, "form": "exclusive"},
    "variable dose, filter": {"model": "variable_dose", "tau_gain": 3.0, "form": "filter"},
    "fitness delay": {"model": "fitness_delay", "tau_delay": 0.5},
    "averages": {"scaling": "ewma"},
    "saturated": {"hill": (5.0, 2.0, 1.5)},
}

# ---- the labelled function


@pytest.mark.parametrize("law", list(LAWS))
def test_fitness_fatigue_obeys(law):
    check_model(fitness_fatigue, [law], examples=60).raise_if_broken()


@pytest.mark.parametrize("member", list(OTHERS))
def test_the_rest_of_the_family_obeys_the_laws_that_need_no_linearity(member):
    other = partial(fitness_fatigue, **OTHERS[member])
    # A delayed fitness starts from nothing on the day itself.
    laws = [law for law in GENERAL if member != "fitness delay" or law.name != "same_day_counts"]
    check_model(other, laws, examples=15, kinds=["valid"]).raise_if_broken()


@given(loads(max_load=1000.0), parameter_sets("nonlinear"), st.integers(1, 9))
def test_the_nonlinear_model_starts_later_when_its_load_does(load, parameters, rest):
    # From zero state; the others are laws of `check_model`, whose single gains of zero it has too.
    call = {**parameters, "initial_fitness": 0.0, "initial_fatigue": 0.0}
    later = fitness_fatigue(np.concatenate([np.zeros(rest), load]), model="nonlinear", **call)
    np.testing.assert_array_equal(later[rest:], fitness_fatigue(load, model="nonlinear", **call))


@given(loads(min_days=1, max_load=1000.0), parameter_sets("nonlinear"), st.data())
def test_the_nonlinear_model_looks_back_only(load, parameters, data):
    day = data.draw(st.integers(0, load.size - 1))
    changed = load.copy()
    changed[day] += 1.0
    before, after = (fitness_fatigue(w, model="nonlinear", **parameters) for w in (load, changed))
    np.testing.assert_array_equal(before[: day + 1], after[: day + 1])


# ---- whole trials


@pytest.mark.parametrize("law", list(TRIAL_LAWS))
def test_trials_obey(law):
    @settings(max_examples=max(15, settings().max_examples // 4))
    @given(documents())
    def holds(document):
        assert TRIAL_LAWS[law].check(document) == ""

    holds()


OUTCOMES = ["knee_pain", "quadriceps_strength"]
WALK = {"modality": "walk", "minutes": 20, "per_week": 3}


def trial(arms, *, size=20, outcomes=OUTCOMES, **changes):
    """A trial that keeps members; the seed and what is not said are fixed."""
    return {
        "format": "retrowalk-scenario/1",
        "seed": 7,
        "population": {"preset": "knee_oa", "size": size},
        "outcomes": outcomes,
        "assess": {"weeks": [0, 2, 4, 6]},
        "arms": arms,
        "draws": 2,
        "record": "members",
        **changes,
    }


def members(document):
    return simulate(scenario_from_data(document))


def link_scale(result: xr.Dataset, outcome: str) -> np.ndarray:
    """Responses on the scale on which they add: change since day 0 of what the link makes of a value."""
    row = catalogue.outcomes()[outcome]
    eta = Link(row.link, row.lower, row.upper).forward(result[outcome].values.astype(float))
    return eta - eta[..., :1]


def walking(share, **details):
    return {
        "phases": [{"weeks": 4, "sessions": [{**WALK, "backward_share": share, **details}]}, {"weeks": 2}]
    }


def own_gain(direction, outcome, mean, sd=0.0):
    return {"modality": "walk", "direction": direction, "outcome": outcome, "mean": mean, "sd": sd,
            "source": "made up"}  # fmt: skip


def gains_of(forward, backward):
    return [
        own_gain(direction, outcome, mean)
        for outcome in OUTCOMES
        for direction, mean in (("forward", forward), ("backward", backward))
    ]


MODELS = st.sampled_from(
    [
        {},
        {"impulse": "same_day"},
        {"family": "one_component"},
        {"family": "fitness_delay", "tau_delay": 2},
        {"family": "variable_dose", "tau_gain": 5},
        {"family": "variable_dose", "tau_gain": 5, "form": "filter"},
        {"family": "nonlinear"},
        {"hill": [2.0, 1.0, 1.5]},
        {"tau_fitness": 20, "tau_fatigue": 20},
    ]
)
SHARES = st.integers(1, 7).map(lambda eighths: eighths / 8)
GAINS = st.integers(-8, 8).map(lambda eighths: eighths / 8)
few = settings(max_examples=max(12, settings().max_examples // 4))


@few
@given(MODELS, st.sampled_from(["time", "energy", "intensity"]), st.sampled_from([0.5, 1.0, 1.5]), GAINS)
def test_share_0_is_walking_forward_bit_for_bit(model, match, speed, gain):
    arms = {
        "pure": {"phases": [{"weeks": 4, "sessions": [{**WALK, "speed": speed}]}, {"weeks": 2}]},
        "share": walking(0.0, match=match, speed=speed),
    }
    result = members(trial(arms, model=model))
    for outcome in OUTCOMES:
        pure, share = (result[outcome].sel(arm=arm).values for arm in arms)
        np.testing.assert_array_equal(share, pure)
    # No gain of walking backwards enters either.
    other = members(trial(arms, model=model, gains=[own_gain("backward", "knee_pain", gain)]))
    np.testing.assert_array_equal(other["knee_pain"], result["knee_pain"])


@few
@given(MODELS, GAINS, GAINS)
def test_share_1_is_walking_backwards_bit_for_bit(model, forward, backward):
    all_back = trial({"walking": walking(1.0)}, model=model, gains=gains_of(forward, backward))
    # At the reference speeds a session backwards weighs what one forwards does; only the gain is another.
    mirrored = trial({"walking": walking(0.0)}, model=model, gains=gains_of(backward, forward))
    for outcome in OUTCOMES:
        np.testing.assert_array_equal(members(all_back)[outcome], members(mirrored)[outcome])


@few
@given(MODELS, SHARES, GAINS, GAINS, st.sampled_from([10, 20, 45]))
def test_a_mix_lies_between_the_pure_arms(model, share, forward, backward, minutes):
    arms = {name: walking(s, minutes=minutes) for name, s in (("f", 0.0), ("mix", share), ("b", 1.0))}
    result = members(trial(arms, model=model, gains=gains_of(forward, backward)))
    for outcome in OUTCOMES:
        pure_f, mix, pure_b = (link_scale(result.sel(arm=arm), outcome) for arm in arms)
        # On the link scale it even lies where the share says.
        np.testing.assert_allclose(mix, (1 - share) * pure_f + share * pure_b, rtol=0, atol=2e-5)
        assert np.all(mix >= np.minimum(pure_f, pure_b) - 2e-5)
        assert np.all(mix <= np.maximum(pure_f, pure_b) + 2e-5)


@few
@given(MODELS, SHARES, GAINS, st.sampled_from([10, 45]))
def test_with_equal_gains_a_mix_equals_the_pure_arms(model, share, gain, minutes):
    arms = {name: walking(s, minutes=minutes) for name, s in (("f", 0.0), ("mix", share), ("b", 1.0))}
    result = members(trial(arms, model=model, gains=gains_of(gain, gain)))
    for outcome in OUTCOMES:
        forward, mix, backward = (result[outcome].sel(arm=arm).values for arm in arms)
        np.testing.assert_array_equal(forward, backward)
        np.testing.assert_allclose(mix, forward, rtol=2e-5)


@few
@given(programmes(max_weeks=3), st.sampled_from(["next_day", "same_day"]))
def test_groups_add_on_the_link_scale(other, impulse):
    """Strength training beside a programme without it adds what it does alone."""
    lifting = {"modality": "weights", "minutes": 30, "per_week": 2}
    phases = [phase for phase in other["phases"] if not trains(phase, "weights")]
    beside = [{**phase, "sessions": [*phase.get("sessions", []), lifting]} for phase in phases]
    alone = [{"weeks": phase["weeks"], "sessions": [lifting], **growth(phase)} for phase in phases]
    arms = {"other": phases, "lifting": alone, "both": beside}
    arms = {name: {"phases": [*listed, {"weeks": 1}]} for name, listed in arms.items()}
    result = members(trial(arms, model={"impulse": impulse}, adherence={"dropout_per_week": 0.0}))
    for outcome in OUTCOMES:
        one, two, both = (link_scale(result.sel(arm=arm), outcome) for arm in arms)
        size = np.abs(one) + np.abs(two) + 1.0
        assert np.all(np.abs(both - one - two) <= 2e-5 * size)


def trains(phase, modality):
    return any(session["modality"] == modality for session in phase.get("sessions", []))


def growth(phase):
    return {name: phase[name] for name in ("progression",) if name in phase}


@few
@given(st.integers(5, 60), st.sampled_from(["one_component", "banister"]), programmes())
def test_after_the_last_session_a_response_fades_with_its_time_constant(tau, family, programme):
    taus = {"tau_fitness": tau} if family == "one_component" else {"tau_fitness": tau, "tau_fatigue": tau}
    trained = 7 * sum(phase["weeks"] for phase in programme["phases"])
    days = sorted({0, trained + 1, trained + 8})
    result = members(trial({"one": programme}, model={"family": family, **taus}, assess={"days": days}))
    for outcome in OUTCOMES:
        response = link_scale(result, outcome)
        expected = response[..., -2] * np.exp(-7 / tau)
        np.testing.assert_allclose(response[..., -1], expected, rtol=1e-3, atol=2e-5)


@few
@given(documents(record="summaries"), st.integers(0, 2**64 - 1))
def test_the_seed_alone_decides_the_numbers(document, seed):
    first = simulate(scenario_from_data(document), seed=seed)
    again = simulate(scenario_from_data({**document, "seed": seed}))
    for name in first.data_vars:
        np.testing.assert_array_equal(first[name], again[name])


@few
@given(documents(max_size=6, record="members"))
def test_statistics_are_those_of_the_members(document):
    """Means over the members who are assessed; true values of the others are kept, readings are not."""
    kept = members(document)
    summed = simulate(scenario_from_data({**document, "record": "summaries"}))
    np.testing.assert_array_equal(kept["assessed"], summed["assessed"])
    for outcome in document["outcomes"]:
        here = ~np.isnan(kept[f"{outcome}_observed"].values)
        number = here.sum(axis=-2)
        total = np.where(here, kept[outcome].values.astype(float), 0.0).sum(axis=-2)
        mean = summed[outcome].sel(statistic="mean").values
        np.testing.assert_allclose(mean[number > 0], total[number > 0] / number[number > 0], rtol=1e-5)
        assert np.isnan(mean[number == 0]).all()
        np.testing.assert_array_equal(number, np.broadcast_to(kept["assessed"].values, number.shape))
