"""Design rows against the model, the closed form against textbook results, known gains found again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, lognorm, multivariate_normal

from retrowalk.calibrate import (
    Design,
    LinearModel,
    Prior,
    Refits,
    calibrate,
    digest,
    draw_nuisances,
    effective_size,
    exposure,
    gain_prior,
    log_evidence,
    natural_change,
    normals,
    observations,
    outcome_prior,
    prior,
    priors,
    resample,
    save,
    stratified,
    study_protocol,
    thinning_order,
    time_constants,
)
from retrowalk.catalogue import baseline, modalities, outcomes, populations
from retrowalk.cli import main
from retrowalk.errors import InputError
from retrowalk.evidence import Arm, Effect, Evidence, Source, load_evidence
from retrowalk.model.links import Link
from retrowalk.model.reference import arm_response

COMPONENTS = list(modalities())
OUTCOMES = list(outcomes())
GROUPS = [row.group for row in modalities().values()]


def walking(name: str, component: str = "walk_forward", **changes: object) -> Arm:
    """The reference programme, or a change of it."""
    row = {"id": f"s/{name}", "source": "s", "name": name, "component": component, "speed": 1.0,
           "sessions_week": 3, "weeks": 6, "minutes": 20, **changes}  # fmt: skip
    return Arm.model_validate(row)


REST = Arm.model_validate({"id": "s/rest", "source": "s", "name": "rest", "sessions_week": 0, "weeks": 6})


# -- what an arm's end point holds of each gain


@pytest.mark.parametrize("arm_id", ["alghadir2019/retro", "terblanche2005/training", "rangey2016/control",
                                    "murtagh2015/forward", "rose2018/balance"])  # fmt: skip
@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_exposure_is_the_response_of_the_slow_reference(arm_id: str, gamma: float) -> None:
    arm = load_evidence().arm(arm_id)
    programme = study_protocol(arm, "knee_oa", None)
    programme = dataclasses.replace(programme, repeats=np.ones_like(programme.repeats))
    slow, fast, fraction = 40.0, 8.0, 0.3
    found = exposure(programme, *(np.array([x]) for x in (gamma, 0.0, slow, fast, fraction)))[0]
    for place in np.flatnonzero(programme.loads):
        # a member who comes with probability a responds on average with a times the response
        gains = np.eye(len(COMPONENTS))[place]
        expected = sum(
            share * arm_response(
                programme.loads[None, :], [day], GROUPS, gains, 0.0, fraction, slow, fast, gamma, 1.0, [True],
                [programme.assessment],
            )[0]
            for day, share in zip(programme.days, programme.share, strict=True)
        )  # fmt: skip
        assert found[place] == pytest.approx(expected, rel=1e-12)
    assert (found[programme.loads == 0] == 0).all()


@given(gamma=st.floats(0.05, 1.0), tau=st.floats(10.0, 200.0), fraction=st.floats(0.0, 0.9))
def test_the_reference_programme_is_one_for_whoever_always_comes(
    gamma: float, tau: float, fraction: float
) -> None:
    programme = study_protocol(walking("a"), "knee_oa", None)
    everybody = dataclasses.replace(programme, share=np.ones_like(programme.share))
    found = exposure(everybody, *(np.array([x]) for x in (gamma, 0.0, tau, 7.0, fraction)))[0]
    assert programme.assessment == 42.0
    assert found[COMPONENTS.index("walk_forward")] == pytest.approx(1.0)


def test_attendance_and_stated_completion_lower_the_exposure() -> None:
    stays = study_protocol(walking("a"), "knee_oa", None)
    leaves = study_protocol(walking("a", completion=0.81), "knee_oa", None)
    assert stays.share.tolist() == [populations()["knee_oa"].attendance] * 18
    # nobody leaves within the first week; after three of the six weeks the root of the completion is left
    np.testing.assert_allclose((leaves.share / stays.share)[[0, 2, 9]], [1.0, 1.0, 0.9])


def test_an_uncertain_dose_acts_through_the_dose_exponent() -> None:
    programme = study_protocol(
        walking("a", minutes_imputed=True, imputed_reason="x", dose_log_sd=0.4), "", None
    )
    twice = study_protocol(walking("a", minutes=20 * np.exp(0.4)), "", None)
    rest = [np.array([x]) for x in (50.0, 7.0, 0.2)]
    up = exposure(programme, np.array([0.5]), np.array([1.0]), *rest)
    np.testing.assert_allclose(up, exposure(twice, np.array([0.5]), np.array([0.0]), *rest))


def test_two_sessions_on_a_day_are_two_sessions_load() -> None:
    programme = study_protocol(walking("a", sessions_week=14, weeks=1), "", None)
    double = study_protocol(walking("a", sessions_week=7, weeks=1, minutes=40), "", None)
    arguments = [np.array([x]) for x in (0.4, 0.0, 50.0, 7.0, 0.2)]
    assert programme.repeats.tolist() == [2.0] * 7
    np.testing.assert_allclose(exposure(programme, *arguments), exposure(double, *arguments))


def test_days_after_the_last_session_are_counted_where_stated() -> None:
    assert study_protocol(walking("a"), "", 30.0).assessment == 39 + 30
    assert study_protocol(walking("a", sessions_week=5, weeks=3), "", None).assessment == 21


def test_a_programme_without_minutes_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"s/a trains but lacks .* minutes"):
        study_protocol(walking("a", minutes=None), "", None)


# -- published numbers on one scale


def test_every_row_comes_back_to_its_published_number() -> None:
    evidence = load_evidence()
    rows = observations(evidence)
    assert [row.id for row in rows] == [effect.id for effect in evidence.effects if effect.role == "fit"]
    for row in rows:
        effect = evidence.effect(row.id)
        assert row.value * row.scale == pytest.approx(effect.value)
        assert row.se > 0


def test_verdicts_stay_out_above_all_the_knee_trials_own() -> None:
    evidence = load_evidence()
    used = {row.id for row in observations(evidence)}
    left_out = {effect.id for effect in evidence.effects if effect.role == "verdict" or effect.value is None}
    assert not used & left_out
    assert "alghadir2019/pain_retro_forward" in left_out


def test_benefit_is_positive_whatever_the_scale_of_the_outcome() -> None:
    rows = {row.id: row for row in observations(load_evidence())}
    for name in ("alghadir2019/pain_retro_control", "yang2005/speed_contrast", "wang2019_balance_MA/balance"):
        assert rows[name].value > 0


@pytest.mark.parametrize("outcome", ["knee_pain", "walking_speed", "balance"])
def test_a_small_change_on_the_link_scale_moves_the_mean_by_its_share(outcome: str) -> None:
    row, cell = (
        outcomes()[outcome],
        baseline("chronic_stroke" if outcome != "knee_pain" else "knee_oa", outcome),
    )
    link = Link(row.link, row.lower, row.upper)
    mu, sd = link.from_moments(cell.mean, cell.sd)
    eta = mu + sd * normals(20_000, ["people"], 1)[:, 0]
    moved = (link.inverse(eta + 0.05 * sd) - link.inverse(eta)).mean() / 0.05
    population = "knee_oa" if outcome == "knee_pain" else "chronic_stroke"
    assert natural_change(population, outcome) == pytest.approx(moved, rel=0.03)


def test_overlap_with_trials_that_enter_themselves_widens_a_pooled_row() -> None:
    evidence = load_evidence()
    row = next(row for row in observations(evidence) if row.id == "wang2018_gait_MA/stride_forward")
    overlap = evidence.source(row.source).overlap_share
    assert overlap
    assert row.se == pytest.approx(evidence.effect(row.id).se / np.sqrt(1 - overlap))


def test_the_digest_sees_numbers_and_priors_but_not_reasons() -> None:
    rows, table = observations(load_evidence()), priors()
    reworded = (table[0].model_copy(update={"reason": "other words"}), *table[1:])
    moved = (table[0].model_copy(update={"location": 0.3}), *table[1:])
    other = (dataclasses.replace(rows[0], value=rows[0].value + 0.01), *rows[1:])
    assert digest([rows, table]) == digest([rows, reworded])
    assert len({digest([rows, table]), digest([rows, moved]), digest([other, table])}) == 3


# -- errors that hang together


def test_rows_of_one_trial_share_people_and_arms() -> None:
    rows = {row.id: row for row in observations(load_evidence())}
    names = ("alghadir2019/pain_retro_control", "alghadir2019/pain_control",
             "alghadir2019/disability_retro_control", "yang2005/speed_contrast")  # fmt: skip
    design = Design(tuple(rows[name] for name in names))
    se = np.sqrt(np.diagonal(design.sampling))
    correlation = design.sampling / se[:, None] / se
    assert correlation[0, 1] == pytest.approx(-0.7149)
    assert correlation[0, 2] == pytest.approx(0.3)
    assert correlation[1, 2] == pytest.approx(-0.3 * 0.7149)
    assert (correlation[3, :3] == 0).all()
    # two arms that train, then one; the control's own deviation lowers the contrast
    np.testing.assert_allclose(design.between[:2, :2], [[1.0, -0.5], [-0.5, 0.5]])
    assert design.between[0, 2] == 0


def test_the_covariance_of_all_rows_is_positive_definite() -> None:
    design = Design(observations(load_evidence()))
    nuisances = draw_nuisances(50, design.sources, 3)
    assert np.linalg.eigvalsh(design.linearise(gain_prior(), nuisances).noise).min() > 0


def test_only_changes_within_one_arm_drift() -> None:
    design = Design(observations(load_evidence()))
    for row, mean, variance in zip(design.rows, design.drift, np.diagonal(design.drifting), strict=True):
        assert (mean > 0) == (variance > 0) == (len(row.arms) == 1)


# -- priors


def test_the_prior_of_gains_is_the_one_in_the_table() -> None:
    gains = gain_prior()
    sd = np.sqrt((gains.loadings**2).sum(axis=-1))
    forward, backward = np.hypot(0.25, 0.15), np.sqrt(2 * (0.25**2 + 0.15**2))
    pain, fat, mind = (OUTCOMES.index(name) for name in ("knee_pain", "body_fat", "cognition"))
    assert gains.mean[0, pain] == gains.mean[1, pain] == 0.2
    np.testing.assert_allclose(sd[:2, pain], [forward, backward])
    np.testing.assert_allclose(sd[:4, mind], 0.1)
    assert (gains.mean[:, mind] == 0).all()
    covariance = np.einsum("cl,dl->cd", gains.loadings[:, pain], gains.loadings[:, fat])
    assert (covariance == 0).all()  # nothing is borrowed across families
    within = gains.loadings[0, pain] @ gains.loadings[0, OUTCOMES.index("disability")]
    assert within == pytest.approx(0.25**2)
    difference = gains.loadings[1, pain] - gains.loadings[0, pain]
    assert difference @ gains.loadings[0, pain] == 0  # it owes nothing to the forward gain


@pytest.mark.parametrize(("row", "reference"), [
    (outcome_prior("tau_fitness", "knee_pain"), lognorm(0.6, scale=42)),
    (outcome_prior("fatigue_fraction", "vo2max"), beta(2, 6)),
])  # fmt: skip
def test_quantiles_are_those_of_scipy(row: Prior, reference: object) -> None:
    share = np.array([0.01, 0.3, 0.5, 0.99])
    np.testing.assert_allclose(row.quantile(share), reference.ppf(share))  # type: ignore[attr-defined]


def test_the_nearest_scope_wins_and_a_missing_one_is_named() -> None:
    assert outcome_prior("fatigue_fraction", "body_fat").distribution == "constant"
    assert outcome_prior("tau_fitness", "body_fat").location == 60
    assert outcome_prior("tau_fitness", "balance") == outcome_prior("tau_fitness", "walking_speed")
    with pytest.raises(InputError, match="no row for tau_delay of vo2max"):
        prior("tau_delay", "vo2max")
    with pytest.raises(ValueError, match="needs a scale"):
        Prior(quantity="x", scope="any", distribution="normal", location=0, unit="1", reason="none")


def test_time_courses_pull_a_constant_towards_them_and_narrow_it() -> None:
    evidence = load_evidence()
    for row in time_constants():
        assert evidence.effect(row.effect).role in ("time_constant", "retention")
    weak, vo2max = 0.6, outcome_prior("tau_fitness", "vo2max")
    courses = [row for row in time_constants() if row.scope == "cardio_metabolic"]
    precision = weak**-2 + sum(row.log_sd**-2 for row in courses)
    assert vo2max.sd == pytest.approx(precision**-0.5)
    assert min(row.days for row in courses) < vo2max.location < 45
    assert outcome_prior("tau_fitness", "knee_pain").sd == weak  # no course is known


@given(number=st.integers(1, 300), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=40)
def test_one_share_falls_into_each_slice(number: int, seed: int) -> None:
    shares = stratified(number, "gain", seed)
    assert ((shares > 0) & (shares < 1)).all()
    assert sorted(np.floor(shares * number).astype(int)) == list(range(number))


def test_a_further_source_moves_nobody_elses_draws() -> None:
    few, more = (draw_nuisances(64, names, 5) for names in (("b",), ("a", "b")))
    np.testing.assert_array_equal(few.dose[:, 0], more.dose[:, 1])
    np.testing.assert_array_equal(few.tau_fitness, more.tau_fitness)
    assert (few.tau_fatigue < few.tau_fitness).all()


# -- the fit


def test_the_density_of_the_evidence_is_the_multivariate_normals() -> None:
    design, gains = Design(observations(load_evidence())), gain_prior()
    nuisances = draw_nuisances(3, design.sources, 1)
    mean, signal, noise = design.moments(gains, nuisances)
    full = design.linearise(gains, nuisances)
    np.testing.assert_allclose(signal, full.signal, atol=1e-12)  # dropped normals touch no row
    expected = [multivariate_normal(mean[d], signal[d] + noise[d]).logpdf(design.values) for d in range(3)]
    np.testing.assert_allclose(log_evidence(design.values, mean, signal + noise), expected)


def test_conditioned_draws_have_the_moments_of_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    loadings, noise = rng.normal(size=(4, 3)), np.diag([0.3, 0.2, 0.5, 0.1])
    values, number = np.array([1.0, -0.5, 0.2, 0.8]), 40_000
    model = LinearModel(*(np.broadcast_to(x, (number, *x.shape)) for x in (np.zeros(4), loadings, noise)))
    draws = model.condition(values, rng.normal(size=(number, 3)), rng.normal(size=(number, 4)))
    precision = np.eye(3) + loadings.T @ np.linalg.inv(noise) @ loadings
    np.testing.assert_allclose(np.cov(draws.T), np.linalg.inv(precision), atol=0.01)
    mean = np.linalg.solve(precision, loadings.T @ np.linalg.inv(noise) @ values)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.01)


def test_resampling_takes_each_candidate_as_often_as_it_weighs() -> None:
    weights = np.array([0.5, 0.0, 0.3, 0.2])
    counts = np.bincount(resample(weights, 1000, 4), minlength=4)
    np.testing.assert_allclose(counts, 1000 * weights, atol=1)
    assert effective_size(weights) == pytest.approx(1 / 0.38)


def synthetic(truth: dict[str, float], studies: int, se: float) -> Evidence:
    """Large trials of the reference programme against rest whose results are exactly true."""
    sources, arms, effects = [], [], []
    per_sd = natural_change("knee_oa", "knee_pain") * populations()["knee_oa"].attendance
    for i in range(studies):
        name = f"s{i}"
        sources.append(Source(id=name, citation="made up", design="rct"))
        for component in truth:
            arms.append(
                walking(component, component).model_copy(update={"id": f"{name}/{component}", "source": name})
            )
            effects.append(Effect(
                id=f"{name}/{component}_effect", source=name, arm_a=f"{name}/{component}",
                arm_b=f"{name}/rest", population="knee_oa", outcome="knee_pain", measure="pain",
                kind="contrast", unit="points", value=-truth[component] * per_sd,
                se=se, se_rung=1, role="fit", cluster=name,
            ))  # fmt: skip
        arms.append(REST.model_copy(update={"id": f"{name}/rest", "source": name}))
    return Evidence(tuple(sources), tuple(arms), tuple(effects))


def test_known_gains_are_found_again() -> None:
    truth = {"walk_forward": 0.1, "walk_backward": 0.8}
    found = calibrate(synthetic(truth, 30, 0.05), draws=400, candidates=2000)
    gain = -found.posterior["gain"].sel(outcome="knee_pain")
    for component, value in truth.items():
        own = gain.sel(component=component)
        assert float(own.std()) < 0.1
        assert float(own.mean()) == pytest.approx(value, abs=0.06)
    # 30 studies that agree leave no room for differences between studies
    assert float(found.posterior["heterogeneity"].mean()) < 0.1


def test_without_any_study_the_posterior_is_the_prior() -> None:
    refits = Refits.of(observations(load_evidence()), seed=2, candidates=300)
    mean, sd = refits.predict(lambda row: False)
    np.testing.assert_allclose(mean, refits.mean.mean(axis=0))
    variance = np.diagonal(refits.signal, axis1=1, axis2=2).mean(axis=0) + refits.mean.var(axis=0)
    np.testing.assert_allclose(sd, np.sqrt(variance))


def test_refits_agree_with_the_draws() -> None:
    found = calibrate(draws=600, candidates=6000, verdict_weight=0.0)
    mean, sd = Refits.of(found.rows, seed=1, candidates=6000).predict(lambda row: True)
    off = (found.expected.mean(axis=0) - mean) / sd
    assert np.abs(off).max() < 0.35
    np.testing.assert_allclose(found.expected.std(axis=0), sd, rtol=0.35)


def test_same_seed_same_files_and_another_seed_others(tmp_path) -> None:
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        paths = save(calibrate(draws=50, candidates=200, seed=seed, verdict_weight=0.0), tmp_path / name)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_the_first_draws_represent_all(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(3.0, size=(400, 12))
    order = thinning_order(values)
    assert sorted(order) == list(range(400))
    off = np.abs((values[order[:50]].mean(axis=0) - values.mean(axis=0)) / values.std(axis=0))
    assert off.max() < 0.07  # in random order one standard error is 0.13
    ratio = values[order[:50]].std(axis=0) / values.std(axis=0)
    assert ((ratio > 0.85) & (ratio < 1.15)).all()


# -- the verb


def test_a_missing_folder_is_refused_before_any_work(tmp_path, capsys) -> None:
    assert main(["calibrate", "-o", str(tmp_path / "none")]) == 2
    assert "none is no folder: make it first" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["posterior.nc", "prior.nc", "report.md"])
def test_what_is_not_ours_is_not_replaced(name: str, tmp_path, capsys) -> None:
    (tmp_path / name).write_text("precious")
    arguments = ["calibrate", "-o", str(tmp_path), "--report", str(tmp_path / "report.md")]
    assert main(arguments) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "precious"
