"""The page in plain words: of the shipped draws, all five claims, checked against what was published."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from retrowalk.calibrate import calibrate, cost_changes
from retrowalk.calibrate.evaluation.claims import CLAIMS, predictive_checks
from retrowalk.evidence import load_evidence
from retrowalk.parameters import load_posterior, posterior_digest

RESULTS = Path(__file__).parent.parent / "results"


@pytest.fixture(scope="module")
def fitted():
    return calibrate(draws=500, candidates=4000, verdict_weight=0.0)


@pytest.fixture(scope="module")
def checks(fitted):
    return predictive_checks(fitted)


def test_every_claim_is_checked(checks) -> None:
    assert {check.claim for check in checks} == {claim.title for claim in CLAIMS}
    costs = [check for check in checks if check.what.startswith("fall of oxygen cost")]
    assert len(costs) == len(cost_changes(load_evidence()))


def test_the_model_can_make_what_was_published_of_its_own_rows(checks) -> None:
    pooled = [check for check in checks if check.p is not None and check.what.startswith("mean of")]
    # of every claim with numbers on backward training
    assert {check.claim for check in pooled} == {claim.title for claim in CLAIMS} - {"Brain"}
    for check in pooled:
        assert 0.02 < check.p < 0.98, check


def test_a_number_no_model_of_these_studies_could_make_is_seen(fitted) -> None:
    moved = tuple(dataclasses.replace(row, value=row.value + 3.0) for row in fitted.rows)
    knee = [claim for claim in CLAIMS if claim.title == "Knee"]
    off = predictive_checks(dataclasses.replace(fitted, rows=moved), knee)
    assert off[0].p is not None
    assert off[0].p < 0.01


def test_training_is_not_said_to_move_the_brain(checks) -> None:
    (brain,) = (check for check in checks if check.claim == "Brain")
    assert brain.published == "no number"
    gain = load_posterior()["gain"].sel(component="walk_backward", outcome="cognition").values
    assert abs(float(np.mean(gain))) < 0.02


def test_the_committed_page_is_of_the_shipped_draws() -> None:
    page = (RESULTS / "evidence.md").read_text(encoding="utf-8")
    assert f"`{posterior_digest()[:12]}`" in page
    assert all(f"## {claim.title}" in page for claim in CLAIMS)
    assert "Would the model bring back what was published?" in page
