"""The engine against slow references: responses, statistics, threads, chunks, laws of mixing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

import retrowalk
from retrowalk.catalogue import modalities, outcomes
from retrowalk.cohort import response_z
from retrowalk.errors import InputError, RunError
from retrowalk.model import reference
from retrowalk.model.dose import impulse
from retrowalk.model.gains import reference_sums
from retrowalk.model.links import Link
from retrowalk.model.reference import arm_response
from retrowalk.scenario import Scenario, cases, scenario_from_data
from retrowalk.simulation.case import prepare
from retrowalk.simulation.compute import compute, pieces_of, work
from retrowalk.simulation.people import presence, recruit
from retrowalk.simulation.pieces import together
from retrowalk.simulation.table import Shape, allocate

WALK = {"modality": "walk", "per_week": 3, "minutes": 20}
MIXED = {**WALK, "backward_share": 0.4}
CYCLE = {"modality": "cycling", "days": ["mon", "sat"], "minutes": 25}


def scenario(**changes: Any) -> Scenario:
    data: dict[str, Any] = {
        "format": "retrowalk-scenario/1",
        "seed": 7,
        "population": {"preset": "knee_oa", "size": 60},
        "outcomes": ["knee_pain", "walking_speed"],
        "assess": {"weeks": [0, 3, 6, 9]},
        "draws": 3,
        "arms": {
            "rest": {"phases": [{"weeks": 6}]},
            "walk": {"phases": [{"weeks": 6, "sessions": [MIXED, CYCLE]}]},
        },
        **changes,
    }  # fmt: skip
    return scenario_from_data(data)


def walking(share: float, **session: Any) -> dict[str, Any]:
    return {"phases": [{"weeks": 6, "sessions": [{**WALK, "backward_share": share, **session}]}]}


def expected_eta(run: Scenario, arm: int, draw: int, k: int, member: int) -> np.ndarray:
    """Link-scale values of one member by the slow reference of `retrowalk.model.reference`."""
    prepared = prepare(run)
    people = recruit(run, 0)
    plan, measure, p = prepared.arms[arm], prepared.measures[k], prepared.parameters
    attended, _ = presence(people, plan, run)
    z = response_z(run.seed, 0, 0, people.size, measure.slot)[member]
    response = arm_response(
        plan.loads, plan.days, [modalities()[c].group for c in p.components], p.gain[draw, :, k],
        p.response_sd[draw, k] * z, p.fatigue_fraction[draw, k],
        p.tau_fitness[draw, k], p.tau_fatigue[draw, k],
        p.dose_exponent[draw], measure.typical_sd, attended[:, member] > 0, run.assess.days,
        run.model.impulse,
    )  # fmt: skip
    return people.members(measure, 0).start[member] + response


@pytest.mark.parametrize("convention", ["next_day", "same_day"])
def test_members_equal_the_slow_reference(convention: str) -> None:
    run = scenario(record="members", model={"impulse": convention})
    result = retrowalk.simulate(run)
    for k, name in enumerate(run.outcomes):
        outcome = outcomes()[name]
        link = Link(outcome.link, outcome.lower, outcome.upper)
        for member in (0, 17, 59):
            found = link.forward(result[name].isel(draw=2, replicate=0, arm=1, member=member).values)
            np.testing.assert_allclose(found, expected_eta(run, 1, 2, k, member), rtol=2e-5, atol=2e-5)


FAMILIES: list[dict[str, Any]] = [
    {"family": "one_component"},
    {"family": "banister", "hill": {"maximum": 2.0, "half_load": 1.5, "exponent": 1.3}},
    {"family": "fitness_delay", "tau_delay": 4.0},
    {"family": "variable_dose", "tau_gain": 9.0, "form": "inclusive"},
    {"family": "variable_dose", "tau_gain": 9.0, "form": "exclusive"},
    {"family": "variable_dose", "tau_gain": 9.0, "form": "filter"},
]


@pytest.mark.parametrize("impulse_convention", ["next_day", "same_day"])
@pytest.mark.parametrize("model", FAMILIES, ids=lambda model: "-".join(map(str, model.values()))[:40])
def test_every_family_equals_its_direct_sums(model: dict[str, Any], impulse_convention: str) -> None:
    """A pure arm with everybody present and no spread of responses is the plain model times a gain."""
    run = scenario(
        model={**model, "impulse": impulse_convention},
        record="trajectories",
        adherence={"attendance": 1, "dropout_per_week": 0},
        arms={"rest": {"phases": [{"weeks": 6}]}, "walk": walking(1.0)},
    )
    prepared = prepare(run)
    result = retrowalk.simulate(run)
    plan, p, convention = prepared.arms[1], prepared.parameters, prepared.convention
    k, draw, cell = 1, 1, p.components.index("walk_backward")
    gamma = None if convention.hill else p.dose_exponent[draw]
    groups = [modalities()[component].group for component in p.components]
    weighed = impulse(plan.loads, groups, gamma=gamma, hill=convention.hill)[:, cell]
    load = np.zeros(64)
    load[plan.days] = weighed
    tau = {"tau_fitness": p.tau_fitness[draw, k]}
    if convention.family != "one_component":
        tau |= {"tau_fatigue": p.tau_fatigue[draw, k]}
    own = {name: getattr(convention, name) for name in ("tau_delay", "tau_gain") if getattr(convention, name)}
    G, H = reference_sums(**tau, model=convention.family, impulse=impulse_convention, form=convention.form,
                          hill=convention.hill, **own)  # fmt: skip
    f = 0.0 if convention.family == "one_component" else p.fatigue_fraction[draw, k]
    gains = {"gain_fitness": 1 / G} | ({"gain_fatigue": f / H} if f else {})
    form = {"form": convention.form} if convention.family == "variable_dose" else {}
    curve = reference.fitness_fatigue(
        load, model=convention.family, impulse=impulse_convention, **gains, **tau, **own, **form
    ).response
    people = recruit(run, 0)
    z = people.members(prepared.measures[k], 0).z.astype(float)
    R = p.gain[draw, cell, k] + p.response_sd[draw, k] * z
    eta = (
        people.members(prepared.measures[k], 0).start[:, None]
        + prepared.measures[k].typical_sd / (1 - f) * R[:, None] * curve[None, :]
    )
    found = np.log(result["walking_speed"].isel(draw=draw, replicate=0, arm=1).values)
    np.testing.assert_allclose(found, eta, rtol=1e-4, atol=1e-4)


def test_nonlinear_reaches_the_net_response_and_refuses_a_step_below_zero() -> None:
    model = {"family": "nonlinear", "exponent_fitness": 1.2, "exponent_fatigue": 1.0}
    run = scenario(
        model=model, record="members", arms={"walk": walking(0.0, speed=1.0)},
        assess={"weeks": [0, 6]}, adherence={"attendance": 1, "dropout_per_week": 0},
    )  # fmt: skip
    prepared = prepare(run)
    result = retrowalk.simulate(run)
    members, p = recruit(run, 0).members(prepared.measures[1], 0), prepared.parameters
    response = np.log(result["walking_speed"].isel(draw=0, replicate=0, arm=0, day=1)) - members.start
    R = p.gain[0, 0, 1] + p.response_sd[0, 1] * members.z
    np.testing.assert_allclose(response / prepared.measures[1].typical_sd, R, rtol=1e-3, atol=1e-3)
    wild = scenario(model={**model, "exponent_fitness": 0.05, "tau_fitness": 2.0, "tau_fatigue": 2.0})
    with pytest.raises((RunError, InputError), match="below zero"):
        retrowalk.simulate(wild)


def slow_statistics(members: xr.Dataset, name: str) -> dict[str, np.ndarray]:
    true, seen = members[name].astype("f8"), members[f"{name}_observed"].astype("f8")
    here = seen.notnull()
    change = (true - true.isel(day=0)).where(here)
    noted = (seen - seen.isel(day=0)).where(here)
    sign = -1 if true.attrs["better"] == "lower" else 1
    minimum = true.attrs["minimal_important_change"] - 1e-3 * true.attrs["resolution"]
    past, seen_past = sign * change >= minimum, sign * noted >= minimum
    number = here.sum("member")
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    return {
        "": np.stack([true.where(here).mean("member"), true.where(here).std("member", ddof=1)], axis=-2),
        "_change": np.stack([change.mean("member"), change.std("member", ddof=1)], axis=-2),
        "_observed_change": np.stack([noted.mean("member"), noted.std("member", ddof=1)], axis=-2),
        "_quantile": true.where(here).quantile(quantiles, "member").transpose(..., "quantile", "day").values,
        "_change_quantile": change.quantile(quantiles, "member").transpose(..., "quantile", "day").values,
        "_responders": np.stack(
            [x.sum("member") / number for x in (past, seen_past, seen_past & ~past)], axis=-2
        ),
    }


@pytest.mark.parametrize("size", [1, 2, 61, 700])
def test_statistics_in_the_kernel_equal_those_over_members(size: int) -> None:
    population = {"preset": "knee_oa", "size": size}
    summary = retrowalk.simulate(scenario(population=population))
    members = retrowalk.simulate(scenario(population=population, record="members"))
    for name in ("knee_pain", "walking_speed"):
        # Quantiles of more than 256 members are counted in buckets of at most 1/64 SD.
        spread = summary[name].sel(statistic="sd").values.max() if size > 256 else 0.0
        for ending, values in slow_statistics(members, name).items():
            bucket = spread / 64 if "quantile" in ending else 0.0
            np.testing.assert_allclose(
                summary[name + ending].values, values, rtol=2e-5, atol=2e-5 + bucket, err_msg=name + ending
            )
    np.testing.assert_array_equal(
        summary["assessed"], members["knee_pain_observed"].isel(draw=0).notnull().sum("member")
    )


@pytest.mark.parametrize(
    "model", [{"family": "banister"}, *FAMILIES[2:5], {"family": "nonlinear", "exponent_fitness": 1.2}],
    ids=lambda model: "-".join(map(str, model.values())),
)  # fmt: skip
def test_threads_change_no_bit(model: dict[str, Any]) -> None:
    run = scenario(population={"preset": "knee_oa", "size": 600}, draws=60, model=model)
    one, two = retrowalk.simulate(run, threads=1), retrowalk.simulate(run, threads=2)
    xr.testing.assert_identical(one, two)


def test_same_seed_same_bits_other_seed_other_people() -> None:
    run = scenario()
    xr.testing.assert_identical(retrowalk.simulate(run), retrowalk.simulate(run))
    other = retrowalk.simulate(run, seed=8)
    assert not np.array_equal(other["knee_pain"], retrowalk.simulate(run)["knee_pain"])
    assert json.loads(other.attrs["scenario"])["seed"] == 8


def test_shares_zero_and_one_are_the_pure_arms_bit_for_bit() -> None:
    arms = {"forward": walking(0.0), "mixed": walking(0.5), "backward": walking(1.0)}
    result = retrowalk.simulate(scenario(arms=arms, record="members"))
    alone = retrowalk.simulate(scenario(arms={"backward": walking(1.0)}, record="members"))
    np.testing.assert_array_equal(
        result["knee_pain"].sel(arm="backward"), alone["knee_pain"].sel(arm="backward")
    )
    low = np.minimum(result["knee_pain"].sel(arm="forward"), result["knee_pain"].sel(arm="backward"))
    high = np.maximum(result["knee_pain"].sel(arm="forward"), result["knee_pain"].sel(arm="backward"))
    mixed = result["knee_pain"].sel(arm="mixed")
    assert bool(((mixed >= low - 1e-5) & (mixed <= high + 1e-5)).all())


def test_equal_gains_make_a_mix_equal_the_pure_arm() -> None:
    gains = [
        {
            "modality": "walk",
            "direction": way,
            "outcome": "knee_pain",
            "mean": -0.4,
            "sd": 0.0,
            "source": "own",
        }
        for way in ("forward", "backward")
    ]
    arms = {"forward": walking(0.0, speed=1.0), "mixed": walking(0.37, speed=1.0)}
    result = retrowalk.simulate(scenario(arms=arms, gains=gains, outcomes=["knee_pain"], record="members"))
    np.testing.assert_allclose(
        result["knee_pain"].sel(arm="mixed"), result["knee_pain"].sel(arm="forward"), rtol=1e-5
    )
    assert (
        result["knee_pain_grade"].attrs["flag_meanings"].split()[int(result["knee_pain_grade"][0])] == "user"
    )


def test_a_larger_cohort_begins_with_the_same_members() -> None:
    small = retrowalk.simulate(scenario(record="members"))
    large = retrowalk.simulate(scenario(record="members", population={"preset": "knee_oa", "size": 130}))
    for name in ("knee_pain", "knee_pain_observed", "walking_speed"):
        np.testing.assert_array_equal(small[name], large[name].isel(member=slice(60)))


def test_adding_arms_or_outcomes_moves_no_other_number() -> None:
    base = scenario()
    more = scenario(
        outcomes=["knee_pain", "balance", "walking_speed"],
        arms={**base.model_dump(mode="json", exclude_defaults=True)["arms"], "back": walking(1.0)},
    )
    first, second = retrowalk.simulate(base), retrowalk.simulate(more)
    for name in ("knee_pain", "knee_pain_observed_change", "walking_speed_quantile"):
        np.testing.assert_array_equal(first[name], second[name].sel(arm=first["arm"].values))


def test_separate_people_differ_between_arms_and_replicates() -> None:
    arms = {"one": walking(0.0), "two": walking(0.0)}
    shared = retrowalk.simulate(scenario(arms=arms))
    np.testing.assert_array_equal(shared["knee_pain"].sel(arm="one"), shared["knee_pain"].sel(arm="two"))
    trial = retrowalk.simulate(scenario(arms=arms, replicates=3))
    level = trial["knee_pain"].sel(statistic="mean", day=0).isel(draw=0)
    assert len(np.unique(level)) == 6
    again = retrowalk.simulate(scenario(arms={**arms, "three": walking(1.0)}, replicates=5))
    np.testing.assert_array_equal(
        trial["knee_pain"], again["knee_pain"].isel(replicate=slice(3), arm=slice(2))
    )


def test_attendance_zero_is_no_training() -> None:
    never = retrowalk.simulate(scenario(adherence={"attendance": 0}))
    np.testing.assert_array_equal(never["knee_pain"].sel(arm="walk"), never["knee_pain"].sel(arm="rest"))
    assert not never["knee_pain_change"].sel(arm="rest", statistic="mean").values.any()


def test_dropouts_are_missing_unless_they_stay_assessed() -> None:
    gone = retrowalk.simulate(scenario(adherence={"dropout_per_week": 0.2}))
    number = gone["assessed"].sel(arm="walk").values[0]
    assert number[0] == 60
    assert np.all(np.diff(number) < 0)
    kept = retrowalk.simulate(scenario(adherence={"dropout_per_week": 0.2, "dropout": "stay_assessed"}))
    assert np.all(kept["assessed"] == 60)


def test_inclusion_limits_bound_the_true_baseline() -> None:
    population = {"preset": "knee_oa", "size": 200, "include": {"knee_pain": {"min": 4, "max": 6}}}
    start = retrowalk.simulate(scenario(population=population, record="members"))["knee_pain"].sel(day=0)
    assert float(start.min()) >= 4 - 1e-5
    assert float(start.max()) <= 6 + 1e-5


def test_own_baseline_is_met_and_labelled() -> None:
    population = {
        "preset": "knee_oa",
        "size": 40000,
        "baseline": {"knee_pain": {"mean": 4.0, "sd": 1.2, "source": "pilot"}},
    }
    result = retrowalk.simulate(scenario(population=population))
    level = result["knee_pain"].isel(draw=0, replicate=0, arm=0).sel(day=0)
    assert abs(float(level.sel(statistic="mean")) - 4.0) < 0.06
    assert abs(float(level.sel(statistic="sd")) - 1.2) < 0.05
    flag = result["knee_pain_baseline_status"]
    assert flag.attrs["flag_meanings"].split()[int(flag)] == "user"
    assert "pilot" in result["knee_pain"].attrs["references"]


def test_unknown_baseline_is_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match="no baseline of 'knee_pain'"):
        retrowalk.simulate(scenario(population={"preset": "school_boys", "size": 5}, outcomes=["knee_pain"]))


def test_true_values_stay_inside_bounds_and_observed_inside_the_instrument() -> None:
    gains = [
        {
            "modality": "walk",
            "direction": "backward",
            "outcome": "knee_pain",
            "mean": -9.0,
            "sd": 5.0,
            "source": "wild",
        }
    ]
    result = retrowalk.simulate(
        scenario(gains=gains, record="trajectories", arms={"back": walking(1.0, minutes=300)})
    )
    pain, seen = result["knee_pain"].values, result["knee_pain_observed"].values
    assert pain.min() >= 0
    assert pain.max() <= 10
    assert np.nanmin(seen) >= 0
    assert np.nanmax(seen) <= 10
    step = outcomes()["knee_pain"].resolution
    np.testing.assert_allclose(
        seen[np.isfinite(seen)] / step, np.round(seen[np.isfinite(seen)] / step), atol=1e-4
    )


SWEPT = {
    "arms.walk.phases.0.sessions.0.backward_share": [0, 0.5, 1],
    "arms.walk.phases.0.sessions.0.minutes": [10, 20],
}


def test_each_case_of_a_sweep_is_the_same_scenario_run_alone(tmp_path: Any) -> None:
    result = retrowalk.sweep(scenario(sweep=SWEPT), store=tmp_path / "out.zarr")
    assert result.sizes["case"] == 6
    arms = scenario().model_dump(mode="json", exclude_defaults=True)["arms"]
    arms["walk"]["phases"][0]["sessions"][0] |= {"backward_share": 1, "minutes": 10}
    alone = retrowalk.simulate(scenario(arms=arms))
    case = result.isel(case=4)
    assert (float(case["backward_share"]), float(case["minutes"])) == (1.0, 10.0)
    for name in alone.data_vars:
        np.testing.assert_array_equal(case[name].values, alone[name].values, err_msg=str(name))


def test_chunks_of_a_sweep_change_no_bit() -> None:
    run = scenario(sweep=SWEPT)
    whole = compute(cases(run), run, count=6).to_xarray()
    parts = [compute(cases(run, i, i + n), run, count=n, threads=1).to_xarray() for i, n in ((0, 4), (4, 2))]
    for name in whole.data_vars:
        together = np.concatenate([part[name].values for part in parts])
        np.testing.assert_array_equal(whole[name].values, together, err_msg=str(name))


def test_to_grid_gives_one_dim_per_axis_in_the_scenario_order(tmp_path: Any) -> None:
    result = retrowalk.sweep(scenario(sweep=SWEPT), store=tmp_path / "out.zarr")
    grid = retrowalk.to_grid(result)
    assert list(grid["knee_pain"].dims)[:2] == ["backward_share", "minutes"]
    np.testing.assert_array_equal(grid["minutes"], [10, 20])
    np.testing.assert_array_equal(
        grid["knee_pain"].sel(backward_share=1, minutes=10), result["knee_pain"].isel(case=4)
    )
    assert grid["minutes"].attrs["units"] == "min"


def test_to_grid_refuses_what_is_no_grid(tmp_path: Any) -> None:
    swept = {"latin_hypercube": 5, "over": {"arms.walk.phases.0.sessions.0.minutes": [5, 40]}}
    result = retrowalk.sweep(scenario(sweep=swept), store=tmp_path / "out.zarr")
    assert result.sizes["case"] == 5
    with pytest.raises(InputError, match="flat case dim"):
        retrowalk.to_grid(result.isel(case=[0, 0, 1]))
    with pytest.raises(InputError, match="no case dim"):
        retrowalk.to_grid(result.isel(case=0))


def test_result_carries_units_grades_and_provenance() -> None:
    result = retrowalk.simulate(scenario())
    for name, variable in result.variables.items():
        assert "long_name" in variable.attrs, name
        assert "units" in variable.attrs or variable.dtype.kind == "U", name
    provenance = json.loads(result.attrs["provenance"])
    assert provenance["digest"] == scenario().digest()
    assert len(provenance["parameters"]["digest"]) == 64
    assert "professional" in result.attrs["comment"]


def test_grades_of_arms_and_of_what_they_do_beyond_the_reference() -> None:
    physio = {"modality": "physiotherapy", "per_week": 3, "minutes": 30}
    arms = {
        "usual": {"phases": [{"weeks": 6, "sessions": [physio]}]},
        "backward": {"phases": [{"weeks": 6, "sessions": [physio, {**WALK, "backward_share": 1}]}]},
        "rowing": {
            "phases": [{"weeks": 6, "sessions": [{"modality": "rowing", "per_week": 1, "minutes": 9}]}]
        },
        "rest": {"phases": [{"weeks": 6}]},
    }
    result = retrowalk.simulate(scenario(arms=arms, outcomes=["knee_pain"]))

    def words(name: str) -> list[str]:
        meanings = result[name].attrs["flag_meanings"].split()
        return [meanings[value] for value in result[name].values]

    assert words("knee_pain_grade")[2:] == ["none", "untrained"]
    assert words("knee_pain_difference_grade")[:3] == ["untrained", "add_on", "none"]


def test_a_reading_that_equals_the_minimal_important_change_has_reached_it() -> None:
    result = retrowalk.simulate(scenario(outcomes=["timed_up_and_go", "disability"], record="members"))
    summary = retrowalk.simulate(scenario(outcomes=["timed_up_and_go", "disability"]))
    for name in ("timed_up_and_go", "disability"):
        seen = result[f"{name}_observed"].astype("f8")
        facts = seen.attrs
        steps = ((seen.isel(day=0) - seen) / facts["resolution"]).round()
        wanted = int(np.ceil(facts["minimal_important_change"] / facts["resolution"] - 1e-6))
        share = (steps >= wanted).where(seen.notnull()).mean("member")
        np.testing.assert_allclose(summary[f"{name}_responders"].sel(kind="observed"), share, atol=1e-6)


SHARE = "arms.walk.phases.0.sessions.0.backward_share"
AXES: dict[str, Any] = {
    SHARE: [0.0, 0.3, 1.0],
    "arms.walk.phases.0.sessions.0.per_week": [2, 3],
    "population.preset": ["knee_oa", "older_adults"],
}


def filled(run: Scenario, start: int, stop: int, threads: int) -> dict[str, np.ndarray]:
    shape = Shape.of(run)
    arrays = allocate(shape, stop - start)
    work(pieces_of(cases(run, start, stop), shape, arrays), threads, stop - start)
    return arrays


def test_cases_give_the_same_bits_alone_and_together() -> None:
    run = scenario(
        sweep=AXES, outcomes=["walking_speed", "balance"], population={"preset": "knee_oa", "size": 300}
    )
    every = filled(run, 0, 12, threads=2)
    for number in range(12):
        alone = filled(run, number, number + 1, threads=1)
        for name, values in every.items():
            np.testing.assert_array_equal(values[number], alone[name][0], err_msg=name)


def test_only_cases_that_differ_in_loads_run_together() -> None:
    """Shares may differ; the preset and the days of training may not."""

    def groups(**changes: Any) -> list[int]:
        run = scenario(outcomes=["walking_speed"], **changes)
        return [len(group) for group in together(prepare(case.scenario) for case in cases(run))]

    assert sum(groups(sweep=AXES)) == 12
    assert groups(sweep={SHARE: AXES[SHARE]}) == [3]
    assert groups(sweep={"population.preset": AXES["population.preset"]}) == [1, 1]


def test_a_removed_setting_is_named() -> None:
    with pytest.raises(InputError, match="superposition: was removed"):
        scenario(model={"superposition": False})


def test_more_members_than_are_held_at_once_have_the_statistics_of_all() -> None:
    changes: dict[str, Any] = {
        "population": {"preset": "knee_oa", "size": 70_000}, "draws": 1, "outcomes": ["walking_speed"],
        "adherence": {"dropout_per_week": 0.05}, "arms": {"walk": walking(0.5)},
    }  # fmt: skip
    summary, members = (
        retrowalk.simulate(scenario(**changes)),
        retrowalk.simulate(scenario(**changes, record="members")),
    )
    spread = summary["walking_speed"].sel(statistic="sd").values.max()
    for ending, values in slow_statistics(members, "walking_speed").items():
        bucket = spread / 64 if "quantile" in ending else 0.0
        found = summary["walking_speed" + ending].values
        np.testing.assert_allclose(found, values, rtol=2e-5, atol=2e-5 + bucket, err_msg=ending)
