"""Made-up evidence: ranks, known parameters found again, and what the priors expect of trials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from retrowalk.calibrate import (
    Design,
    Nuisances,
    check_page,
    draw_nuisances,
    gain_prior,
    log_evidence,
    normalised,
    normals,
    observations,
    resample,
    sampler_available,
)
from retrowalk.calibrate.evaluation.sbc import DRAWS, TITLE, Ranks, sample_bases, simulate_bases
from retrowalk.catalogue import modalities, outcomes
from retrowalk.cli import main
from retrowalk.errors import InputError
from retrowalk.evidence import load_evidence

WITH_EXTRA = pytest.mark.skipif(not sampler_available(), reason="needs the extra bayes")


def uniform(number: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, DRAWS + 1, (number, columns))


def test_ranks_tell_right_from_biased_and_from_too_narrow() -> None:
    ranks = uniform(200, 3, 1)
    ranks[:, 1] = ranks[:, 1] ** 2 // (DRAWS + 1)
    ranks[:, 2] = np.where(uniform(200, 1, 2)[:, 0] < 50, 0, DRAWS)
    found = Ranks(("right", "biased", "narrow"), ranks)
    assert found.p[0] > 0.01
    assert (found.p[1:] < 1e-4).all()
    assert 0.84 < found.coverage[0] < 0.96
    assert found.coverage[2] == 0.0


def accepted(found: Ranks) -> None:
    """No parameter's ranks too far from uniform, all of them covered as often as they should be."""
    bases, number = found.ranks.shape
    assert found.p.min() * number > 0.01
    assert binom.cdf(np.round(found.coverage * bases), bases, 0.9).min() * number > 0.01
    # ranks of one base hang together: three times the error of independent ones
    assert abs(found.coverage.mean() - 0.9) < 3.0 * np.sqrt(0.09 / bases)


def test_a_few_bases_rank_as_they_should_without_a_sampler() -> None:
    accepted(simulate_bases(60, seed=11, candidates=2500))


@WITH_EXTRA
@pytest.mark.timeout(240)
def test_chains_for_two_bases_share_one_programme() -> None:
    found = sample_bases(2, seed=4, warmup=150)
    assert found.ranks.shape == (2, len(found.names))
    assert ((found.ranks >= 0) & (found.ranks <= DRAWS)).all()
    assert (found.ranks[0] != found.ranks[1]).any()


@WITH_EXTRA
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_sampler_ranks_a_hundred_bases_as_it_should() -> None:
    found = sample_bases(100, seed=2)
    accepted(found)
    assert found.divergences is not None
    assert found.divergences <= 0.001 * 100 * 495


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_four_hundred_bases_rank_as_they_should_without_a_sampler() -> None:
    accepted(simulate_bases(400, seed=7))


# -- known parameters, studies of the real sizes

TRUE = {"walking_speed": (0.3, 0.8), "balance": (0.1, 0.6), "knee_pain": (0.5, 0.4), "disability": (0.2, 0.1),
        "quadriceps_strength": (0.1, 0.4), "body_fat": (0.0, 0.3)}  # fmt: skip


def recovered(bases: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True, found and SD (base, cell) of the gains in `TRUE`, from made-up values of the real studies."""
    design, gains = Design(observations(load_evidence())), gain_prior()
    cells = [(list(modalities()).index(way), list(outcomes()).index(name))
             for name in TRUE for way in ("walk_forward", "walk_backward")]  # fmt: skip
    wanted = np.array([value for pair in TRUE.values() for value in pair])
    loads = np.array([gains.loadings[cell] for cell in cells])
    base = np.array([gains.mean[cell] for cell in cells])
    # of all latent normals that give these gains, the most probable ones
    z = loads.T @ np.linalg.solve(loads @ loads.T, wanted - base)
    truth = draw_nuisances(bases, design.sources, seed)
    model = design.linearise(gains, truth)
    error = normals(bases, [f"recovery/{row.id}" for row in design.rows], seed)
    values = model.predict(np.broadcast_to(z, (bases, z.size))) + model.draw_noise(error)
    pool = draw_nuisances(4000, design.sources, seed + 1)
    mean, signal, noise = design.moments(gains, pool)
    found = []
    for i, published in enumerate(values):
        weights = normalised(log_evidence(published, mean, signal + noise))
        chosen: Nuisances = pool.take(resample(weights, 300, seed + i))
        after = design.draw_latent(published, gains, chosen, seed + i)
        found.append(base + after @ loads.T)
    draws = np.array(found)
    return wanted, draws.mean(axis=1), draws.std(axis=1)


def check_recovery(bases: int, seed: int, least: float) -> None:
    true, mean, sd = recovered(bases, seed)
    inside = np.abs(mean - true) < 1.645 * sd
    assert inside.mean() > least
    prior_mean = 0.2
    before, after = np.abs(prior_mean - true), np.abs(mean.mean(axis=0) - true)
    far = before > 0.15  # where the truth differs from what is believed beforehand, studies pull towards it
    assert far.sum() >= 4
    assert (after[far] < before[far]).all()
    assert np.corrcoef(true, mean.mean(axis=0))[0, 1] > 0.8


def test_known_gains_are_found_in_a_few_bases_of_the_real_sizes() -> None:
    check_recovery(16, 21, 0.75)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_known_gains_are_found_in_many_bases_of_the_real_sizes() -> None:
    check_recovery(200, 22, 0.82)


# -- what the priors expect


def test_the_priors_expect_plausible_trials() -> None:
    design, gains = Design(observations(load_evidence())), gain_prior()
    model = design.linearise(gains, draw_nuisances(2000, design.sources, 5))
    expected = model.predict(gains.draw_latent(2000, 5))
    contrast = np.array([len(row.arms) == 2 and row.trials == 1 for row in design.rows])
    some = expected[:, contrast]
    # a benefit is likelier than harm and neither is ruled out; nobody is cured, nobody crippled
    assert 0.5 < (some > 0).mean() < 0.85
    assert (np.abs(some) < 1.0).mean() > 0.9
    assert (np.abs(some) < 3.0).mean() > 0.995
    pain = [i for i, row in enumerate(design.rows) if row.outcome == "knee_pain" and row.unit == "points"]
    natural = expected[:, pain] * np.array([abs(design.rows[i].scale) for i in pain])
    assert np.quantile(np.abs(natural), 0.99) < 5.0


# -- the verb


def test_made_up_evidence_goes_to_a_page_and_makes_no_draws(tmp_path, capsys) -> None:
    page = tmp_path / "sbc.md"
    assert main(["calibrate", "--sbc", str(page), "-o", str(tmp_path)]) == 2
    assert "--sbc makes no draws" in capsys.readouterr().err
    assert main(["calibrate", "--sbc", str(tmp_path / "none" / "sbc.md")]) == 2
    assert "is no folder" in capsys.readouterr().err
    page.write_text("precious")
    with pytest.raises(InputError, match="holds something else"):
        check_page(page, TITLE)
    page.write_text(f"{TITLE}\n")
    check_page(page, TITLE)
