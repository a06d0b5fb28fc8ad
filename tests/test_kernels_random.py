"""Keyed random numbers and the normal distribution, against published vectors, NumPy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from retrowalk.kernels import random as normal
from retrowalk.kernels import random as philox
from retrowalk.kernels.random import quantile_of_word

WORD = st.integers(0, 2**32 - 1)

# Known answers published with Random123 (kat_vectors, philox4x32 with 10 rounds).
VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


def kernel_words(counter, key):
    return [int(word) for word in philox.philox(*map(np.uint64, [*counter, *key]))]


def plain_philox(counter, key):
    """The same generator in Python integers, written from the paper."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * c[0], 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high_1 ^ c[1] ^ k[0], low_1, high_0 ^ c[3] ^ k[1], low_0]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def uniforms(n, *, seed=20261122, stream=0, slot=0, replicate=0, first=0):
    out = np.empty(n)
    philox.fill_uniform(np.uint64(seed), stream, slot, replicate, first, out)
    return out


def normals(n, *, seed=20261122, stream=0, slot=0, replicate=0, first=0):
    out = np.empty(n)
    philox.fill_normal(np.uint64(seed), stream, slot, replicate, first, out)
    return out


@pytest.mark.parametrize(("counter", "key", "answer"), VECTORS)
def test_published_vectors(counter, key, answer):
    assert kernel_words(words(counter), words(key)) == words(answer)
    assert plain_philox(words(counter), words(key)) == words(answer)


@settings(deadline=None)
@given(st.lists(WORD, min_size=4, max_size=4), st.lists(WORD, min_size=2, max_size=2))
def test_equals_plain_python(counter, key):
    assert kernel_words(counter, key) == plain_philox(counter, key)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), WORD, WORD, WORD, st.integers(0, 2**32 - 3))
def test_uniform_is_word_zero_of_its_key(seed, stream, slot, replicate, first):
    got = uniforms(3, seed=seed, stream=stream, slot=slot, replicate=replicate, first=first)
    for i in range(3):
        word = plain_philox((first + i, slot, replicate, stream), (seed % 2**32, seed >> 32))[0]
        assert got[i] == (word + 0.5) / 2**32


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(1, 1500), st.integers(1, 1500))
def test_a_stretch_equals_the_same_stretch_of_a_longer_one(first, before, length):
    whole = normals(before + length, first=first)
    assert np.array_equal(whole[before:], normals(length, first=first + before))


def test_uniforms_are_uniform():
    drawn = uniforms(1_000_000)
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    counts = np.bincount((drawn * 1000).astype(int), minlength=1000)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_normals_are_normal():
    drawn = normals(1_000_000)
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    # Standard errors of mean, variance, skewness and kurtosis of 10^6 draws, four of each.
    assert abs(drawn.mean()) < 4e-3
    assert abs(drawn.var() - 1) < 4 * 1.42e-3
    assert abs(stats.skew(drawn)) < 4 * 2.45e-3
    assert abs(stats.kurtosis(drawn)) < 4 * 4.9e-3


KEYS = [{}, {"stream": 1}, {"stream": 16}, {"slot": 1}, {"slot": 83}, {"replicate": 1}, {"seed": 20261123},
        {"seed": 20261122 + 2**32}, {"first": 100_000}]  # fmt: skip


def test_different_keys_are_independent():
    drawn = np.array([normals(100_000, **key) for key in KEYS])
    # 36 pairs, standard error 1/sqrt(n): 4.5 of them are passed by chance once in 4000 runs of this test.
    largest = np.abs(np.corrcoef(drawn) - np.eye(len(KEYS))).max()
    assert largest < 4.5 / np.sqrt(100_000)
    squares = np.abs(np.corrcoef(drawn**2) - np.eye(len(KEYS))).max()
    assert squares < 4.5 / np.sqrt(100_000)


def test_neighbouring_members_are_independent():
    drawn = normals(1_000_001)
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 4e-3


def test_below_compares_the_same_uniforms():
    threshold = np.linspace(0, 1, 5000)
    out = np.empty(5000, bool)
    philox.fill_below(np.uint64(7), 3, 2, 1, 10, threshold, out)
    assert np.array_equal(out, uniforms(5000, seed=7, stream=3, slot=2, replicate=1, first=10) < threshold)


def quantiles(p):
    out = np.array(p, dtype=float)
    normal.quantile_in_place(out)
    return out


def test_quantile_equals_scipy():
    small = 10.0 ** -np.linspace(0.31, 300, 5000)
    p = np.concatenate(
        [small, 1 - small[small > 1e-15], (np.arange(100_000) + 0.5) / 100_000, [0.075, 0.925]]
    )
    np.testing.assert_allclose(quantiles(p), special.ndtri(p), rtol=2e-13, atol=1e-15)


def test_quantile_in_place_equals_one_by_one():
    p = uniforms(3000)
    assert np.array_equal(quantiles(p), [normal.normal_quantile(x) for x in p])


def test_quantile_at_its_ends():
    values = quantiles([0.0, 0.5, 1.0, -0.1, 1.1, np.nan])
    assert values[:3].tolist() == [-np.inf, 0.0, np.inf]
    assert np.isnan(values[3:]).all()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 2))
def test_quantile_rises_with_every_word_and_is_odd(word):
    p = (np.array([word, word + 1]) + 0.5) / 2**32
    low, high = quantiles(p)
    assert low < high
    assert np.array_equal(quantiles(1 - p), [-low, -high])


@pytest.mark.parametrize("seam", [0.075, 0.925, np.exp(-25.0)])
def test_quantile_rises_across_its_seams(seam):
    # Steps of 2^-40 of the probability: 256 times finer than the generator's.
    p = seam * (1 + np.arange(-1000, 1000) * 2.0**-40)
    assert np.all(np.diff(quantiles(p)) > 0)


def test_cdf_equals_scipy_and_undoes_the_quantile():
    z = np.linspace(-37, 8, 4001)
    got = np.array([normal.normal_cdf(x) for x in z])
    np.testing.assert_allclose(got, special.ndtr(z), rtol=1e-12)
    inside = np.abs(z) < 5
    np.testing.assert_allclose(quantiles(got[inside]), z[inside], rtol=1e-9, atol=1e-12)


def test_normals_in_single_precision_are_those_in_double() -> None:
    """Over 10^6 keys, and at the ends of the words: both tails to the last word."""
    double, single = np.empty(1_000_000), np.empty(1_000_000, np.float32)
    philox.fill_normal(np.uint64(5), 17, 3, 1, 0, double)
    philox.fill_normal_single(np.uint64(5), 17, 3, 1, 0, single)
    assert np.max(np.abs(single - double) / (np.abs(double) + 1e-6)) < 1e-6
    assert abs(single.mean(dtype=float)) < 4e-3
    assert abs(single.std(dtype=float) - 1) < 3e-3
    assert stats.kstest(single.astype(float), "norm").pvalue > 1e-3
    words = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint64)
    exact = stats.norm.ppf((words.astype(float) + 0.5) / 2**32)
    found = np.array([quantile_of_word(word) for word in words])
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-15)
    assert found[0] == -found[-1]
