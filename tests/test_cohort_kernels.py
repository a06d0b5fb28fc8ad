"""The cohort kernels one by one: exp, readings, statistics in one pass, bits on other processors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.kernels.readings import IDENTITY, LOG, LOGIT, measure
from retrowalk.kernels.statistics import exact_quantiles, summarize
from retrowalk.kernels.types import LANES, STEPS, TOGETHER, Instrument, Members, buffers, empty_statistics
from retrowalk.simulation.core_work import core_work

FIVE = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
RNG = np.random.default_rng(3)


def instrument(link: int, lower: float = 0.0, upper: float = 1.0, **changes: float) -> Instrument:
    plain = Instrument(link, lower, upper, -np.inf, np.inf, 0.1, 0.0, 1.0, 0.5)
    return plain._replace(**changes)


def true_values(link: int, eta: np.ndarray, lower: float = 0.0, upper: float = 1.0) -> np.ndarray:
    true, observed = np.empty((2, len(eta)), np.float32)
    measure(instrument(link, lower, upper), eta, np.zeros_like(eta), true, observed)
    return true


def test_exp_keeps_its_bound_and_clips() -> None:
    x = np.concatenate([np.linspace(-87, 87, 400_001), np.linspace(-1e-3, 1e-3, 1001)]).astype(np.float32)
    assert np.max(np.abs(true_values(LOG, x) / np.exp(x.astype(float)) - 1)) < 2e-7
    beyond = true_values(LOG, np.array([-1e6, 1e6], np.float32))
    np.testing.assert_allclose(beyond, np.exp([-87.0, 87.0]), rtol=2e-7)


def test_logit_stays_inside_its_bounds() -> None:
    eta = np.linspace(-200, 200, 10_001).astype(np.float32)
    out = true_values(LOGIT, eta, 2.0, 10.0)
    assert out.min() >= 2.0
    assert out.max() <= 10.0
    np.testing.assert_allclose(out, 2 + 8 / (1 + np.exp(-eta.astype(float))), rtol=1e-6)


def test_readings_are_whole_steps_inside_the_range() -> None:
    true, noise = RNG.normal(5, 4, 999).astype(np.float32), RNG.standard_normal(999).astype(np.float32)
    same, out = np.empty_like(true), np.empty_like(true)
    measure(instrument(IDENTITY, low=0.0, high=10.0, step=0.5, sem=0.7), true, noise, same, out)
    exact = np.clip(np.floor((true + 0.7 * noise.astype(float)) / 0.5 + 0.5) * 0.5, 0, 10)
    np.testing.assert_array_equal(out, exact.astype(np.float32))
    np.testing.assert_array_equal(same, true)


def reduce(
    values: np.ndarray, assessed: np.ndarray, *, chunk: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and SD, quantiles, responders of true values that begin at 0; `chunk` members at a time."""
    size, out = len(values), empty_statistics(1, 1, len(FIVE), 1)
    zero, room, step = np.zeros(size, np.float32), buffers(1), chunk or size
    for begin in range(0, size, step):
        part = slice(begin, begin + step)
        summarize(
            assessed[None, part], instrument(IDENTITY), Members(*[zero[part]] * 4), zero[None, part], FIVE,
            np.array([begin == 0, begin + step >= size, 2], np.int64), 0,
            np.ascontiguousarray(values[None, None, part], np.float32), room, out,
        )  # fmt: skip
    return out.moments[0, 0, 0, :, 0], out.quantiles[0, 0, 0, :, 0], out.responders[0, 0, :, 0]


def bucket_width(values: np.ndarray, assessed: np.ndarray) -> np.ndarray:
    """Width of the bucket of each order statistic beside a quantile, as the module's docstring states it."""
    first = values[:TOGETHER][assessed[:TOGETHER]].astype(float)
    spread = first.std(ddof=1) if len(first) > 1 else 0.0
    centre, scale = (
        (first.mean(), spread) if 1e-30 < spread < np.inf else (first[0] if len(first) else values[0], 0.1)
    )
    ordered = np.sort(values[assessed].astype(float))
    ranks = np.outer([1, 1], FIVE * (len(ordered) - 1))
    beside = ordered[np.array([np.floor(ranks[0]), np.ceil(ranks[1])]).astype(int)]
    distance = np.minimum(np.abs(beside - centre) / scale + 1, 2.0**8)
    return np.max(scale / STEPS * 2 ** np.floor(np.log2(distance) + 1e-6), axis=0)


SHAPES = {
    "normal": RNG.standard_normal(5_000),
    "heavy tails": RNG.standard_cauchy(5_000),
    "far outlier": np.append(RNG.standard_normal(700), 1e9),
    "ties": RNG.integers(0, 3, 2_000),
    "instrument steps": np.round(RNG.normal(40, 6, 3_000) * 2) / 2,
    "point mass": np.where(RNG.random(4_000) < 0.4, 0.0, RNG.normal(1, 2, 4_000)),
    "edge of a logit score": 10 / (1 + np.exp(-RNG.normal(8, 3, 3_000))),
    "all equal": np.full(300, 1.7),
    "equal in the first block": np.append(np.full(TOGETHER, 2.0), RNG.normal(2, 1, 2_000)),
    "two": np.array([3.0, -4.0]),
    "far from zero": 1e6 + RNG.integers(0, 50, 999),
    "ends of a lane": RNG.standard_normal(LANES + 1),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_statistics_of_those_assessed_equal_numpy(shape: str, share: float) -> None:
    values = SHAPES[shape].astype(np.float32)
    assessed = np.random.default_rng(1).random(len(values)) < share
    assessed[:2] = True
    level, quantiles, responders = reduce(values, assessed)
    counted = values[assessed].astype(float)
    spread = max(1e-6 * abs(counted).max(), 1e-30)
    np.testing.assert_allclose(level, [counted.mean(), counted.std(ddof=1)], rtol=1e-6, atol=spread)
    error = np.abs(quantiles - np.quantile(counted, FIVE))
    assert np.all(error <= bucket_width(values, assessed) + 2e-7 * abs(counted).max())
    assert responders[0] == np.float32(np.mean(counted >= 0.5))


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 4_000), st.floats(0.05, 1.0),
    st.sampled_from(["normal", "t2", "exponential", "steps", "mass"]), st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
)  # fmt: skip
def test_quantiles_keep_their_stated_error_and_order(
    seed: int, size: int, share: float, kind: str, centre: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    drawn = {
        "normal": rng.standard_normal(size), "t2": rng.standard_t(2, size),
        "exponential": rng.exponential(size=size), "steps": rng.integers(0, 6, size),
        "mass": np.where(rng.random(size) < 0.5, 0, rng.standard_normal(size)),
    }[kind]  # fmt: skip
    values, assessed = (centre + scale * drawn).astype(np.float32), rng.random(size) < share
    assessed[rng.integers(size)] = True
    _, quantiles, _ = reduce(values, assessed)
    exact = np.quantile(values[assessed].astype(float), FIVE)
    slack = 4e-7 * abs(values).max()
    assert np.all(np.abs(quantiles - exact) <= bucket_width(values, assessed) * 1.001 + slack)
    assert np.all(np.diff(quantiles) >= -slack)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6_000), st.integers(1, 3), st.floats(0, 1))
def test_chunks_of_whole_blocks_change_no_bit(seed: int, size: int, blocks: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values, assessed = rng.standard_normal(size), rng.random(size) < share
    for whole, parts in zip(
        reduce(values, assessed), reduce(values, assessed, chunk=blocks * TOGETHER), strict=True
    ):
        np.testing.assert_array_equal(whole, parts)


def test_nobody_assessed_at_first_is_no_harm() -> None:
    values = RNG.normal(3, 2, 5_000).astype(np.float32)
    assessed = np.arange(5_000) >= 2 * TOGETHER
    _, quantiles, _ = reduce(values, assessed, chunk=TOGETHER)
    error = np.abs(quantiles - np.quantile(values[assessed].astype(float), FIVE))
    assert np.all(error <= bucket_width(values, assessed))


def test_statistics_of_one_and_of_none() -> None:
    values = np.array([2.5, 9.0], np.float32)
    level, quantiles, _ = reduce(values, np.array([True, False]))
    assert level[0] == 2.5
    assert np.isnan(level[1])
    assert np.all(quantiles == np.float32(2.5))
    for result in reduce(values, np.array([False, False])):
        assert np.isnan(result).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38])
def test_quantiles_survive_what_has_no_spread(odd: float) -> None:
    """Where the SD is no number or infinite there are no quantiles."""
    for place in (1, 700):
        values = RNG.standard_normal(900).astype(np.float32)
        values[place] = odd
        _, quantiles, _ = reduce(values, np.ones(900, bool))
        assert np.isnan(quantiles).all()


def test_counting_errs_far_less_than_chance() -> None:
    """Over many cohorts, beside the Monte Carlo error of the quantiles themselves."""
    exact, counted = np.empty((2, 300, len(FIVE)))
    for row in range(300):
        values = np.random.default_rng(row).standard_normal(2_000).astype(np.float32)
        exact[row] = np.quantile(values.astype(float), FIVE)
        counted[row] = reduce(values, np.ones(2_000, bool))[1]
    assert np.all((counted - exact).std(axis=0) < 0.1 * exact.std(axis=0))
    assert np.all(np.abs((counted - exact).mean(axis=0)) < 0.02 * exact.std(axis=0))


def test_exact_quantiles_of_few_equal_numpy() -> None:
    values, assessed = RNG.standard_normal((4, 3, 50)).astype(np.float32), RNG.random((3, 50)) < 0.5
    assessed[2] = False
    found = exact_quantiles(values, assessed, FIVE)
    for record in range(2):
        expected = np.quantile(values[:, record, assessed[record]].astype(float), FIVE, axis=-1)
        np.testing.assert_allclose(found[:, :, record], expected.T, rtol=1e-6)
    assert np.isnan(found[:, :, 2]).all()


def test_members_do_not_depend_on_the_block_they_fall_into() -> None:
    small, large = core_work(2_100, count=2, weeks=6), core_work(5_000, count=2, weeks=6)
    small.follow()
    large.follow()
    np.testing.assert_array_equal(small.curves, large.curves[:, :, :2_100])


def test_recorded_days_do_not_change_each_other() -> None:
    """Weekly assessments read the very values that a record of every day holds."""
    work = core_work(200, count=3, weeks=6)
    work.summarize()
    work.follow()
    eta = work.curves[:, work.plan.record_on >= 0]
    for k, (kind, low, high, *_) in enumerate(work.link):
        for e in range(eta.shape[1]):
            true = true_values(int(kind), eta[k, e], low, high).astype(float)
            found = work.results[k].moments[0, 0, 0, :, e]
            np.testing.assert_allclose(found, [true.mean(), true.std(ddof=1)], rtol=1e-6)


BITS = """
import hashlib
from retrowalk.simulation.core_work import core_work
work = core_work(2500, count=3, weeks=6)
work.summarize(); work.follow()
print(hashlib.sha256(b"".join(a.tobytes() for a in (*work.statistics, work.curves))).hexdigest())
"""


def test_bits_do_not_depend_on_the_processor(tmp_path: Path) -> None:
    work = core_work(2500, count=3, weeks=6)
    work.summarize()
    work.follow()
    found = (*work.statistics, work.curves)
    here = hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest()
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "RETROWALK_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", BITS], env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.strip() == here
