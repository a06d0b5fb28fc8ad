"""The shipped draws: whole, belonging to the shipped evidence, and claiming no more than it carries."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files

import numpy as np
import pytest
import xarray as xr

from retrowalk.calibrate import (
    DOSE_FORMS,
    Design,
    Diagnostics,
    exposure,
    mismatches,
    natural_change,
    observations,
    score_verdicts,
    study_protocol,
    verdicts,
)
from retrowalk.catalogue import modalities, outcomes
from retrowalk.cli import main
from retrowalk.errors import InputError
from retrowalk.evidence import Evidence, load_evidence
from retrowalk.parameters import UserGain, draw_parameters, load_posterior, posterior_digest, shipped_arrays

KINDS = ("posterior", "prior")
OUTCOMES = list(outcomes())


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_hold_what_the_engine_reads(kind) -> None:
    data = load_posterior(kind)
    assert set(data.sizes) == {"draw", "component", "outcome"}
    assert data["component"].values.tolist() == list(modalities())
    assert data["outcome"].values.tolist() == OUTCOMES
    assert all(np.isfinite(data[name]).all() for name in data.data_vars)
    assert bool(((data["dose_exponent"] > 0) & (data["dose_exponent"] <= 1)).all())
    assert bool(((data["fatigue_fraction"] >= 0) & (data["fatigue_fraction"] < 1)).all())
    assert bool((data["tau_fatigue"] < data["tau_fitness"]).all())
    assert bool((data["tau_fatigue"] > 0).all())
    assert bool((data["response_sd"] >= 0).all())
    assert (data["fatigue_fraction"].sel(outcome=["body_fat", "cognition"]) == 0).all()
    assert (files("retrowalk.parameters") / f"{kind}.nc").stat().st_size < 1_000_000  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_belong_to_the_shipped_evidence_priors_and_model(kind) -> None:
    record = json.loads(load_posterior(kind).attrs["calibration"])
    assert not mismatches(record, load_evidence()), "run `retrowalk calibrate` again and commit the files"
    assert record["kind"] == kind


def effects_with(evidence: Evidence, part: str, **changes: object) -> Evidence:
    """The tables with the first row of a role changed."""
    place = next(
        i for i, row in enumerate(evidence.effects) if row.role == part and row.outcome and row.value
    )
    rows = list(evidence.effects)
    rows[place] = rows[place].model_copy(update=changes)
    return dataclasses.replace(evidence, effects=tuple(rows))


def longer(evidence: Evidence) -> Evidence:
    """The tables with one more minute in an arm that is fitted."""
    name = next(row.arm_a for row in evidence.effects if row.role == "fit")
    arms = tuple(
        arm.model_copy(update={"minutes": arm.minutes + 1}) if arm.id == name else arm
        for arm in evidence.arms
    )
    return dataclasses.replace(evidence, arms=arms)


CHANGED = {
    "a fitted value": (lambda e: effects_with(e, "fit", value=-0.7), "evidence"),
    "a fitted error": (lambda e: effects_with(e, "fit", se=0.5), "evidence"),
    "an arm's minutes": (longer, "evidence"),
    "a row less": (lambda e: effects_with(e, "fit", role="check"), "rows"),
    "a change of oxygen cost": (lambda e: effects_with(e, "habituation", value=-20.0), "beside"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_files_of_other_evidence_are_told_apart(name: str) -> None:
    change, part = CHANGED[name]
    record = json.loads(load_posterior().attrs["calibration"])
    assert part in mismatches(record, change(load_evidence()))


def test_a_verdict_that_changes_is_seen() -> None:
    evidence = load_evidence()
    asked = {verdict.row.id for verdict in verdicts(evidence)}
    rows = tuple(
        row.model_copy(update={"n_a": row.n_a + 5}) if row.id in asked and row.n_a else row
        for row in evidence.effects
    )
    record = json.loads(load_posterior().attrs["calibration"])
    assert mismatches(record, dataclasses.replace(evidence, effects=rows)) == ["beside"]


class _StrongerByAPerCent(Design):
    def exposures(self, nuisances):
        return 1.01 * super().exposures(nuisances)


@pytest.mark.parametrize("form", [_StrongerByAPerCent, *list(DOSE_FORMS.values())[1:]])
def test_another_model_on_the_same_tables_is_told_apart(form) -> None:
    record = json.loads(load_posterior().attrs["calibration"])
    assert mismatches(record, load_evidence(), form=form) == ["mark"]


def test_verdicts_are_out_of_the_shipped_draws_because_they_are_predicted_below_their_base_rate() -> None:
    evidence = load_evidence()
    scores = score_verdicts(observations(evidence), verdicts(evidence), seed=5, candidates=500)
    record = json.loads(load_posterior().attrs["calibration"])
    assert record["verdict_weight"] == scores.weight
    assert (scores.weight > 0) == (scores.lead > 0)


def test_the_two_files_differ_and_say_so_in_their_digests() -> None:
    assert posterior_digest("posterior") != posterior_digest("prior")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    assert main(["-q", "calibrate", "--exact", "-o", str(folder)]) == 0
    return folder


def test_the_fit_without_a_sampler_agrees_with_the_shipped_draws(regenerated) -> None:
    shipped, again = load_posterior(), xr.load_dataset(regenerated / "posterior.nc", engine="h5netcdf")
    for name in shipped.data_vars:
        spread = shipped[name].std("draw")
        assert bool((abs(again[name].mean("draw") - shipped[name].mean("draw")) <= 0.5 * spread + 1e-9).all())
    spread = shipped["gain"].std("draw")
    np.testing.assert_allclose(again["gain"].std("draw"), spread, rtol=0.25)


def test_the_command_makes_the_shipped_prior_again(regenerated) -> None:
    shipped, again = load_posterior("prior"), xr.load_dataset(regenerated / "prior.nc", engine="h5netcdf")
    assert shipped.attrs["calibration"] == again.attrs["calibration"]
    for name in shipped.data_vars:
        # moments, because another processor's last bits may exchange a draw for its neighbour
        spread = shipped[name].std("draw")
        assert bool(
            (abs(again[name].mean("draw") - shipped[name].mean("draw")) <= 0.02 * spread + 1e-9).all()
        )
        assert bool((abs(again[name].std("draw") - spread) <= 0.02 * spread + 1e-9).all())


def test_the_shipped_draws_passed_their_diagnostics() -> None:
    record = json.loads(load_posterior().attrs["calibration"])
    found = Diagnostics(**record["diagnostics"])
    assert found.faults() == []
    assert found.chains == 4
    assert found.parameters > 100


def test_the_committed_report_is_of_the_shipped_rows_and_diagnostics(pytestconfig) -> None:
    text = (pytestconfig.rootpath / "results" / "parameters.md").read_text(encoding="utf-8")
    for row in observations(load_evidence()):
        assert f"| {row.id} |" in text
    found = Diagnostics(**json.loads(load_posterior().attrs["calibration"])["diagnostics"])
    assert f"largest R-hat is {found.r_hat:.3f}" in text
    assert f"smallest tail ESS {found.ess_tail:.0f}" in text


@pytest.mark.long
def test_the_report_is_the_one_the_command_writes_but_for_the_sampler(tmp_path, pytestconfig) -> None:
    arguments = ["-q", "calibrate", "--exact", "-o", str(tmp_path), "--report", str(tmp_path / "report.md")]
    assert main(arguments) == 0
    committed = pytestconfig.rootpath / "results" / "parameters.md"
    rows = [
        [line.split("|")[1] for line in path.read_text(encoding="utf-8").splitlines() if "|" in line]
        for path in (tmp_path / "report.md", committed)
    ]
    assert rows[0] == rows[1]


def beneficial(kind) -> xr.DataArray:
    signs = [1.0 if row.better == "higher" else -1.0 for row in outcomes().values()]
    return load_posterior(kind)["gain"] * xr.DataArray(signs, {"outcome": OUTCOMES}, "outcome")


@pytest.mark.parametrize(("component", "outcome"), [
    ("walk_backward", "knee_pain"), ("walk_backward", "walking_speed"), ("walk_backward", "stride_length"),
    ("walk_forward", "vo2max"), ("walk_forward", "body_fat"), ("walk_backward", "balance"),
])  # fmt: skip
def test_data_narrow_what_they_speak_of(component: str, outcome: str) -> None:
    spread = [float(beneficial(kind).sel(component=component, outcome=outcome).std()) for kind in KINDS]
    assert spread[0] < 0.75 * spread[1]


@pytest.mark.parametrize("component", ["tempo", "hills", "cycling", "swimming", "weights"])
def test_cells_without_a_study_stay_as_the_priors_are(component: str) -> None:
    after, before = (beneficial(kind).sel(component=component) for kind in KINDS)
    np.testing.assert_allclose(after.mean("draw"), before.mean("draw"), atol=0.02)
    np.testing.assert_allclose(after.std("draw"), before.std("draw"), rtol=0.05)


def test_no_training_effect_on_cognition_is_claimed() -> None:
    gain = beneficial("posterior").sel(outcome="cognition")
    share = (gain > 0).mean("draw")
    assert bool(((share > 0.4) & (share < 0.6)).all())
    assert bool((abs(gain) < 0.5).all())


def test_no_direction_is_claimed_for_knees() -> None:
    gain = beneficial("posterior").sel(outcome=["knee_pain", "disability"])
    difference = gain.sel(component="walk_backward") - gain.sel(component="walk_forward")
    low, high = np.quantile(difference, [0.05, 0.95], axis=difference.get_axis_num("draw"))
    assert (low < 0).all()
    assert (high > 0).all()


@pytest.mark.parametrize(("outcome", "published", "tolerance"), [
    ("knee_pain", -0.8, 0.3), ("disability", -2.6, 2.0),
])  # fmt: skip
def test_the_knee_trial_comes_back_near_its_published_contrast(
    outcome: str, published: float, tolerance: float
) -> None:
    data, k, evidence = load_posterior(), OUTCOMES.index(outcome), load_evidence()
    gamma = data["dose_exponent"].values
    of_outcome = [data[name].values[:, k] for name in ("tau_fitness", "tau_fatigue", "fatigue_fraction")]
    change = []
    for arm in ("retro", "control"):
        programme = study_protocol(evidence.arm(f"alghadir2019/{arm}"), "knee_oa", None)
        held = exposure(programme, gamma, np.zeros_like(gamma), *of_outcome)
        change.append((held * data["gain"].values[:, :, k]).sum(axis=1))
    contrast = (change[0] - change[1]).mean() * natural_change("knee_oa", outcome)
    assert contrast == pytest.approx(published, abs=tolerance)


def test_the_first_draws_stand_for_all() -> None:
    gain = load_posterior()["gain"].sel(component=["walk_forward", "walk_backward"])
    few = gain.isel(draw=slice(50))
    assert float((abs(few.mean("draw") - gain.mean("draw")) / gain.std("draw")).max()) < 0.1


def test_drawn_parameters_are_the_first_draws_of_the_outcomes_asked_for() -> None:
    found = draw_parameters(7, ["vo2max", "knee_pain"])
    data = load_posterior().isel(draw=slice(7))
    np.testing.assert_allclose(found.gain, data["gain"].sel(outcome=["vo2max", "knee_pain"]))
    assert found.gain.shape == (7, len(modalities()), 2)
    assert found.digest == posterior_digest()
    number = load_posterior().sizes["draw"]
    with pytest.raises(InputError, match=f"{number + 1} were asked for, {number} ship"):
        draw_parameters(number + 1, ["vo2max"])


def test_a_users_gain_replaces_its_cell_alone() -> None:
    own = UserGain("walk_backward", "knee_pain", mean=-0.6, sd=0.1)
    plain, changed = draw_parameters(200, OUTCOMES), draw_parameters(200, OUTCOMES, gains=[own])
    cell = changed.components.index("walk_backward"), OUTCOMES.index("knee_pain")
    drawn = changed.gain[:, cell[0], cell[1]]
    assert drawn.mean() == pytest.approx(-0.6, abs=0.005)
    assert drawn.std() == pytest.approx(0.1, rel=0.05)
    gain = changed.gain.copy()
    gain[:, cell[0], cell[1]] = plain.gain[:, cell[0], cell[1]]
    np.testing.assert_array_equal(gain, plain.gain)


def test_runs_share_drawn_parameters_and_cannot_change_them() -> None:
    found = draw_parameters(5, ["vo2max"])
    assert draw_parameters(5, ["vo2max"]) is found
    for values in (found.gain, found.tau_fitness, found.dose_exponent):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = 0.0


@pytest.mark.parametrize("kind", ["posterior", "prior"])
def test_the_numbers_without_labels_are_those_with_labels_bit_for_bit(kind) -> None:
    numbers, data = shipped_arrays(kind), load_posterior(kind)
    assert numbers.components == tuple(data["component"].values)
    assert numbers.outcomes == tuple(data["outcome"].values)
    for name, values in numbers.values.items():
        assert values.tobytes() == data[name].values.astype("f8").tobytes(), name
        assert values.shape == data[name].shape


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(InputError, match="choose 'posterior' or 'prior'"):
        load_posterior("guess")  # type: ignore[arg-type]
