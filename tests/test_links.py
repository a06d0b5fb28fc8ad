"""Links: round trips, moments against simulation and published forms, and refusals."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.errors import InputError
from retrowalk.model.links import Link

LOG, IDENTITY, PAIN = Link("log"), Link("identity"), Link("logit", 0, 10)
LINKS = [LOG, IDENTITY, PAIN, Link("logit", -3.5, 56.0)]
etas = st.floats(-6, 6)


@pytest.mark.parametrize("link", LINKS)
@given(eta=etas)
def test_inverse_undoes_forward(link: Link, eta: float) -> None:
    assert float(link.forward(link.inverse(eta))) == pytest.approx(eta, abs=1e-11)


@pytest.mark.parametrize("link", LINKS)
@given(etas=st.lists(etas, min_size=1, max_size=30), level=st.floats(0, 1))
def test_quantiles_transform_exactly(link: Link, etas: list[float], level: float) -> None:
    exactly = {"method": "inverted_cdf"}
    natural = np.quantile(link.inverse(etas), level, **exactly)
    assert natural == link.inverse(np.quantile(etas, level, **exactly))


@given(mean=st.floats(0.02, 0.98), share=st.floats(0.01, 0.8))
def test_logit_moments_are_matched(mean: float, share: float) -> None:
    sd = share * math.sqrt(mean * (1 - mean))
    link = Link("logit", -20, 80)
    mu, sd_link = link.from_moments(-20 + 100 * mean, 100 * sd)
    found = link.moments(mu, sd_link)
    assert found == pytest.approx((-20 + 100 * mean, 100 * sd), rel=1e-8, abs=1e-8)


@given(mean=st.floats(0.01, 1e4), variation=st.floats(0.001, 3))
def test_log_moments_are_matched(mean: float, variation: float) -> None:
    assert LOG.moments(*LOG.from_moments(mean, variation * mean)) == pytest.approx((mean, variation * mean))


@given(mu=st.floats(-4, 4), sd=st.floats(0.01, 5))
def test_logit_moments_equal_a_fine_midpoint_rule(mu: float, sd: float) -> None:
    levels = (np.arange(20_000) + 0.5) / 20_000
    # the midpoint rule over probabilities shares neither nodes nor weights with the package
    z = np.interp(levels, _LEVELS, _SCORES)
    p = 10 / (1 + np.exp(-(mu + sd * z)))
    assert PAIN.moments(mu, sd) == pytest.approx((p.mean(), p.std()), abs=2e-3)


_NORMAL = statistics.NormalDist()
_SCORES = np.linspace(-8, 8, 6401)
_LEVELS = np.array([_NORMAL.cdf(score) for score in _SCORES])


def test_known_values() -> None:
    assert float(PAIN.forward(5)) == 0
    assert float(LOG.inverse(0)) == 1
    assert LOG.moments(0, 1) == pytest.approx((math.exp(0.5), math.exp(0.5) * math.sqrt(math.e - 1)))
    assert PAIN.from_moments(5, 1)[0] == pytest.approx(0, abs=1e-10)
    assert IDENTITY.from_moments(-3, 2) == (-3, 2)
    assert PAIN.moments(1.5, 0) == pytest.approx((float(PAIN.inverse(1.5)), 0), abs=1e-12)


def test_small_spread_agrees_with_the_delta_method() -> None:
    mu, sd = PAIN.from_moments(6.0, 0.01)
    assert sd == pytest.approx(0.01 * 10 / (6.0 * (10 - 6.0)), rel=1e-4)
    assert mu == pytest.approx(float(PAIN.forward(6.0)), abs=1e-4)


def test_extreme_etas_stay_inside_the_bounds() -> None:
    values = PAIN.inverse([-1e4, -800.0, 800.0, 1e4])
    assert np.all((values >= 0) & (values <= 10))


@pytest.mark.parametrize(
    ("link", "mean", "sd", "words"),
    [
        (PAIN, 5, 5, "SD must stay well below 5"),
        (PAIN, 1, 2.999, "no logit-normal between 0 and 10 has mean 1 and SD 2.999"),
        (PAIN, 10, 1, "between 0 and 10, not 10"),
        (PAIN, 5, 0, "sd must be positive, not 0"),
        (LOG, -1, 1, "between 0 and inf, not -1"),
        (LOG, 1, math.nan, "sd must be positive, not nan"),
        (IDENTITY, math.nan, 1, "not nan"),
    ],
)
def test_impossible_moments_are_refused(link: Link, mean: float, sd: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        link.from_moments(mean, sd)


def test_bad_links_are_refused() -> None:
    with pytest.raises(InputError, match="lower < upper"):
        Link("logit", 0)
    with pytest.raises(InputError, match="lower < upper"):
        Link("logit", 3, 3)
    with pytest.raises(InputError, match="must be log, logit or identity, not 'probit'"):
        Link("probit")
    with pytest.raises(InputError, match="sd at least 0"):
        PAIN.moments(0, -1)
