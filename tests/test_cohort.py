"""Members of a cohort: the laws of keyed people, and distributions as documented."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrowalk import cohort
from retrowalk.catalogue import baseline, outcomes, populations
from retrowalk.errors import InputError

SEED, MANY = 20261122, 200_000
SEEDS = st.integers(0, 2**64 - 1)
NAMES = list(outcomes())
LAST = len(NAMES) - 1

TRAITS = {
    "baseline": lambda seed, r, first, n: cohort.baseline_z(seed, r, first, n, 3),
    "limited baseline": lambda seed, r, first, n: cohort.baseline_z(seed, r, first, n, 3, (-0.5, 1.5)),
    "response": lambda seed, r, first, n: cohort.response_z(seed, r, first, n, 7),
    "age": lambda seed, r, first, n: cohort.ages(seed, r, first, n, 55, 7, (40, 75)),
    "propensity": cohort.propensity_z,
    "attendance": lambda seed, r, first, n: cohort.attendance_mask(seed, r, first, n, [0, 2, 4], 0.8, 0.7).T,
    "dropout": lambda seed, r, first, n: cohort.weeks_completed(seed, r, first, n, 0.1),
    "noise": lambda seed, r, first, n: cohort.measurement_noise(seed, r, first, n, 2, 42),
}


@pytest.mark.parametrize("trait", TRAITS.values(), ids=TRAITS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, replicate=st.integers(0, 1000), cuts=st.lists(st.integers(0, 700), min_size=1, max_size=3))
def test_members_are_the_same_in_any_chunk_and_any_larger_cohort(trait, seed, replicate, cuts):
    whole = trait(seed, replicate, 0, 700)
    edges = [0, *sorted(cuts), 700]
    chunks = [trait(seed, replicate, a, b - a) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(chunks), whole)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, order=st.permutations(range(12)))
def test_each_member_alone_in_any_order_is_the_member_of_the_cohort(seed, order):
    for trait in TRAITS.values():
        alone = np.concatenate([trait(seed, 0, member, 1) for member in order])
        assert np.array_equal(alone, trait(seed, 0, 0, 12)[list(order)])


@pytest.mark.parametrize("trait", TRAITS.values(), ids=TRAITS)
def test_seed_and_replicate_change_everybody(trait):
    drawn = [trait(1, 0, 0, 300), trait(2, 0, 0, 300), trait(1, 1, 0, 300)]
    assert all((drawn[a] != drawn[b]).any() for a, b in ((0, 1), (0, 2), (1, 2)))


@settings(deadline=None)
@given(seed=SEEDS, days=st.sets(st.integers(0, 400), min_size=1, max_size=20), extra=st.integers(0, 400))
def test_another_session_moves_no_other_attendance(seed, days, extra):
    more = sorted(days | {extra})
    mask = cohort.attendance_mask(seed, 0, 0, 40, more, 0.7, 1.0)
    kept = [more.index(day) for day in sorted(days)]
    assert np.array_equal(mask[kept], cohort.attendance_mask(seed, 0, 0, 40, sorted(days), 0.7, 1.0))


@settings(deadline=None)
@given(SEEDS, st.floats(0, 3))
def test_attendance_of_none_and_of_all_leaves_nothing_to_chance(seed, spread):
    assert not cohort.attendance_mask(seed, 0, 0, 500, range(30), 0.0, spread).any()
    assert cohort.attendance_mask(seed, 0, 0, 500, range(30), 1.0, spread).all()


@settings(deadline=None)
@given(SEEDS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 2))
def test_who_comes_at_low_attendance_comes_at_high_attendance(seed, one, other, spread):
    low, high = sorted((one, other))
    rarely = cohort.attendance_mask(seed, 0, 0, 200, range(5), low, spread)
    often = cohort.attendance_mask(seed, 0, 0, 200, range(5), high, spread)
    assert not (rarely & ~often).any()


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("attendance", [0.1, 0.5, 0.85, 0.99])
def test_mean_attendance_is_what_was_asked_for(attendance, spread):
    mask = cohort.attendance_mask(SEED, 0, 0, MANY, [0, 2, 4], attendance, spread)
    shares = mask.mean(axis=0)
    assert abs(shares.mean() - attendance) < 4 * shares.std(ddof=1) / math.sqrt(MANY)


def test_visits_of_a_member_agree_as_far_as_the_spread_says():
    spread = 1.2
    mask = cohort.attendance_mask(SEED, 0, 0, MANY, [0, 2], 0.5, spread)
    # Two probits share s^2 of 1 + s^2 of their variance; at one half both attend with 1/4 + asin(rho) / 2 pi.
    both = 0.25 + math.asin(spread**2 / (1 + spread**2)) / (2 * math.pi)
    assert abs((mask[0] & mask[1]).mean() - both) < 4 * math.sqrt(both * (1 - both) / MANY)


def test_attendance_is_the_documented_comparison_of_two_normals():
    p, s, day, n = 0.8, 0.6, 4, 300
    z = cohort.propensity_z(SEED, 1, 0, n)
    # Without spread a visit is attended where the share passes cdf(e): e is found by bisection.
    low, high = np.zeros(n), np.ones(n)
    for _ in range(30):
        middle = (low + high) / 2
        attends = np.array(
            [cohort.attendance_mask(SEED, 1, i, 1, [day], share, 0.0)[0, 0] for i, share in enumerate(middle)]
        )
        low, high = np.where(attends, low, middle), np.where(attends, middle, high)
    e = stats.norm.ppf((low + high) / 2)
    difference = stats.norm.ppf(p) * math.sqrt(1 + s * s) + s * z - e
    clear = np.abs(difference) > 1e-6
    mask = cohort.attendance_mask(SEED, 1, 0, n, [day], p, s)[0]
    assert clear.mean() > 0.99
    assert np.array_equal(mask[clear], difference[clear] > 0)


@pytest.mark.parametrize("completion", [0.91, 0.5, 0.05])
def test_completion_is_what_was_asked_for(completion):
    weeks = cohort.weeks_completed(SEED, 0, 0, MANY, cohort.hazard_from_completion(completion, 6))
    error = 4 * math.sqrt(completion * (1 - completion) / MANY)
    assert abs((weeks >= 6).mean() - completion) < error
    assert abs((weeks >= 3).mean() - math.sqrt(completion)) < 4 / math.sqrt(4 * MANY)


def test_dropout_has_no_memory():
    weeks = cohort.weeks_completed(SEED, 0, 0, MANY, 0.2)
    left = np.array([(weeks >= week).sum() for week in range(12)])
    lost = 1 - left[1:] / left[:-1]
    assert np.all(np.abs(lost - 0.2) < 4.5 * np.sqrt(0.2 * 0.8 / left[:-1]))


def test_nobody_drops_out_at_hazard_zero_and_everybody_at_one():
    assert (7 * cohort.weeks_completed(SEED, 0, 0, 5000, 0.0) > 10**9).all()
    assert (cohort.weeks_completed(SEED, 0, 0, 5000, 1.0) == 0).all()
    assert cohort.hazard_from_completion(1.0, 6) == 0
    assert cohort.hazard_from_completion(0.0, 6) == 1


@settings(deadline=None)
@given(st.floats(0.001, 1), st.floats(0.5, 100))
def test_hazard_undoes_completion(completion, weeks):
    assert (1 - cohort.hazard_from_completion(completion, weeks)) ** weeks == pytest.approx(completion, 1e-9)


@settings(deadline=None)
@given(SEEDS, st.floats(0, 0.9), st.floats(0, 0.9))
def test_a_higher_hazard_never_keeps_anybody_longer(seed, one, other):
    low, high = sorted((one, other))
    assert np.all(
        cohort.weeks_completed(seed, 0, 0, 300, high) <= cohort.weeks_completed(seed, 0, 0, 300, low)
    )


@pytest.mark.parametrize("slot", [0, 6, LAST])
def test_scores_are_standard_normal(slot):
    noise = cohort.measurement_noise(SEED, 0, 0, MANY, slot, 42)
    for drawn in (
        cohort.baseline_z(SEED, 0, 0, MANY, slot),
        cohort.response_z(SEED, 0, 0, MANY, slot),
        noise,
    ):
        assert stats.kstest(drawn, "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    "bounds", [(-0.5, 1.5), (1.0, math.inf), (-math.inf, -2.0), (5.0, 6.0), (-6.0, -5.0)]
)
def test_limited_baselines_are_truncated_normals(bounds):
    drawn = cohort.baseline_z(SEED, 0, 0, 50_000, 4, bounds)
    assert drawn.min() >= bounds[0]
    assert drawn.max() <= bounds[1]
    assert stats.kstest(drawn, stats.truncnorm(*bounds).cdf).pvalue > 1e-3


@settings(deadline=None)
@given(SEEDS, st.floats(-4, 4), st.floats(0.01, 4))
def test_limits_keep_the_order_of_members(seed, low, width):
    free = cohort.baseline_z(seed, 0, 0, 100, 1)
    limited = cohort.baseline_z(seed, 0, 0, 100, 1, (low, low + width))
    assert np.all(np.diff(limited[np.argsort(free)]) >= 0)


@pytest.mark.parametrize("bounds", [(40.0, 41.0), (-41.0, -40.0)])
def test_limits_beyond_all_probability_still_hold(bounds):
    drawn = cohort.baseline_z(SEED, 0, 0, 100, 0, bounds)
    assert ((drawn >= bounds[0]) & (drawn <= bounds[1])).all()


def test_infinite_limits_change_nothing():
    assert np.array_equal(cohort.baseline_z(SEED, 0, 0, 99, 2, (-math.inf, math.inf)),
                          cohort.baseline_z(SEED, 0, 0, 99, 2, (-40.0, 40.0)))  # fmt: skip


def test_responses_correlate_as_documented():
    drawn = np.array([cohort.response_z(SEED, 0, 0, MANY, slot) for slot in range(LAST + 1)])
    expected = np.array(cohort.default_correlation())
    assert np.abs(np.corrcoef(drawn) - expected).max() < 4.5 / math.sqrt(MANY)
    at = NAMES.index
    assert expected[at("knee_pain"), at("disability")] == 0.5
    assert expected[at("walking_speed"), at("timed_up_and_go")] == -0.5
    assert expected[at("knee_pain"), at("vo2max")] == 0


def test_another_correlation_is_obeyed_and_nobody_changes_without_need():
    matrix = np.eye(LAST + 1)
    matrix[0, LAST] = matrix[LAST, 0] = 0.8
    first, last = (cohort.response_z(SEED, 0, 0, MANY, slot, matrix) for slot in (0, LAST))
    assert abs(np.corrcoef(first, last)[0, 1] - 0.8) < 0.01
    assert np.array_equal(first, cohort.response_z(SEED, 0, 0, MANY, 0))


def test_factor_times_its_transpose_is_the_correlation():
    lower = cohort.correlation_factor()
    np.testing.assert_allclose(lower @ lower.T, cohort.default_correlation(), atol=1e-15)
    np.testing.assert_allclose(lower, np.linalg.cholesky(cohort.default_correlation()), atol=1e-14)


def test_streams_are_independent():
    drawn = [cohort.propensity_z(SEED, 0, 0, MANY)]
    drawn += [cohort.ages(SEED, 0, 0, MANY, 0, 1)]
    drawn += [cohort.baseline_z(SEED, 0, 0, MANY, slot) for slot in (0, 1)]
    drawn += [cohort.response_z(SEED, 0, 0, MANY, 0)]
    drawn += [
        cohort.measurement_noise(SEED, 0, 0, MANY, slot, day) for slot, day in ((0, 0), (1, 0), (0, 42))
    ]
    drawn += [cohort.weeks_completed(SEED, 0, 0, MANY, 0.05).astype(float)]
    drawn += list(cohort.attendance_mask(SEED, 0, 0, MANY, [0, 42], 0.5, 0.0).astype(float))
    found = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(found).max() < 4.5 / math.sqrt(MANY)


def test_ages_stay_inside_their_limits_and_keep_their_shape():
    drawn = cohort.ages(SEED, 0, 0, MANY, 55.6, 7, (40, 75))
    expected = stats.truncnorm((40 - 55.6) / 7, (75 - 55.6) / 7, 55.6, 7)
    assert drawn.min() >= 40
    assert drawn.max() <= 75
    assert stats.kstest(drawn, expected.cdf).pvalue > 1e-3


BAD = [
    (lambda: cohort.baseline_z(-1, 0, 0, 1, 0), "seed is -1"),
    (lambda: cohort.baseline_z(2**64, 0, 0, 1, 0), "seed"),
    (lambda: cohort.baseline_z(1, 2**32, 0, 1, 0), "replicate"),
    (lambda: cohort.baseline_z(1, 0, 2**32 - 1, 2, 0), "last member"),
    (lambda: cohort.baseline_z(1, 0, 0, 1, 0, (1.0, 1.0)), "lower must be below"),
    (lambda: cohort.baseline_z(1, 0, 0, 1, 0, (math.nan, 1.0)), "limits"),
    (lambda: cohort.response_z(1, 0, 0, 1, LAST + 1), "outcome slot is"),
    (lambda: cohort.response_z(1, 0, 0, 1, 0, np.eye(LAST)), "shape"),
    (lambda: cohort.response_z(1, 0, 0, 1, 0, 2 * np.eye(LAST + 1)), "diagonal"),
    (lambda: cohort.response_z(1, 0, 0, 1, 0, np.ones((LAST + 1, LAST + 1))), "positive definite"),
    (lambda: cohort.measurement_noise(1, 0, 0, 1, -1, 0), "outcome slot is -1"),
    (lambda: cohort.measurement_noise(1, 0, 0, 1, 0, -7), "day is -7"),
    (lambda: cohort.attendance_mask(1, 0, 0, 1, [0], 1.1, 0), "attendance is 1.1"),
    (lambda: cohort.attendance_mask(1, 0, 0, 1, [0], 0.9, -1), "spread"),
    (lambda: cohort.weeks_completed(1, 0, 0, 1, math.nan), "hazard"),
    (lambda: cohort.hazard_from_completion(1.2, 6), "completion is 1.2"),
    (lambda: cohort.hazard_from_completion(0.9, 0), "weeks"),
    (lambda: cohort.sample_cohort("knee_ao", 5, seed=1), "did you mean 'knee_oa'"),
    (lambda: cohort.sample_cohort("knee_oa", 0, seed=1), "n is 0"),
    (lambda: cohort.sample_cohort("knee_oa", 2.5, seed=1), "n is 2.5"),
]


@pytest.mark.parametrize(("call", "words"), BAD)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("population", list(populations()))
def test_sampled_cohort_is_like_its_population(population):
    sampled = cohort.sample_cohort(population, 20_000, seed=SEED)
    person = populations()[population]
    assert float(sampled["attendance"].mean()) == pytest.approx(person.attendance, abs=0.01)
    assert person.age_min <= sampled["age"].min() <= sampled["age"].max() <= person.age_max
    for name, outcome in outcomes().items():
        if name not in sampled:
            with pytest.raises(InputError):
                baseline(population, name)
            continue
        known = baseline(population, name)
        values = sampled[name]
        assert values.attrs["units"] == outcome.unit
        assert float(values.mean()) == pytest.approx(known.mean, abs=0.03 * known.sd)
        assert float(values.std()) == pytest.approx(known.sd, rel=0.05)


def test_a_larger_sampled_cohort_begins_with_the_same_members():
    small, large = (cohort.sample_cohort("older_adults", n, seed=5) for n in (7, 600))
    assert large.isel(member=slice(7)).identical(small)
    assert all(variable.attrs["long_name"] for variable in large.variables.values())
