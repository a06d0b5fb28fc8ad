"""The public call: laws of the model, kinds of arrays, and refusals with a sentence."""

import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import dask
import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retrowalk.errors import InputError
from retrowalk.model.family import FAMILIES, PARAMETERS, FamilyName
from retrowalk.response.training_response import Options, fitness_fatigue, training_balance

#: The first example of a law compiles a kernel, which no deadline should count.
law = settings(deadline=None)

P = {"gain_fitness": 1.1, "tau_fitness": 25.0, "gain_fatigue": 1.3, "tau_fatigue": 5.0}
EXTRA = {
    "one_component": {}, "banister": {}, "fitness_delay": {"tau_delay": 3.0},
    "variable_dose": {"tau_gain": 4.0}, "nonlinear": {"exponent_fitness": 1.1, "exponent_fatigue": 0.9},
}  # fmt: skip


def arguments(model, **changes):
    """Arguments of `model`, of P and EXTRA, and changes to them."""
    call = {"model": model, **P, **EXTRA[model], **changes}
    absent = {"gain_fatigue", "tau_fatigue"} if model == "one_component" else set()
    return {name: value for name, value in call.items() if name not in absent}


loads = hnp.arrays(float, st.integers(0, 40), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0, 1000.0]))
taus = st.sampled_from([0.1, 1.0, 5.0, 5.0, 42.0, 1000.0])
gains = st.floats(-3, 3)
impulses = st.sampled_from(["same_day", "next_day"])


@st.composite
def linear_calls(draw):
    model = draw(st.sampled_from([name for name, row in FAMILIES.items() if row.linear]))
    values = {name: draw(taus if name.startswith("tau") else gains) for name in FAMILIES[model].parameters}
    return {"model": model, "impulse": draw(impulses), **values}


@st.composite
def calls(draw):
    """Any model; the non-linear one with parameters whose steps stay above zero."""
    model = draw(st.sampled_from(list(FAMILIES)))
    call = arguments(model, impulse=draw(impulses))
    if model == "nonlinear":
        call |= {"exponent_fitness": 1.0, "exponent_fatigue": 0.7, "tau_fatigue": 50.0}
    if model == "variable_dose":
        call["form"] = draw(st.sampled_from(["inclusive", "exclusive", "filter"]))
    return call


@law
@given(calls(), st.integers(0, 20))
def test_no_load_no_response(call, days):
    assert np.array_equal(fitness_fatigue(np.zeros(days), **call), np.zeros(days))


@law
@given(linear_calls(), loads, st.floats(0, 5), st.data())
def test_linear_models_superpose_and_scale(call, load, factor, data):
    other = data.draw(hnp.arrays(float, load.shape, elements=st.sampled_from([0.0, 1.0, 3.0])))
    together = fitness_fatigue(load + factor * other, **call)
    apart = fitness_fatigue(load, **call) + factor * fitness_fatigue(other, **call)
    total = np.sum(load + factor * other) * 6.0
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-13 * total * 3 + 1e-300)


@law
@given(calls(), loads, st.integers(0, 9))
def test_a_later_start_only_shifts(call, load, rest):
    later = fitness_fatigue(np.concatenate([np.zeros(rest), load]), **call)
    np.testing.assert_array_equal(later[rest:], fitness_fatigue(load, **call))


@law
@given(calls(), loads.filter(len), st.data())
def test_a_load_changes_no_day_before_it(call, load, data):
    day = data.draw(st.integers(0, load.size - 1))
    changed = load.copy()
    changed[day] += 1.0
    before, after = fitness_fatigue(load, **call), fitness_fatigue(changed, **call)
    untouched = day if call["impulse"] == "same_day" else day + 1
    np.testing.assert_array_equal(before[:untouched], after[:untouched])


@law
@given(calls(), st.integers(2, 9))
def test_same_day_counts_at_once_and_next_day_does_not(call, days):
    load = np.zeros(days)
    load[1] = 1.0
    same = fitness_fatigue(load, **{**call, "impulse": "same_day"})
    later = fitness_fatigue(load, **{**call, "impulse": "next_day"})
    assert same[0] == later[0] == later[1] == 0.0
    assert same[1] != 0.0 or call["model"] == "fitness_delay"


@law
@given(linear_calls(), loads.filter(len))
def test_after_the_last_load_the_response_fades_at_least_as_fast_as_the_slowest_state(call, load):
    rested = np.concatenate([load, np.zeros(30)])
    positive = {name: abs(value) if name.startswith("gain") else value for name, value in call.items()}
    level = sum(
        fitness_fatigue(
            rested, model="one_component", impulse=call["impulse"], gain_fitness=gain, tau_fitness=tau
        )
        for gain, tau in _terms(positive)
    )
    slowest = max(value for name, value in call.items() if name.startswith("tau"))
    start = load.size  # the first day on which both conventions hold every load
    bound = level[start] * np.exp(-np.arange(30) / slowest)
    assert np.all(np.abs(fitness_fatigue(rested, **call)[start:]) <= bound * (1 + 1e-12) + 1e-300)


def _terms(call):
    yield call["gain_fitness"], call["tau_fitness"]
    if "gain_fatigue" in call:
        yield call["gain_fatigue"], call["tau_fatigue"]
    if "tau_delay" in call:
        yield call["gain_fitness"], call["tau_delay"]


@law
@given(linear_calls(), st.integers(1, 30), gains)
def test_initial_states_fade_with_their_own_time_constants_whatever_the_gains(call, days, gain):
    state = {"initial_fitness": 3.0}
    if call["model"] != "one_component":
        state["initial_fatigue"] = 2.0
        call = {**call, "gain_fatigue": gain}
    got = fitness_fatigue(np.zeros(days), components=True, **{**call, "gain_fitness": gain}, **state)
    n = np.arange(1, days + 1)
    np.testing.assert_allclose(
        got["fitness"], 3.0 * np.exp(-n / call["tau_fitness"]), rtol=1e-12, atol=1e-290
    )
    if "initial_fatigue" in state:
        np.testing.assert_allclose(
            got["fatigue"], 2.0 * np.exp(-n / call["tau_fatigue"]), rtol=1e-12, atol=1e-290
        )


@law
@given(calls(), loads)
def test_times_of_a_daily_grid_change_nothing(call, load):
    days = np.arange(load.size) + 17
    np.testing.assert_array_equal(fitness_fatigue(load, times=days, **call), fitness_fatigue(load, **call))


@law
@given(linear_calls(), loads.filter(len))
def test_irregular_times_agree_with_the_grid_they_lie_on(call, load):
    days = np.flatnonzero(load > 0)
    whole = fitness_fatigue(load, **call)[days]
    sparse = fitness_fatigue(load[days], times=days, **call)
    np.testing.assert_allclose(sparse, whole, rtol=0, atol=1e-11 * load.sum() + 1e-300)


@pytest.mark.parametrize("model", ["banister", "variable_dose"])
def test_loads_at_one_time_count_as_one(model):
    call = {"model": model, "hill": (3.0, 1.0, 2.0), **EXTRA[model], **P}
    split = fitness_fatigue([1.0, 0.5, 0.5, 2.0], times=[0, 1.5, 1.5, 4], **call)
    whole = fitness_fatigue([1.0, 1.0, 2.0], times=[0, 1.5, 4], **call)
    np.testing.assert_array_equal(split, whole[[0, 1, 1, 2]])


def test_models_that_step_by_the_day_fill_the_days_between_and_refuse_fractions():
    call = {"model": "variable_dose", "form": "filter", "tau_gain": 4.0, **P}
    sparse = fitness_fatigue([1.0, 2.0], times=[3, 6], **call)
    np.testing.assert_array_equal(sparse, fitness_fatigue([1.0, 0, 0, 2.0], **call)[[0, 3]])
    with pytest.raises(
        InputError, match=r"times is 6\.5 at index 1; model 'variable_dose' in its filter form steps"
    ):
        fitness_fatigue([1.0, 2.0], times=[3, 6.5], **call)


def test_saturation_is_the_hill_curve_and_survives_extreme_loads():
    call = {"model": "one_component", "impulse": "same_day", "gain_fitness": 1.0, "tau_fitness": 1e-3}
    got = fitness_fatigue([0.0, 1e-300, 2.0, 1e6, 1e300], hill=(6.0, 2.0, 3.0), **call)
    np.testing.assert_allclose(got, [0.0, 0.0, 3.0, 6.0, 6.0], rtol=1e-15, atol=1e-300)


# ---- kinds of arrays


@pytest.fixture
def cohort():
    rng = np.random.default_rng(5)
    coords = {"member": [10, 11, 12], "day": np.arange(40)}
    load = xr.DataArray(rng.gamma(2, 1, (3, 40)), coords=coords, dims=["member", "day"])
    gain = xr.DataArray([1.0, 1.1, 1.2], coords={"member": [10, 11, 12]}, dims="member")
    tau = xr.DataArray([20.0, 30.0], dims="draw")
    return load, {**P, "gain_fitness": gain, "tau_fitness": tau}


@pytest.mark.parametrize("model", list(FAMILIES))
def test_labelled_lazy_and_plain_calls_agree_bit_for_bit(cohort, model):
    load, p = cohort
    call = arguments(model, **p)
    got = fitness_fatigue(load, **call)
    assert got.dims == ("draw", "member", "day")
    assert got.name == "response"
    xr.testing.assert_equal(got.member, load.member)
    for draw in range(2):
        for member in range(3):
            one = {**call, "gain_fitness": 1.0 + member / 10, "tau_fitness": 20.0 + 10 * draw}
            np.testing.assert_array_equal(got[draw, member], fitness_fatigue(load.values[member], **one))
    lazy = fitness_fatigue(load.chunk(member=2, day=7), **call)
    assert dask.is_dask_collection(lazy)
    xr.testing.assert_identical(lazy.compute(scheduler="threads"), got)
    by_position = fitness_fatigue(
        load.values,
        **{**call, "gain_fitness": p["gain_fitness"].values, "tau_fitness": p["tau_fitness"].values[:, None]},
    )
    assert isinstance(by_position, np.ndarray)
    np.testing.assert_array_equal(by_position, got)


def test_components_come_as_a_dataset(cohort):
    load, p = cohort
    got = fitness_fatigue(load.T, components=True, baseline=50.0, **p)
    assert list(got.data_vars) == ["fitness", "fatigue", "response"]
    assert got.response.dims == ("draw", "day", "member")
    xr.testing.assert_equal(got.response, 50.0 + got.fitness - got.fatigue)
    plain = fitness_fatigue(load.values, components=True, baseline=50.0, **P)
    assert plain.response.dims == ("dim_0", "day")
    np.testing.assert_array_equal(plain.response, fitness_fatigue(load.values, baseline=50.0, **P))


def test_a_bare_lazy_array_stays_one(cohort):
    load, _ = cohort
    lazy = fitness_fatigue(dask.array.from_array(load.values, chunks=(2, 10)), **P)
    assert isinstance(lazy, dask.array.Array)
    np.testing.assert_array_equal(lazy.compute(), fitness_fatigue(load.values, **P))


def test_one_plain_load_serves_labelled_parameters(cohort):
    load, p = cohort
    got = fitness_fatigue(list(load.values[0]), **p)
    assert got.dims == ("member", "draw", "day")


@pytest.mark.parametrize("model", list(FAMILIES))
def test_threads_change_no_bit(model):
    rng = np.random.default_rng(8)
    load = rng.gamma(2, 1, (64, 90))
    call = arguments(model)
    alone = fitness_fatigue(load, **call)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda rows: fitness_fatigue(rows, **call), np.split(load, 16)))
    np.testing.assert_array_equal(np.concatenate(parts), alone)


@pytest.mark.parametrize("model", list(FAMILIES))
@pytest.mark.parametrize("hill", [None, (5.0, 2.0, 1.5)])
def test_float32_is_float64_rounded_once(model, hill):
    load = np.random.default_rng(9).gamma(2, 1, (20, 200)).astype(np.float32)
    call = arguments(model, hill=hill, baseline=10.0)
    narrow, wide = fitness_fatigue(load, **call), fitness_fatigue(load.astype(float), **call)
    assert narrow.dtype == np.float32
    assert np.all(np.abs(narrow - wide) <= 2.0**-24 * np.abs(wide) + 1e-45)


def test_integers_and_empty_arrays():
    assert fitness_fatigue([], **P).shape == (0,)
    assert fitness_fatigue(np.zeros((0, 4)), **P).shape == (0, 4)
    assert fitness_fatigue(np.zeros((3, 0)), **P, components=True).response.shape == (3, 0)
    assert fitness_fatigue([1, 2], **P).dtype == np.float64
    assert fitness_fatigue(xr.DataArray(np.zeros((2, 0)), dims=["member", "day"]), **P).shape == (2, 0)


def test_import_loads_neither_compiler_nor_labels():
    heavy = "{'numba', 'xarray', 'pandas', 'scipy'}"
    code = f"import sys, retrowalk.response.training_response; print(*{heavy} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "\n"
    )


# ---- missing days


def test_a_missing_load_is_refused_or_zero_on_request():
    load = [1.0, np.nan, 2.0]
    with pytest.raises(
        InputError, match=r"load is missing \(NaN\) at index 1; give a load or pass missing='zero'"
    ):
        fitness_fatigue(load, **P)
    np.testing.assert_array_equal(
        fitness_fatigue(load, missing="zero", **P), fitness_fatigue([1.0, 0, 2.0], **P)
    )
    assert np.isnan(load[1])


@pytest.mark.parametrize("model", list(FAMILIES))
def test_an_absent_day_is_refused_or_zero_on_request(model):
    call = arguments(model)
    full = xr.DataArray([1.0, 3.0, 0.0, 0.0, 2.0, 1.0], dims="day", coords={"day": np.arange(4, 10)})
    gappy = full.isel(day=[0, 1, 4, 5])
    with pytest.raises(InputError, match="day goes from 5 at index 1 to 8; the days between have no load"):
        fitness_fatigue(gappy, **call)
    xr.testing.assert_identical(
        fitness_fatigue(gappy, missing="zero", **call), fitness_fatigue(full, **call).sel(day=gappy.day)
    )


def test_dates_are_days():
    dates = np.datetime64("2026-03-27") + np.arange(4)
    load = xr.DataArray([1.0, 2.0, 0.0, 1.0], dims="day", coords={"day": dates})
    np.testing.assert_array_equal(fitness_fatigue(load, **P), fitness_fatigue(load.values, **P))
    with pytest.raises(InputError, match=r"day goes from 2026-03-28.* at index 1 to 2026-03-30"):
        fitness_fatigue(load.isel(day=[0, 1, 3]), **P)
    np.testing.assert_array_equal(
        fitness_fatigue(load.values, times=dates, **P), fitness_fatigue(load.values, **P)
    )


def test_balance_of_the_day_before_looks_at_the_day_not_the_entry():
    load = xr.DataArray([100.0, 50.0, 0.0, 0.0, 80.0], dims="day", coords={"day": np.arange(5)})
    full, gappy = training_balance(load), training_balance(load.isel(day=[0, 1, 4]), missing="zero")
    xr.testing.assert_identical(gappy, full.isel(day=[0, 1, 4]))


def test_balance_takes_parameters_by_name():
    tau = xr.DataArray([5.0, 7.0], dims="athlete")
    got = training_balance([1.0, 2.0], tau_short=tau)
    assert set(got.atl.dims) == {"athlete", "day"}
    assert got.ctl.attrs["long_name"] == "chronic training load"
    with pytest.raises(InputError, match=r"tau_short is 1\.0; a daily step of 1/tau needs more than 1 day"):
        training_balance([1.0], tau_short=1.0, step="reciprocal")


# ---- refusals

GRID = xr.DataArray(np.ones((2, 3)), dims=["member", "day"], coords={"member": ["a", "b"]})
REFUSED = [
    ({"load": [1.0, -2.0]}, r"load is -2\.0 at index 1; it must be finite and not below 0"),
    ({"load": [[1.0, 1], [np.inf, 1]]}, r"load is inf at index \(1, 0\)"),
    ({"load": 3.0}, "load is 3.0; it must have at least one axis"),
    ({"load": ["much"]}, "load holds <U4 values; it must hold real numbers"),
    ({"load": GRID.to_dataset(name="w")}, "load is a Dataset; pass one of its variables"),
    ({"tau_fatigue": 0}, r"tau_fatigue is 0\.0; it must be a finite number of days above 0"),
    ({"tau_fitness": [5, np.nan]},
     r"tau_fitness is nan at index 1; it must be a finite number of days above 0"),
    ({"gain_fitness": np.inf}, r"gain_fitness is inf; it must be finite"),
    ({"baseline": "high"}, "baseline holds <U4 values"),
    ({"model": "banistre"}, "model is 'banistre'.*did you mean 'banister'"),
    ({"impulse": "today"}, "impulse is 'today'; it must be one of next_day, same_day"),
    ({"scaling": "mean"}, "scaling is 'mean'"),
    ({"missing": "drop"}, "missing is 'drop'; it must be one of error, zero"),
    ({"form": "filter"}, "form is 'filter'; only model 'variable_dose' has forms"),
    ({"tau_gain": 3.0}, "tau_gain is not a parameter of model 'banister'"),
    ({"gain_fatige": 3.0}, "gain_fatige is not a parameter.*did you mean 'gain_fatigue'"),
    ({"model": "fitness_delay"}, "tau_delay is not given; model 'fitness_delay' needs"),
    ({"model": "variable_dose", "tau_gain": 2.0, "form": "busso"},
     "form is 'busso'; it must be one of inclusive"),
    ({"model": "nonlinear", "scaling": "ewma", **EXTRA["nonlinear"]},
     "scaling is 'ewma'; model 'nonlinear' has no"),
    ({"model": "nonlinear", "initial_fitness": -1.0, **EXTRA["nonlinear"]},
     r"initial_fitness is -1\.0; it must be finite and not below 0"),
    ({"hill": (1.0, 2.0)}, r"hill is \(1\.0, 2\.0\); it must be \(maximum, half_load, exponent\)"),
    ({"hill": (1.0, 0.0, 2.0)}, r"hill half_load is 0\.0; it must be finite and above 0"),
    ({"times": [0, 1]}, r"times has shape \(2,\); it must be one-dimensional with 3 entries"),
    ({"times": [0, 2, 1]}, "times is 1 at index 2 after 2; it must increase"),
    ({"times": [0, np.nan, 1]}, "times is nan at index 1; it must be a finite number of days"),
    ({"gain_fitness": np.ones(2), "tau_fitness": np.ones(3)},
     r"tau_fitness has shape \(3,\), which does not broadcast"),
    ({"load": GRID, "dim": "time"}, "load has dimensions 'member', 'day'; dim='time' is none of them"),
    ({"load": GRID, "baseline": np.ones(2)}, r"baseline has shape \(2,\) without dimension names"),
    ({"load": np.ones((2, 3)), "baseline": GRID.isel(day=0)},
     r"load has shape \(2, 3\) without dimension names"),
    ({"load": GRID, "baseline": GRID},
     "baseline has dimension 'day'; a parameter must be the same on all days"),
    ({"load": GRID, "baseline": xr.DataArray(np.ones(3), dims="member")},
     "baseline has 3 entries along 'member' and load has 2; they must be equal"),
    ({"load": GRID, "baseline": xr.DataArray(np.ones(2), dims="member", coords={"member": ["a", "c"]})},
     "baseline is labelled c at index 1 of 'member' and load b"),
    ({"load": GRID.assign_coords(day=[0.5, 1.5, 2.5])},
     r"day is 0\.5 at index 0; a daily grid has whole days"),
    ({"load": GRID.assign_coords(day=[0, 1, 1.5])}, r"day is 1\.5 at index 2; a daily grid has whole days"),
    ({"load": GRID.assign_coords(day=[0, 2, 1])}, "day is 1 at index 2 after 2; it must increase"),
    ({"load": GRID.assign_coords(day=[0, 1, 1])},
     "day is 1 at index 2 after 1.*several sessions a day go through times="),
    ({"load": GRID.assign_coords(day=["x", "y", "z"])}, "day holds <U1 values"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_refusals_name_argument_value_and_index(change, sentence):
    call = {"load": [1.0, 2.0, 0.0], **P, **change}
    with pytest.raises(InputError, match=sentence) as caught:
        fitness_fatigue(call.pop("load"), **call)
    assert "\n" not in str(caught.value)


def test_one_component_has_no_fatigue_to_start_with():
    with pytest.raises(InputError, match=r"initial_fatigue is 2\.0; model 'one_component' has no fatigue"):
        fitness_fatigue([1.0], model="one_component", gain_fitness=1, tau_fitness=2, initial_fatigue=2.0)


def test_lazy_values_are_refused_when_they_are_computed():
    lazy = fitness_fatigue(GRID.where(GRID.member == "a").chunk(member=1), **P)
    with pytest.raises(InputError, match=r"load is missing \(NaN\) at index \(0, 0\) of its chunk"):
        lazy.compute(scheduler="sync")
    taus = xr.DataArray([5.0, -1.0], dims="draw").chunk()
    with pytest.raises(InputError, match=r"tau_fatigue is -1\.0 at index 1 of its chunk"):
        fitness_fatigue(GRID, **{**P, "tau_fatigue": taus}).compute(scheduler="sync")


# ---- pandas


def diary(days, loads=(1.0, 3.0, 0.0, 2.0)):
    return pd.Series(list(loads)[: len(days)], index=days, name="load")


@pytest.mark.parametrize(
    "days",
    [
        pd.date_range("2026-03-27", periods=4),
        pd.date_range("2026-03-27", periods=4, tz="Europe/Berlin"),
        pd.period_range("2026-03-27", periods=4, freq="D"),
        pd.Index(pd.date_range("2026-03-27", periods=4).date),
        pd.RangeIndex(4),
    ],
    ids=["dates", "across daylight saving", "periods", "date objects", "numbers"],
)
def test_a_series_comes_back_as_a_series_and_its_gaps_are_refused(days):
    load = diary(days)
    got = fitness_fatigue(load, **P)
    pd.testing.assert_series_equal(got, pd.Series(fitness_fatigue(load.to_numpy(), **P), index=days))
    with pytest.raises(InputError, match=r"day goes from .* at index 1 to .*; the days between have no load"):
        fitness_fatigue(load.iloc[[0, 1, 3]], **P)
    rested = fitness_fatigue(load.iloc[[0, 1, 3]], missing="zero", **P)
    pd.testing.assert_series_equal(rested, got.iloc[[0, 1, 3]])


def test_columns_of_a_frame_are_athletes():
    days = pd.date_range("2026-01-01", periods=5)
    frame = pd.DataFrame({"anna": [1, 2, 0, 1, 3], "ben": [0.5, 0, 0, 2, 2]}, index=days)
    got = fitness_fatigue(frame, **{**P, "gain_fitness": pd.Series({"anna": 1.0, "ben": 1.5})})
    for name, gain in (("anna", 1.0), ("ben", 1.5)):
        one = fitness_fatigue(frame[name].to_numpy(), **{**P, "gain_fitness": gain})
        np.testing.assert_array_equal(got[name], one)
    assert got.index.equals(days)
    pd.testing.assert_frame_equal(fitness_fatigue(frame, **{**P, "gain_fitness": [1.0, 1.5]}), got)
    parts = fitness_fatigue(frame, components=True, baseline=7.0, **P)
    assert list(parts.columns) == [
        (part, name) for part in ("fitness", "fatigue", "response") for name in frame
    ]
    np.testing.assert_allclose(parts["response"], 7.0 + parts["fitness"] - parts["fatigue"])
    assert list(fitness_fatigue(frame["ben"], components=True, **P)) == ["fitness", "fatigue", "response"]
    assert list(training_balance(frame["ben"])) == ["ctl", "atl", "tsb"]
    with pytest.raises(InputError, match=r"day goes from 2026-01-01.* at index 0 to 2026-01-03"):
        training_balance(frame.drop(index=days[1]))


@pytest.mark.parametrize(
    ("load", "change", "words"),
    [
        (diary(["2026-01-01", "2026-01-02"]), {}, "an index of text; turn it into dates with pandas"),
        (diary([0, 1]), {"gain_fitness": [1.0, 2.0]}, "with a pandas load a parameter is one number$"),
        (pd.DataFrame({"a": [1, 2], "b": [1, 1]}), {"gain_fitness": [1.0]},
         "one value for each of its 2 columns"),
        (pd.DataFrame({"a": [1, 2], "b": [1, 1]}), {"gain_fitness": pd.Series({"a": 1.0, "c": 2.0})},
         "gain_fitness is labelled c at index 1 of 'column' and load b"),
        (pd.Series(["x", "y"]), {}, "load holds"),
        (pd.Series([1, None], dtype="Int64"), {}, r"load is missing \(NaN\) at index 1"),
    ],
)  # fmt: skip
def test_bad_pandas_input_is_named(load, change, words):
    with pytest.raises(InputError, match=words):
        fitness_fatigue(load, **{**P, **change})


# ---- types

SNIPPET = """
import numpy as np
import pandas as pd
import xarray as xr
from retrowalk import fitness_fatigue

plain: np.ndarray = fitness_fatigue([1.0, 2.0], gain_fitness=1.0, tau_fitness=30, gain_fatigue=1)
array: np.ndarray = fitness_fatigue(np.ones((2, 3)), gain_fitness=np.ones(2), model="one_component")
named: xr.DataArray = fitness_fatigue(xr.DataArray([1.0]), gain_fitness=1.0, tau_fitness=30)
parts: xr.Dataset = fitness_fatigue([1.0], components=True, gain_fitness=1.0, tau_fitness=30)
diary: pd.Series = fitness_fatigue(pd.Series([1.0]), gain_fitness=1.0, tau_fitness=30, hill=(1.0, 2.0, 3.0))
group: pd.DataFrame = fitness_fatigue(pd.DataFrame({"a": [1.0]}), gain_fitness=1.0, tau_fitness=30)
"""
MISTAKES = [
    "fitness_fatigue([1.0], gain_fitnes=1.0)",
    'fitness_fatigue([1.0], model="bannister")',
    'fitness_fatigue(xr.DataArray([1.0]), impulse="today")',
    'fitness_fatigue(pd.Series([1.0]), scaling="mean")',
    'fitness_fatigue([1.0], missing="skip")',
    'fitness_fatigue([1.0], gain_fitness="1.0")',
    "wrong: xr.DataArray = fitness_fatigue([1.0], gain_fitness=1.0)",
]


def test_type_checkers_know_the_arguments_and_the_kind_of_the_result(tmp_path):
    pytest.importorskip("mypy")
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET + "\n".join(MISTAKES) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(tmp_path), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first = SNIPPET.count("\n") + 1
    errors = [line.removeprefix(str(file)) for line in done.stdout.splitlines() if ": error:" in line]
    blamed = {int(line.split(":")[1]) for line in errors}
    assert blamed == set(range(first, first + len(MISTAKES))), "\n".join(errors) or done.stderr


def test_names_for_type_checkers_are_those_of_the_tables():
    assert get_args(FamilyName) == tuple(FAMILIES)
    settings = {name for name in inspect.signature(fitness_fatigue).parameters if name != "components"}
    assert Options.__annotations__.keys() == settings - {"load", "parameters"} | PARAMETERS.keys()
