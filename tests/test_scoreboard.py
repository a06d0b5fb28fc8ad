"""Predictions of published results: exact where the answer is known, honest about what is in the fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from cli_runner import retrowalk
from retrowalk.calibrate import observations, read_studies
from retrowalk.calibrate.evaluation.pages import KEYS, as_json, reasons_section
from retrowalk.calibrate.evaluation.scoreboard import (
    RIVALS,
    Predictive,
    coverage_band,
    package_board,
    repeated_outcomes,
    rival_refits,
    user_board,
)
from retrowalk.calibrate.evaluation.sensitivity import gain_row
from retrowalk.calibrate.evaluation.targets import reasons, simulate_results
from retrowalk.cli import main
from retrowalk.errors import DocumentError
from retrowalk.evidence import Arm, Effect, Source, load_evidence

FEW = {"seed": 3, "candidates": 600}


@pytest.fixture(scope="module")
def in_sample():
    return package_board(**FEW)


@pytest.fixture(scope="module")
def left_out():
    return package_board(leave_one_out=True, **FEW)


# -- the distribution of a result


@given(mean=st.floats(-5, 5), sd=st.floats(0.1, 3), share=st.floats(0.01, 0.99), at=st.floats(-5, 5))
@settings(max_examples=50)
def test_a_mixture_of_equal_parts_is_that_part(mean: float, sd: float, share: float, at: float) -> None:
    found = Predictive(np.full(3, 1 / 3), np.full((3, 1), mean), np.full((3, 1), sd))
    own = norm(mean, sd)
    assert found.centre[0] == pytest.approx(mean)
    assert found.spread[0] == pytest.approx(sd)
    assert found.below(np.array([at]))[0] == pytest.approx(own.cdf(at))
    assert found.log_density(np.array([at]))[0] == pytest.approx(own.logpdf(at))
    assert found.quantile(share)[0] == pytest.approx(own.ppf(share), abs=1e-6)


def test_quantiles_of_a_mixture_turn_its_distribution_back() -> None:
    found = Predictive(np.array([0.7, 0.3]), np.array([[0.0], [4.0]]), np.array([[1.0], [0.5]]))
    for share in (0.05, 0.5, 0.9):
        assert found.below(found.quantile(share))[0] == pytest.approx(share, abs=1e-7)
    assert found.spread[0] ** 2 == pytest.approx(0.7 + 0.3 * 0.25 + 0.21 * 16)


def test_a_new_trial_is_less_certain_than_its_expectation() -> None:
    rows = observations(load_evidence())
    refits = rival_refits("retrowalk", rows, **FEW)
    everything = np.arange(len(rows))
    found = Predictive.of(refits, everything, everything)
    expected = refits.predict(lambda row: True)
    np.testing.assert_allclose(found.centre, expected[0], atol=1e-4)
    assert (found.spread > np.hypot(expected[1], 0.99 * np.array([row.se for row in rows]))).all()


# -- rivals


def test_no_effect_expects_drift_alone() -> None:
    rows = observations(load_evidence())
    found = Predictive.of(rival_refits("no_effect", rows, **FEW), np.arange(len(rows)), np.arange(len(rows)))
    for row, centre in zip(rows, found.centre, strict=True):
        if row.drift is None:
            assert centre == 0.0
        elif row.unit != "SD":
            assert centre == pytest.approx(row.drift.location, abs=1e-9)


def test_backward_as_forward_expects_no_difference_between_directions() -> None:
    rows = (
        gain_row("balance", "walk_backward"), gain_row("balance", "walk_forward"),
        gain_row("balance", "walk_backward", "walk_forward"),
        gain_row("vo2max", "run_backward", "run_forward"), gain_row("balance", "balance_training"),
    )  # fmt: skip
    tied, model = (rival_refits(name, rows, **FEW) for name in ("backward_is_forward", "retrowalk"))
    assert np.abs(tied.mean[:, 2:4]).max() < 1e-12
    assert np.abs(tied.signal[:, 2:4]).max() < 1e-12
    np.testing.assert_allclose(tied.signal[:, 0, 0], tied.signal[:, 1, 1])
    # forward walking and all other training are as in the model
    for i in (1, 4):
        np.testing.assert_array_equal(tied.mean[:, i], model.mean[:, i])
        np.testing.assert_allclose(tied.signal[:, i, i], model.signal[:, i, i])
    assert model.signal[:, 2, 2].min() > 0.01


def test_the_random_effects_mean_is_blind_to_dose_and_direction() -> None:
    rows = observations(load_evidence())
    refits = rival_refits("random_effects", rows, **FEW)
    found = Predictive.of(refits, np.empty(0, np.intp), np.arange(len(rows)))
    alike = [
        found.centre[i]
        for i, row in enumerate(rows)
        if row.outcome == "walking_speed" and len(row.arms) == 2 and row.unit != "SD"
    ]
    assert len(alike) > 3
    assert np.ptp(alike) < 1e-9


# -- the board


def test_every_row_of_the_fit_is_listed_once_and_marked(in_sample) -> None:
    rows = observations(load_evidence())
    fitted = [row for row in in_sample.rows if row.in_fit]
    assert len(fitted) == len(rows) == in_sample.scores["retrowalk"].rows
    assert [row.source for row in fitted] == [row.source for row in rows]
    assert any(not row.in_fit for row in in_sample.rows)  # the checks
    assert set(in_sample.scores) == set(RIVALS)


def test_intervals_are_nested_and_hold_what_they_say(in_sample) -> None:
    for row in in_sample.rows:
        assert row.lo90 < row.lo50 < row.predicted < row.hi50 < row.hi90
        assert row.inside_90 == (row.lo90 <= row.published <= row.hi90)
        assert np.sign(row.z) == np.sign(row.published - row.predicted)


def test_left_out_nothing_is_in_the_fit_and_less_is_known(in_sample, left_out) -> None:
    assert not any(row.in_fit for row in left_out.rows)
    own, before = left_out.scores["retrowalk"], in_sample.scores["retrowalk"]
    assert own.log_score / own.rows < before.log_score / before.rows
    assert own.rows < before.rows  # outcomes that one study alone reports count only in sample


def test_a_study_left_out_is_predicted_by_the_others_alone(left_out) -> None:
    rows = observations(load_evidence())
    refits = rival_refits("retrowalk", rows, **FEW)
    mean, _ = refits.predict(lambda row: row.source != "yang2005")
    place = [row.id for row in rows].index("yang2005/speed_contrast")
    found = next(row for row in left_out.rows if row.source == "yang2005")
    assert found.predicted == pytest.approx(mean[place] * rows[place].scale, rel=0.02)


def test_without_studies_every_row_is_as_the_priors_say(in_sample, left_out) -> None:
    for board in (in_sample, left_out):
        assert np.isfinite(board.predictions["prior"].mean).all()
    np.testing.assert_allclose(
        in_sample.predictions["prior"].mean, left_out.predictions["prior"].mean, atol=1e-9
    )


def test_outcomes_of_one_study_and_its_pool_are_not_repeated() -> None:
    evidence = load_evidence()
    found = repeated_outcomes(evidence, observations(evidence))
    assert {"walking_speed", "disability", "vo2max"} <= found
    assert "timed_up_and_go" not in found


@given(number=st.integers(5, 60))
def test_the_band_of_coverage_holds_at_least_95_of_100_samples(number: int) -> None:
    low, high = coverage_band(number)
    inside = binom.cdf(round(high * number), number, 0.9) - binom.cdf(round(low * number) - 1, number, 0.9)
    assert inside >= 0.95


def test_json_has_the_promised_keys_and_plain_values(in_sample) -> None:
    found = json.loads(json.dumps(as_json(in_sample)))
    assert set(found) == {"rows", "scores"}
    assert all(tuple(sorted(row)) == tuple(sorted(KEYS)) for row in found["rows"])
    assert set(RIVALS) <= set(found["scores"])


def test_misses_are_taken_apart_row_by_row(left_out) -> None:
    found = reasons(left_out, **FEW)
    own, other = (left_out.predictions[name].quantiles for name in ("retrowalk", "random_effects"))
    counted = list(left_out.counted)
    total = ((own[4] - own[0]) - (other[4] - other[0]))[counted].sum()
    assert sum(gap for _, gap, _ in found.excess) == pytest.approx(total)
    assert sum(rows for *_, rows in found.excess) == len(counted) == sum(entry[1] for entry in found.classes)
    assert [gap for _, gap, _ in found.excess] == sorted((gap for _, gap, _ in found.excess), reverse=True)
    # a right model covers nine of ten: what was seen is no rarer than chance allows
    assert 0.0 < found.chance_50 <= 1.0
    assert 0.0 < found.floor < 1.0
    text = reasons_section(found, ())
    assert "Every aim is met." in text
    assert found.excess[0][0] in text


def test_simulated_studies_of_a_right_model_are_covered_as_stated(left_out) -> None:
    rows = observations(load_evidence())
    refits = rival_refits("retrowalk", rows, **FEW)
    wanted = np.flatnonzero([row.source == "yang2005" for row in rows])
    used = np.flatnonzero([row.source != "yang2005" for row in rows])
    made_up = simulate_results(refits, used, wanted, np.random.default_rng(1))
    found = Predictive.of(refits, used, wanted)
    np.testing.assert_allclose(made_up.mean(axis=0), found.centre, atol=0.05)
    np.testing.assert_allclose(made_up.std(axis=0), found.spread, rtol=0.08)
    # contrast and control arm share people and the control's own deviation
    assert np.corrcoef(made_up.T)[0, 1] < -0.05


# -- other people's studies


def row_of(model: type, **values: object) -> dict[str, object]:
    return {name: values.get(name, "") for name in model.model_fields}


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def tables() -> dict[str, list[dict[str, object]]]:
    """A trial of retro walking against forward walking."""
    walk = {"source": "mine", "n": 20, "speed": 1.0, "sessions_week": 3, "weeks": 6, "minutes": 20}
    source = row_of(Source, id="mine", citation="Mine 2026", design="rct", population="knee_oa", doi="10.1/x")
    arms = [
        row_of(Arm, id="mine/retro", name="retro", component="walk_backward", **walk),
        row_of(Arm, id="mine/forward", name="forward", component="walk_forward", **walk),
    ]
    effect = row_of(
        Effect, id="mine/pain", source="mine", arm_a="mine/retro", arm_b="mine/forward", population="knee_oa",
        outcome="knee_pain", measure="pain", kind="contrast", value=-6, unit="mm", se=4, se_rung=1,
        role="check", cluster="mine",
    )  # fmt: skip
    return {"sources.csv": [source], "arms.csv": arms, "effects.csv": [effect]}


def folder(path: Path, content: dict[str, list[dict[str, object]]]) -> Path:
    for name, rows in content.items():
        write(path / name, rows)
    return path


def test_a_users_trial_is_predicted_in_its_canonical_unit_and_not_fitted(tmp_path: Path) -> None:
    found = read_studies(folder(tmp_path, tables()))
    board = user_board(found.rows, known_as=found.known_as, **FEW)
    (row,) = board.rows
    assert (row.source, row.outcome, row.contrast) == ("mine", "knee_pain", "retro against forward")
    assert row.published == pytest.approx(-0.6)
    assert row.se == pytest.approx(0.4)
    assert not row.in_fit
    again = tables()
    again["effects.csv"][0]["value"] = 30
    other = user_board(read_studies(folder(tmp_path, again)).rows, **FEW)
    assert other.rows[0].predicted == pytest.approx(row.predicted)  # what it reports moves nothing


def test_a_trial_the_package_knows_is_left_out_of_the_fit(tmp_path: Path) -> None:
    content = tables()
    content["sources.csv"][0]["doi"] = "10.1186/S12891-019-2537-9"
    found = read_studies(folder(tmp_path, content))
    assert found.known_as == ("alghadir2019",)


BAD = [
    ("sources.csv", 0, {"doi": "10.1/x"}, "doi", "enter a trial once"),
    ("arms.csv", 0, {"component": ""}, "component", "names no programme"),
    ("arms.csv", 0, {"minutes": ""}, "minutes", "has no minutes"),
    ("effects.csv", 0, {"outcome": "knee_pian"}, "outcome", "did you mean 'knee_pain'"),
    ("effects.csv", 0, {"unit": "kg"}, "unit", "does not convert"),
    ("effects.csv", 0, {"se": 0}, "se", "greater than 0"),
    ("effects.csv", 0, {"baseline_sd": 0}, "baseline_sd", "greater than 0"),
    ("effects.csv", 0, {"population": ""}, "population", "names no population"),
    ("effects.csv", 0, {"se": ""}, "se", "no value or no se"),
    ("effects.csv", 0, {"arm_b": "mine/control"}, "arm_b", "there is no 'mine/control'"),
    ("effects.csv", 0, {"value": ""}, "value", "nothing to predict"),
]


@pytest.mark.parametrize(("file", "place", "change", "column", "words"), BAD)
def test_faults_are_named_with_file_row_and_column(file, place, change, column, words, tmp_path) -> None:
    content = tables()
    content[file][place] |= change
    if file == "sources.csv":
        content[file].append(content[file][0] | {"id": "other"})
    with pytest.raises(DocumentError) as caught:
        read_studies(folder(tmp_path, content))
    problem = caught.value.problems[0]
    assert problem.path == f"column {column}"
    assert words in problem.message
    assert Path(problem.source).name == file
    assert problem.line is not None or words == "nothing to predict"


@pytest.mark.parametrize(("file", "place", "change", "column", "words"), BAD)
def test_the_verb_says_each_fault_in_a_sentence(file, place, change, column, words, tmp_path, capsys) -> None:
    content = tables()
    content[file][place] |= change
    if file == "sources.csv":
        content[file].append(content[file][0] | {"id": "other"})
    assert main(["validate", "--studies", str(folder(tmp_path, content))]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert file in printed.err
    assert f"column {column}" in printed.err
    assert words in printed.err
    assert "Traceback" not in printed.err


def test_a_repeated_result_is_refused(tmp_path: Path) -> None:
    content = tables()
    content["effects.csv"].append(content["effects.csv"][0] | {"id": "mine/again"})
    with pytest.raises(DocumentError, match="repeats 'mine/pain'"):
        read_studies(folder(tmp_path, content))


def test_an_unknown_column_is_an_error_of_one_line(tmp_path: Path, capsys) -> None:
    content = tables()
    content["arms.csv"] = [row | {"shoe": "red"} for row in content["arms.csv"]]
    assert main(["validate", "--studies", str(folder(tmp_path, content))]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "arms.csv:1" in printed.err
    assert "there is no column 'shoe'; known are id, source, name" in printed.err
    assert "Traceback" not in printed.err


def test_the_verb_predicts_a_users_trial(tmp_path: Path) -> None:
    done = retrowalk("validate", "--json", "--studies", str(folder(tmp_path, tables())))
    assert done.code == 0
    (row,) = json.loads(done.out)["rows"]
    assert set(row) == set(KEYS)
    assert row["source"] == "mine"
