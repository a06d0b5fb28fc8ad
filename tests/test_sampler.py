"""The sampler: the same density as the fit without it, the same posterior, and no draws where it failed."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cli_runner import retrowalk
from retrowalk.calibrate import (
    Design,
    Diagnostics,
    Sampler,
    Verdict,
    VerdictScores,
    calibrate,
    disagreement,
    draw_nuisances,
    gain_prior,
    log_evidence,
    mismatches,
    observations,
    sampler_available,
    save,
    verdicts,
)
from retrowalk.errors import MissingExtraError, RunError
from retrowalk.evidence import load_evidence

WITH_EXTRA = pytest.mark.skipif(not sampler_available(), reason="needs the extra bayes (numpyro, arviz)")
FINE = Diagnostics(divergences=0, r_hat=1.004, ess_bulk=900.0, ess_tail=500.0, parameters=100, chains=4,
                   warmup=400, kept=750)  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [
    ({"divergences": 3}, "3 divergences"),
    ({"r_hat": 1.02}, "R-hat 1.020 above 1.01"),
    ({"r_hat": float("nan")}, "R-hat nan"),
    ({"ess_bulk": 399.0}, "bulk ESS 399 below 400"),
    ({"ess_tail": 10.0}, "tail ESS 10 below 400"),
])  # fmt: skip
def test_each_failed_diagnostic_is_named(change, words: str) -> None:
    FINE.require()
    with pytest.raises(RunError, match=words):
        dataclasses.replace(FINE, **change).require()


@pytest.fixture(scope="module")
def exact():
    """A small fit without a sampler."""
    return calibrate(draws=50, candidates=200, verdict_weight=0.0)


def test_a_failed_run_writes_nothing(exact, tmp_path) -> None:
    failed = dataclasses.replace(exact, diagnostics=dataclasses.replace(FINE, divergences=1))
    with pytest.raises(RunError, match=r"1 divergences\): nothing was written"):
        save(failed, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_that_disagrees_with_the_other_fit_writes_nothing(exact, tmp_path) -> None:
    moved = exact.posterior.assign(gain=exact.posterior["gain"] + 1.0)
    off = dataclasses.replace(exact, posterior=moved, diagnostics=FINE)
    with pytest.raises(RunError, match="posterior SD from those of the fit without a sampler"):
        save(off, tmp_path, reference=exact)
    assert not list(tmp_path.iterdir())
    assert len(save(dataclasses.replace(exact, diagnostics=FINE), tmp_path, reference=exact)) == 2


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numpyro", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'retrowalk\[bayes\]'.* --exact"):
        calibrate(method="nuts", draws=10)
    assert not sampler_available()


def test_help_says_how_to_do_without_a_sampler() -> None:
    assert "--exact" in retrowalk("calibrate", "--help").out


@WITH_EXTRA
def test_the_sampler_sees_the_density_of_the_other_fit() -> None:
    import jax.numpy as jnp
    import numpyro
    from numpyro.handlers import seed, substitute, trace

    from retrowalk.calibrate.numpyro_model import PaddedDesign, numpyro_model

    numpyro.enable_x64()
    design, gains = Design(observations(load_evidence())), gain_prior()
    used = tuple(sorted(set(design.places)))
    padded = PaddedDesign.of(design, gains, used, design.sources)
    model = numpyro_model(padded, used, len(design.sources))
    score = np.linspace(-1.0, 1.2, len(used))
    given = {
        "fitness_score": score, "fatigue_score": score[::-1], "dose_exponent": 0.37, "heterogeneity": 0.2,
        "fraction": np.linspace(0.1, 0.5, len(used) - 1), "dose": np.linspace(-1, 1, len(design.sources)),
        "denominator": np.linspace(1, -1, len(design.sources)),
    }  # fmt: skip
    found = trace(seed(substitute(model, {k: jnp.asarray(v) for k, v in given.items()}), 0)).get_trace(
        design.values
    )
    sites = {name: np.asarray(site["value"]) for name, site in found.items()}
    nuisances = draw_nuisances(1, design.sources, 1)
    for name in ("tau_fitness", "tau_fatigue", "fatigue_fraction"):
        getattr(nuisances, name)[:, list(used)] = sites[name]
    nuisances = dataclasses.replace(nuisances, **{
        name: np.asarray(given[name])[None]
        for name in ("dose_exponent", "heterogeneity", "dose", "denominator")
    })  # fmt: skip
    mean, signal, noise = design.moments(gains, nuisances)
    site = found["published"]
    np.testing.assert_allclose(np.asarray(site["fn"].mean), mean[0], rtol=1e-9)
    np.testing.assert_allclose(np.asarray(site["fn"].covariance_matrix), (signal + noise)[0], rtol=1e-7)
    expected = log_evidence(design.values, mean, signal + noise)[0]
    assert float(site["fn"].log_prob(site["value"])) == pytest.approx(expected, rel=1e-9)


@WITH_EXTRA
@pytest.mark.timeout(240)
def test_short_chains_find_the_same_gains_as_the_fit_without_them(tmp_path) -> None:
    # the reduced calibration: what `retrowalk calibrate` does, with short chains
    short = calibrate(method="nuts", draws=240, warmup=100, kept=100)
    assert short.diagnostics is not None
    short.diagnostics.require(least=40.0, r_hat=1.1)
    exact = calibrate(draws=400, candidates=10_000, verdict_weight=short.verdict_weight)
    assert disagreement(short, exact) < 0.5
    assert float(short.posterior["fatigue_fraction"].sel(outcome="body_fat").max()) == 0.0
    assert bool((short.posterior["tau_fatigue"] < short.posterior["tau_fitness"]).all())
    # so short that saving, whose limits are stricter, would refuse them
    posterior, _ = save(dataclasses.replace(short, diagnostics=FINE), tmp_path, reference=exact)
    with xr.open_dataset(posterior, engine="h5netcdf") as written:
        assert not mismatches(json.loads(written.attrs["calibration"]), load_evidence())


@WITH_EXTRA
@pytest.mark.timeout(240)
def test_a_compiled_chain_runs_any_values_and_the_same_on_any_number_of_workers() -> None:
    design = Design(observations(load_evidence())[:6])
    sampler = Sampler.of(design, gain_prior(), warmup=60, kept=30)
    one, two = (sampler.run([design.values] * 2, [5, 6], workers=number)[0] for number in (1, 2))
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])
    other, _ = sampler.run([design.values + 1.0], [5], workers=1)
    exponent = one["dose_exponent"]
    assert not np.array_equal(other["dose_exponent"][0], exponent[0])
    assert not np.array_equal(exponent[0], exponent[1])


@WITH_EXTRA
@pytest.mark.long
@pytest.mark.timeout(600)
def test_verdicts_move_the_sampler_as_they_move_the_fit_without_it() -> None:
    evidence = load_evidence()
    kept = ("terblanche2005", "murtagh2015", "ordway2016")
    few = dataclasses.replace(evidence, effects=tuple(row for row in evidence.effects if row.source in kept))
    assert len(observations(few)) >= 4
    assert len(verdicts(few)) >= 1
    chains = calibrate(few, method="nuts", draws=400, warmup=150, kept=200, verdict_weight=1.0)
    weighed = calibrate(few, draws=1000, candidates=8000, verdict_weight=1.0)
    silent = calibrate(few, draws=1000, candidates=8000, verdict_weight=0.0)
    assert weighed.effective_size > 100
    assert disagreement(chains, weighed) < 0.35
    gain = [-float(found.posterior["gain"].sel(component="run_backward", outcome="body_fat").mean())
            for found in (chains, weighed, silent)]  # fmt: skip
    # no change of body fat was significant: both lower the gain
    assert max(gain[:2]) < gain[2]


@given(mean=st.floats(-2, 2), sd=st.floats(0.1, 2), odds=st.floats(0.05, 1), bar=st.floats(0.1, 2))
def test_the_chances_of_what_can_be_reported_add_to_one(mean, sd, odds, bar) -> None:
    row = verdicts(load_evidence())[0].row
    better, neither = (Verdict(row, bar, said).chance(mean, sd, odds) for said in (True, False))
    worse = Verdict(row, bar, True).chance(-mean, sd, odds)
    if min(better, neither, worse) > 0.011:
        assert float(better + neither + worse) == pytest.approx(1.0, abs=1e-6)
    assert Verdict(row, bar, True).chance(mean, sd, 0.5 * odds) >= better - 1e-12


def test_verdicts_that_are_well_predicted_enter_and_others_do_not() -> None:
    asked = verdicts(load_evidence())[:3]
    good = VerdictScores(asked, np.full(3, 0.9), np.full(3, 0.6))
    bad = VerdictScores(asked, np.full(3, 0.5), np.full(3, 0.6))
    assert (good.weight, bad.weight) == (0.3, 0.0)
    assert good.lead == pytest.approx(3 * np.log(1.5))
