"""`summarize`: what is averaged over what, and what an interval is an interval of."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from report_factory import GRADES, grid, make_result
from retrowalk.errors import InputError
from retrowalk.report import summarize

DRAWS = np.linspace(-2.0, 0.0, 41)


def test_interval_over_draws_is_the_central_ninety_per_cent() -> None:
    summary = summarize(make_result(effects={"walking": DRAWS}, draws=41))
    change = summary["knee_pain_change"].sel(arm="walking", day=42)
    assert change.sel(estimate="mean") == pytest.approx(-1.0)
    assert change.sel(estimate="lower") == pytest.approx(np.quantile(DRAWS, 0.05))
    assert change.sel(estimate="upper") == pytest.approx(np.quantile(DRAWS, 0.95))


def test_spread_of_members_is_apart_from_the_interval_over_draws() -> None:
    certain = summarize(make_result(effects={"walking": np.full(40, -1.0)}, members_sd=2.0))
    spread = certain["knee_pain_change_spread"].sel(arm="walking", day=42)
    assert spread.sel(bound="lower") == pytest.approx(-1.0 - 1.645 * 2)
    assert spread.sel(bound="upper") == pytest.approx(-1.0 + 1.645 * 2)
    change = certain["knee_pain_change"].sel(arm="walking", day=42)
    assert float(change.sel(estimate="lower")) == pytest.approx(float(change.sel(estimate="upper")))


def test_difference_is_taken_draw_by_draw() -> None:
    """Arms that move together differ by a certain amount, however uncertain each of them is."""
    common = np.linspace(-3, 0, 40)
    summary = summarize(make_result(effects={"usual_care": common, "walking": common - 0.5}))
    difference = summary["knee_pain_difference"].sel(arm="walking", day=42)
    np.testing.assert_allclose(difference, -0.5)
    assert float(summary["knee_pain_better"].sel(arm="walking", day=42)) == 1.0
    assert np.isnan(summary["knee_pain_better"].sel(arm="usual_care", day=42))


def test_reference_can_be_chosen_and_must_exist() -> None:
    ds = make_result(effects={"walking": np.full(40, -1.0)})
    turned = summarize(ds, reference="walking")
    assert turned.attrs["reference_arm"] == "walking"
    assert turned["knee_pain_difference"].sel(arm="usual_care", day=42, estimate="mean") == pytest.approx(1.0)
    with pytest.raises(InputError, match="unknown arm 'cycling'; known are usual_care, walking"):
        summarize(ds, reference="cycling")


def test_one_arm_has_no_difference() -> None:
    summary = summarize(make_result(arms=("walking",), effects={"walking": DRAWS}, draws=41))
    assert "knee_pain_difference" not in summary
    assert summary.attrs["reference_arm"] == ""


def test_one_draw_gives_no_interval() -> None:
    summary = summarize(make_result(effects={"walking": np.array([-1.0])}, draws=1))
    change = summary["knee_pain_change"].sel(arm="walking", day=42)
    assert change.sel(estimate="mean") == pytest.approx(-1.0)
    assert np.isnan(change.sel(estimate=["lower", "upper"])).all()


def test_replicates_do_not_widen_what_we_do_not_know() -> None:
    """Luck over replicates is averaged away before the interval over draws is taken."""
    ds = make_result(effects={"walking": np.full(40, -1.0)}, replicates=20)
    luck = np.random.default_rng(3).normal(0, 1, 20)
    ds["knee_pain_change"] = ds["knee_pain_change"] + xr.DataArray(luck - luck.mean(), dims="replicate")
    change = summarize(ds)["knee_pain_change"].sel(arm="walking", day=42)
    np.testing.assert_allclose(change, -1.0, atol=1e-12)


def test_dims_stand_in_the_documented_order() -> None:
    axes = grid([0.0, 1.0], [10, 20])
    summary = summarize(make_result(axes=axes, replicates=3))
    assert summary["knee_pain_change"].dims == ("case", "arm", "estimate", "day")
    assert summary["knee_pain_change_spread"].dims == ("case", "arm", "bound", "day")
    assert summary["knee_pain_responders"].dims == ("case", "arm", "kind", "day")
    assert list(summary["backward_share"].values) == [0.0, 0.0, 1.0, 1.0]
    assert summary["knee_pain_change"].attrs["units"] == "1"


@pytest.mark.parametrize(("shared", "back"), [(False, 0), (True, 1)])
def test_significance_is_welchs_test_against_other_people(shared: bool, back: int) -> None:
    """Of the same replicate where its arms hold different people, of the one before where they do not."""
    from scipy import stats

    ds = make_result(effects={"walking": np.full(5, -0.6)}, draws=5, replicates=40, noise=0.3, people=25,
                     shared=shared)  # fmt: skip
    share = summarize(ds)["knee_pain_significant"].sel(arm="walking", day=42, estimate="mean")
    mean = ds["knee_pain_observed_change"].sel(statistic="mean", day=42)
    sd = ds["knee_pain_observed_change"].sel(statistic="sd", day=42)
    significant = []
    for draw in range(5):
        for r in range(40):
            a = {"draw": draw, "replicate": r, "arm": 1}
            b = {"draw": draw, "replicate": r - back, "arm": 0}
            test = stats.ttest_ind_from_stats(
                float(mean[a]), float(sd[a]), 25, float(mean[b]), float(sd[b]), 25, equal_var=False
            )
            significant.append(test.pvalue < 0.05)
    assert 0.1 < np.mean(significant) < 0.95
    assert float(share) == pytest.approx(np.mean(significant))


def _alternating(**options: object) -> xr.Dataset:
    """Both arms of a replicate change alike, and far from those of the replicates beside it."""
    ds = make_result(replicates=10, draws=2, people=50, **options)
    luck = xr.DataArray(np.tile([-5.0, 5.0], 5), dims="replicate")
    ds["knee_pain_observed_change"] = ds["knee_pain_observed_change"] + luck * (
        (ds["statistic"] == "mean") & (ds["day"] > 0)
    )
    return ds


def test_trials_with_people_of_their_own_are_compared_within_themselves() -> None:
    """Conditions of a trial, such as a season, meet both its arms."""
    found = {}
    for shared in (False, True):
        summary = summarize(_alternating(shared=shared)).sel(arm="walking", day=42)
        found[shared] = float(summary["knee_pain_significant"].sel(estimate="mean"))
        assert (float(summary["knee_pain_luck"].sel(bound="upper")) == 0) is not shared
    assert found == {False: 0.0, True: 1.0}


def test_a_sweep_over_people_pairs_each_case_by_its_own() -> None:
    ds = _alternating(axes={"people": ["separate", "shared"]})
    share = summarize(ds)["knee_pain_significant"].sel(arm="walking", day=42, estimate="mean")
    assert share.values.tolist() == [0.0, 1.0]


def test_null_trials_are_significant_about_one_time_in_twenty() -> None:
    people, replicates = 50, 4000
    ds = make_result(draws=2, replicates=replicates, people=people, noise=1 / np.sqrt(people), members_sd=1.0)
    share = summarize(ds)["knee_pain_significant"].sel(arm="walking", day=42, estimate="mean")
    assert float(share) == pytest.approx(0.05, abs=0.015)


def test_no_significance_without_replicates_or_at_the_baseline() -> None:
    assert "knee_pain_significant" not in summarize(make_result())
    summary = summarize(make_result(replicates=4, noise=0.1))
    assert np.isnan(summary["knee_pain_significant"].sel(day=0)).all()
    assert np.isnan(summary["knee_pain_significant"].sel(arm="usual_care")).all()


def test_a_dataset_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="no retrowalk result"):
        summarize(xr.Dataset({"x": ("day", [1.0])}))


def _followed(true: np.ndarray, observed: np.ndarray) -> xr.Dataset:
    """true, observed: (draw, member, day) of one arm."""
    ds = make_result(arms=("walking",), draws=true.shape[0], days=(0, 42), minimum=1.0)
    kept = ds[["knee_pain_grade", "knee_pain_baseline_status", "assessed"]].assign_attrs(ds.attrs)
    dims = ("draw", "replicate", "arm", "member", "day")
    for name, values in (("knee_pain", true), ("knee_pain_observed", observed)):
        kept[name] = (dims, values[:, None, None], ds["knee_pain"].attrs)
    return kept.assign_coords(draw=np.arange(true.shape[0]))


def test_results_that_keep_members_are_reduced_to_those_assessed() -> None:
    true = np.array([[[5.0, 3.0], [5.0, 4.5], [6.0, 0.0]]])
    observed = np.array([[[5.2, 3.4], [5.0, 3.9], [6.0, np.nan]]])
    summary = summarize(_followed(true, observed))
    change = summary["knee_pain_change"].sel(arm="walking", day=42, estimate="mean")
    assert change == pytest.approx((-2.0 - 0.5) / 2)
    shares = summary["knee_pain_responders"].sel(arm="walking", day=42)
    assert shares.sel(kind="true") == pytest.approx(0.5)
    assert shares.sel(kind="observed") == pytest.approx(1.0)
    assert shares.sel(kind="false") == pytest.approx(0.5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.sampled_from(["lower", "higher"]))
def test_bounds_enclose_and_the_share_better_follows_the_sign(effects: list[float], better: str) -> None:
    values = np.array(effects)
    summary = summarize(make_result(effects={"walking": values}, draws=len(values), better=better))
    lower, upper = (
        float(summary["knee_pain_difference"].sel(arm="walking", day=42, estimate=e))
        for e in ("lower", "upper")
    )
    assert values.min() - 1e-9 <= lower <= upper <= values.max() + 1e-9
    good = values < 0 if better == "lower" else values > 0
    assert float(summary["knee_pain_better"].sel(arm="walking", day=42)) == pytest.approx(good.mean())


def test_grades_pass_through() -> None:
    summary = summarize(make_result(grade="acute_only"))
    assert set(summary["knee_pain_grade"].values) == {GRADES.index("acute_only")}
