"""The cohort kernels one by one: accuracy of exp, exact quantiles, blocks, bits on other processors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrowalk.kernels.quantiles import BUCKETS, FEW, quantiles
from retrowalk.kernels.readings import LOG, LOGIT, inverse_link, record
from retrowalk.kernels.statistics import LANES, add_moments, mean_sd
from retrowalk.simulation.core_work import core_work

FIVE = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
RNG = np.random.default_rng(3)


def test_exp_keeps_its_bound_and_clips() -> None:
    x = np.concatenate([np.linspace(-87, 87, 400_001), np.linspace(-1e-3, 1e-3, 1001)]).astype(np.float32)
    out = np.empty_like(x)
    inverse_link(LOG, 0.0, 1.0, x, out)
    exact = np.exp(x.astype(float))
    assert np.max(np.abs(out / exact - 1)) < 2e-7
    beyond, clipped = np.array([-1e6, 1e6], np.float32), np.empty(2, np.float32)
    inverse_link(LOG, 0.0, 1.0, beyond, clipped)
    np.testing.assert_allclose(clipped, np.exp([-87.0, 87.0]), rtol=2e-7)


def test_logit_stays_inside_its_bounds() -> None:
    eta = np.linspace(-200, 200, 10_001).astype(np.float32)
    out = np.empty_like(eta)
    inverse_link(LOGIT, 2.0, 10.0, eta, out)
    assert out.min() >= 2.0
    assert out.max() <= 10.0
    np.testing.assert_allclose(out, 2 + 8 / (1 + np.exp(-eta.astype(float))), rtol=1e-6)


def test_readings_are_whole_steps_inside_the_range() -> None:
    true, noise = RNG.normal(5, 4, 999).astype(np.float32), RNG.standard_normal(999).astype(np.float32)
    out = np.empty_like(true)
    record(true, noise, 0.7, 0.0, 10.0, 0.5, out)
    exact = np.clip(np.floor((true + 0.7 * noise.astype(float)) / 0.5 + 0.5) * 0.5, 0, 10)
    np.testing.assert_array_equal(out, exact.astype(np.float32))


def reduce(values: np.ndarray, here: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    level, found = np.empty(2, np.float32), np.empty(5, np.float32)
    count, size = int(here.sum()), len(values)
    sums, shift = np.zeros((2, LANES)), values[np.argmax(here)]
    add_moments(values, here, shift, sums)
    mean_sd(sums, shift, count, level)
    quantiles(values, here, count, level[0], level[1], FIVE, np.empty(size, np.uint16),
              np.zeros((size + 7) // 8 * 8, np.uint8), np.empty((6, BUCKETS + 1), np.int32),
              np.empty_like(values), found)  # fmt: skip
    return level, found


SHAPES = {
    "normal": RNG.standard_normal(5_000),
    "heavy tails": RNG.standard_cauchy(5_000),
    "far outlier": np.append(RNG.standard_normal(700), 1e9),
    "ties": RNG.integers(0, 3, 2_000),
    "all equal": np.full(300, 1.7),
    "two": np.array([3.0, -4.0]),
    "far from zero": 1e6 + RNG.integers(0, 50, 999),
    "ends of a lane": RNG.standard_normal(LANES + 1),
    "few": RNG.standard_normal(FEW),
    "one more than few": RNG.standard_normal(FEW + 1),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_statistics_of_those_here_equal_numpy(shape: str, share: float) -> None:
    values = SHAPES[shape].astype(np.float32)
    here = np.random.default_rng(1).random(len(values)) < share
    here[:2] = True
    level, found = reduce(values, here)
    counted = values[here].astype(float)
    spread = max(1e-6 * abs(counted).max(), 1e-30)
    np.testing.assert_allclose(level, [counted.mean(), counted.std(ddof=1)], rtol=1e-6, atol=spread)
    np.testing.assert_allclose(found, np.quantile(counted, FIVE), rtol=2e-7, atol=1e-30)


def test_statistics_of_one_and_of_none() -> None:
    values = np.array([2.5, 9.0], np.float32)
    level, found = reduce(values, np.array([True, False]))
    assert level[0] == 2.5
    assert np.isnan(level[1])
    assert np.all(found == np.float32(2.5))
    level, found = reduce(values, np.array([False, False]))
    assert np.isnan(level).all()
    assert np.isnan(found).all()


def test_quantiles_survive_what_is_not_a_number() -> None:
    values = np.array([1.0, np.nan, np.inf, 3.0], np.float32)
    _, found = reduce(values, np.ones(4, bool))
    assert np.isnan(found).all()


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
    true = np.empty_like(eta)
    for k, (kind, low, high, *_) in enumerate(work.link):
        for e in range(eta.shape[1]):
            inverse_link(int(kind), low, high, eta[k, e], true[k, e])
    medians = np.sort(true, axis=2)[:, :, 99:101].astype(float).mean(axis=2)
    np.testing.assert_allclose(work.statistics[1][:, 0, 0, 2], medians, rtol=1e-7)


BITS = """
import hashlib
from retrowalk.simulation.core_work import core_work
work = core_work(2500, count=3, weeks=6)
work.superpose(); a = work.statistics[1].copy(); work.summarize(); work.follow()
print(hashlib.sha256(b"".join(a.tobytes() for a in (a, *work.statistics, work.curves))).hexdigest())
"""


def test_bits_do_not_depend_on_the_processor(tmp_path: Path) -> None:
    work = core_work(2500, count=3, weeks=6)
    work.superpose()
    superposed = work.statistics[1].copy()
    work.summarize()
    work.follow()
    found = (superposed, *work.statistics, work.curves)
    here = hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest()
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "RETROWALK_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", BITS], env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.strip() == here
