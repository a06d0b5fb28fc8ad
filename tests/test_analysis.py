"""Verdicts, forms of dose, identifiability, variations, studied ranges, and the pages made of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from retrowalk.calibrate import (
    DOSE_FORMS,
    FLOOR,
    Design,
    LinearDose,
    NoDose,
    ProgrammeTotal,
    Refits,
    Verdict,
    draw_nuisances,
    gain_prior,
    observations,
    score_verdicts,
    verdicts,
)
from retrowalk.calibrate.evaluation.claims import CLAIMS, evidence_page
from retrowalk.calibrate.evaluation.sensitivity import (
    CLAIMED,
    all_gains,
    body_fat_in_percent,
    contrary_sources,
    correlated_pairs,
    further_trials,
    gain_row,
    headline_rows,
    influential_studies,
    own_data,
    second_imputations,
    second_reading,
    with_verdicts,
)
from retrowalk.catalogue import modalities
from retrowalk.errors import InputError
from retrowalk.evidence import load_evidence, studied

ROWS = observations(load_evidence())


# -- verdicts


def test_the_knee_trials_own_verdict_on_direction_is_used_nowhere() -> None:
    reported = verdicts(load_evidence())
    assert reported
    assert not any("forward" in arm for verdict in reported if verdict.row.source == "alghadir2019"
                   for arm in verdict.row.arms)  # fmt: skip


def test_the_chance_of_a_verdict_is_the_tail_beyond_its_bar() -> None:
    row = gain_row("knee_pain", "walk_backward", se=0.2)
    yes, no = (Verdict(row, 0.4, significant) for significant in (True, False))
    mean, sd = np.array([0.3]), np.array([0.5])
    better, worse = norm.sf(0.4, 0.3, 0.5), norm.cdf(-0.4, 0.3, 0.5)
    assert yes.chance(mean, sd)[0] == pytest.approx(better)
    assert no.chance(mean, sd)[0] == pytest.approx(1 - better - worse)
    assert yes.chance(np.array([-9.0]), sd)[0] == FLOOR


def test_verdicts_below_their_base_rate_get_no_weight() -> None:
    found = score_verdicts(ROWS, verdicts(load_evidence()), seed=1, candidates=400)
    assert found.chances.shape == found.base.shape == (len(found.verdicts),)
    assert found.lead < 0
    assert found.weight == 0.0
    assert found.lead_se > 0


def test_verdicts_at_weight_nought_change_nothing() -> None:
    heads = headline_rows()
    found = with_verdicts(load_evidence(), heads, 0.0, seed=2, candidates=4000, steps=200)
    refits = Refits.of((*ROWS, *heads), seed=2, candidates=4000)
    mean, sd = (part[len(ROWS) :] for part in refits.predict(lambda row: row.source != "gain"))
    assert found.effective_size is not None
    assert found.effective_size > 100
    assert np.abs((found.mean - mean) / sd).max() < 0.35


# -- forms of dose


def test_all_forms_agree_on_the_reference_programme() -> None:
    rows = (gain_row("knee_pain", "walk_forward"),)
    nuisances = draw_nuisances(20, ("gain",), 1)
    place = list(modalities()).index("walk_forward")
    for form in DOSE_FORMS.values():
        np.testing.assert_allclose(form(rows).exposures(nuisances)[:, 0, place], 1.0)


def test_forms_differ_in_what_twice_the_dose_does() -> None:
    nuisances = draw_nuisances(20, Design(ROWS).sources, 1)
    by_form = {form: form(ROWS).exposures(nuisances) for form in (Design, LinearDose, NoDose, ProgrammeTotal)}
    place, back = [row.id for row in ROWS].index("murtagh2015/vo2max"), 0
    held = {form: float(found[:, place, back].mean()) for form, found in by_form.items()}
    assert held[NoDose] == pytest.approx(1.0)
    assert held[LinearDose] > held[Design] > 1.0
    assert held[ProgrammeTotal] > 1.0


# -- what the evidence can tell


def test_a_headline_row_predicts_the_gain_itself() -> None:
    gains, rows = gain_prior(), all_gains()
    design = Design(rows)
    model = design.linearise(gains, draw_nuisances(2, design.sources, 1))
    names = list(modalities())
    for i, row in enumerate(rows):
        component = names.index(row.arms[0].rpartition("/")[2])
        np.testing.assert_allclose(model.mean[:, i], gains.mean[component, design.places[i]])
        np.testing.assert_allclose(model.loadings[0, i], gains.loadings[component, design.places[i]])


def test_own_rows_narrow_their_cell_and_cells_without_rows_are_prior_driven() -> None:
    found = {(row.outcome, row.component): row for row in own_data(ROWS, seed=1, candidates=300)}
    assert found["cognition", "walk_backward"].prior_driven
    assert found["cognition", "walk_backward"].rows == 0
    assert found["body_fat", "walk_forward"].contraction > 0.4
    assert found["walking_speed", "walk_backward"].rows >= 6
    assert all(row.after <= 1.1 * row.prior for row in found.values())


def test_pairs_of_gains_that_correlate_are_named() -> None:
    rng = np.random.default_rng(1)
    first, other = rng.normal(size=(2, 500))
    cells = np.column_stack([first, other, -first + 0.1 * other, np.zeros(500)])
    ((one, two, value),) = correlated_pairs(cells, ["a", "b", "c", "d"])
    assert (one, two) == ("a", "c")
    assert value < -0.9


def test_a_further_trial_narrows_what_it_measures_most() -> None:
    found = further_trials(ROWS, seed=1, candidates=200)
    assert {name for name, *_ in found} == set(CLAIMED)
    assert all(after < now for _, now, after, _ in found)
    assert found[0][3] == max(line[3] for line in found)


def test_each_headline_names_the_study_that_moves_it_most() -> None:
    found = {name: line for name, *line in influential_studies(ROWS, seed=1, candidates=300)}
    assert found["stride_length: backward - forward"][2] == "wang2018_gait_MA"
    assert found["cognition: backward"][3] == pytest.approx(0.0, abs=1e-6)


# -- other decisions


def test_the_other_reading_of_body_fat_replaces_the_first() -> None:
    rows = {row.id: row for row in observations(body_fat_in_percent(load_evidence()))}
    assert "terblanche2005/body_fat_points" not in rows
    assert rows["terblanche2005/body_fat_percent"].unit == "%"
    assert len(rows) == len(ROWS)


def test_the_second_reader_changes_imputed_items_alone() -> None:
    evidence = load_evidence()
    for row in second_imputations():
        arm = evidence.arm(row.arm)
        assert row.item in arm.imputed, f"{row.arm}: {row.item} is stated"
        assert getattr(arm, row.item) != row.value
        assert row.reason
    changed = second_reading(evidence)
    assert changed.arm("yang2005/backward").speed == 0.2
    assert len(observations(changed)) == len(ROWS)


def test_contrary_studies_are_found_in_the_tables() -> None:
    assert "ryu2009_2010_strength" in contrary_sources(load_evidence())


# -- studied ranges


def test_ranges_hold_what_arms_state() -> None:
    found = studied("walk_backward")
    assert found.arms > 20
    assert found.minutes is not None
    low, high = found.minutes
    assert low < high == found.limit("minutes")
    assert 6 < found.limit("weeks") < 52
    assert found.limit("speed") < 9.0
    assert {"knee_oa", "young_women"} <= set(found.populations)


def test_what_nobody_studied_is_all_beyond() -> None:
    found = studied("swimming")
    assert found.arms == 0
    assert found.populations == ()
    assert found.limit("minutes") is None
    with pytest.raises(InputError, match="did you mean 'walk_backward'"):
        studied("walk_backwards")


# -- the page


def test_the_page_is_the_committed_one_and_has_all_claims(pytestconfig) -> None:
    text = evidence_page()
    for claim in CLAIMS:
        assert f"## {claim.title}" in text
    assert "evidence: acute only" in text
    assert (pytestconfig.rootpath / "results" / "evidence.md").read_text(encoding="utf-8") == text
