"""The catalogue: fixed names, supported values, one choice per cell, and nothing of the evidence lost."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from retrowalk.catalogue import (
    baseline,
    baseline_rows,
    measurement,
    measurement_rows,
    modalities,
    outcomes,
    populations,
)
from retrowalk.errors import InputError

COLLECTED = Path(__file__).parent / "data" / "evidence"

OUTCOMES = [
    "knee_pain",
    "disability",
    "quadriceps_strength",
    "balance",
    "stride_length",
    "walking_speed",
    "backward_walking_speed",
    "timed_up_and_go",
    "vo2max",
    "oxygen_cost_forward",
    "oxygen_cost_backward",
    "body_fat",
    "cognition",
]
COMPONENTS = [
    *("walk_forward", "walk_backward", "run_forward", "run_backward"),
    *("physiotherapy", "balance_training"),
    *("tempo", "critical_speed", "intervals", "hills", "long", "recovery"),
    *("cycling", "rowing", "weights", "elliptical", "swimming"),
]
POPULATIONS = [
    "knee_oa",
    "young_women",
    "young_men",
    "school_boys",
    "chronic_stroke",
    "cerebral_palsy",
    "older_adults",
    "recreational_runners",
]
REFUSED = {
    *((population, "knee_pain") for population in POPULATIONS[1:6]),
    *((population, "disability") for population in [*POPULATIONS[1:6], "recreational_runners"]),
}
CELLS = [(p, o) for p in POPULATIONS for o in OUTCOMES if (p, o) not in REFUSED]


def test_names_are_fixed_and_in_order():
    assert list(outcomes()) == OUTCOMES
    assert list(modalities()) == COMPONENTS
    assert list(populations()) == POPULATIONS


def test_the_four_locomotion_components_share_a_group_and_the_others_are_alone():
    rows = modalities()
    for name in COMPONENTS[:4]:
        mode, direction = name.split("_")
        assert rows[name].group == "locomotion"
        assert (rows[name].modality, rows[name].direction) == (mode, direction)
        assert rows[name].reference_speed == {"walk": 1.0, "run": 2.5}[mode]
        assert rows[name].met is None
    for name in COMPONENTS[4:]:
        assert rows[name].group == rows[name].modality == name
        assert rows[name].met > 1
        assert rows[name].met_status
        assert rows[name].met_source
    assert {row.reference_minutes for row in rows.values()} == {20}


def test_run_types_cost_more_the_harder_they_are():
    met = {name: row.met for name, row in modalities().items()}
    assert met["recovery"] < met["long"] < met["tempo"] < met["critical_speed"]
    assert met["balance_training"] < met["physiotherapy"] < met["cycling"]


def test_bounded_scores_have_a_logit_and_positive_quantities_a_log():
    links = {name: (row.link, row.lower, row.upper) for name, row in outcomes().items()}
    assert links["knee_pain"] == ("logit", 0, 10)
    assert links["disability"] == ("logit", 0, 96)
    assert links["balance"] == ("logit", 0, 56)
    assert links["walking_speed"] == ("log", 0, None)
    assert {row.better for row in outcomes().values()} == {"lower", "higher"}


def test_populations_say_where_every_number_comes_from():
    for row in populations().values():
        for value in ("age", "female", "mass", "attendance", "completion"):
            assert getattr(row, f"{value}_status") in {"measured", "derived", "assumed"}
            assert getattr(row, f"{value}_source")
    knee = populations()["knee_oa"]
    assert (knee.completion, knee.completion_weeks) == (pytest.approx((0.91 + 0.87 + 0.82) / 3, abs=0.005), 6)
    assert knee.female_share == pytest.approx(38 / 68, abs=0.001)


@pytest.mark.parametrize(("population", "outcome"), CELLS)
def test_every_sensible_cell_has_a_baseline_well_inside_the_bounds(population, outcome):
    value, scale = baseline(population, outcome), outcomes()[outcome]
    assert value.unit == scale.unit
    assert value.sd > 0
    assert value.reason or value.status == "measured"
    assert value.source or value.status == "assumed"
    if scale.link == "log":
        assert value.mean - 2 * value.sd > 0 or value.mean > value.sd
    if scale.link == "logit":
        low, high = scale.lower, scale.upper
        # A distribution between two bounds cannot spread more than this.
        assert value.sd**2 < (value.mean - low) * (high - value.mean)
        assert low + 0.015 * (high - low) <= value.mean <= high - 0.015 * (high - low)


@pytest.mark.parametrize(("population", "outcome"), CELLS)
def test_every_sensible_cell_has_a_measurement(population, outcome):
    value = measurement(population, outcome)
    assert 0 < value.sem < baseline(population, outcome).sd
    assert value.mic > 0
    assert set(value.populations) <= {population, "any"}
    assert all(value.sources)


def test_a_population_with_its_own_error_does_not_get_the_general_one():
    assert measurement("chronic_stroke", "timed_up_and_go").sem == 1.16
    assert measurement("knee_oa", "timed_up_and_go").sem == 0.40
    assert measurement("young_men", "timed_up_and_go").populations[0] == "any"


def test_one_row_is_chosen_per_cell_in_the_unit_of_the_outcome():
    chosen = [row for row in baseline_rows() if row.chosen]
    assert set(Counter((row.population, row.outcome) for row in chosen).values()) == {1}
    assert {(row.population, row.outcome) for row in chosen} == set(CELLS)
    assert all(row.unit == outcomes()[row.outcome].unit for row in chosen)
    used = [row for row in measurement_rows() if row.chosen]
    assert set(Counter((row.chosen, row.outcome, row.population) for row in used).values()) == {1}
    assert all(row.unit == outcomes()[row.outcome].unit for row in used)
    assert {(row.chosen, row.outcome) for row in used if row.population == "any"} == {
        (kind, outcome) for kind in ("sem", "mic") for outcome in OUTCOMES
    }


def test_every_row_has_a_known_name_and_a_source_or_a_reason():
    for row in baseline_rows():
        assert row.population in POPULATIONS
        assert row.outcome in OUTCOMES
    for row in (*baseline_rows(), *measurement_rows()):
        assert row.outcome in OUTCOMES
        assert row.citation or (row.status == "assumed" and row.reason)


def test_a_row_with_an_assumed_part_is_not_called_derived():
    for row in baseline_rows():
        if row.chosen and row.status != "assumed":
            assert "assumed" not in f"{row.reason} {row.notes}"


@pytest.mark.parametrize(("population", "outcome"), sorted(REFUSED))
def test_a_senseless_cell_is_refused_in_one_sentence(population, outcome):
    message = rf"^no baseline of '{outcome}' .* population '{population}': .*own mean"
    with pytest.raises(InputError, match=message):
        baseline(population, outcome)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: baseline("knee_ao", "knee_pain"), "unknown population 'knee_ao'; did you mean 'knee_oa'?"),
        (lambda: baseline("knee_oa", "vo2_max"), "unknown outcome 'vo2_max'; did you mean 'vo2max'?"),
        (lambda: measurement("", "vo2max"), "unknown population ''; known are knee_oa, young_women"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)


def collected_rows(name):
    with (COLLECTED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("name", "rows"), [("baselines", baseline_rows), ("measurement", measurement_rows)])
def test_every_collected_row_is_carried(name, rows):
    collected = collected_rows(name)

    def key(cells):
        return tuple(cells[column] for column in ("outcome", "instrument", "citation", "doi_or_pmid", "url"))

    carried = Counter(key(row.model_dump()) for row in rows())
    assert not Counter(key(row) for row in collected) - carried
    numbers = {(key(row.model_dump()), row.status) for row in rows()}
    status = {"recalled": "assumed"}
    assert all((key(row), status.get(row["status"], row["status"])) in numbers for row in collected)


def test_numbers_of_collected_baselines_are_unchanged():
    collected = collected_rows("baselines")
    carried = Counter((r.population, r.outcome, r.instrument, r.mean, r.sd) for r in baseline_rows())
    for row in collected:
        mean = float(row["mean"]) if row["mean"] else None
        sd = float(row["sd"]) if row["sd"] and " " not in row["sd"] else None
        assert carried[row["population"], row["outcome"], row["instrument"], mean, sd] >= 1


def test_cells_of_collected_measurement_rows_are_unchanged():
    columns = ("sem", "icc", "mdc95", "mic", "sd_change", "corr_pre_post")
    carried = {
        (row.outcome, row.sample, row.instrument, row.citation, getattr(row, column) or "", row.printed)
        for row in measurement_rows()
        for column in columns
    }
    for collected in collected_rows("measurement"):
        key = (collected["outcome"], collected["population"], collected["instrument"], collected["citation"])
        for column in columns:
            cell = collected[column]
            try:
                number = float(cell)
            except ValueError:
                printed = [row[-1] for row in carried if row[:4] == key]
                assert any(f"{column} {cell}" in text for text in printed) or not cell
            else:
                assert any(row[:5] == (*key, number) for row in carried)


def test_half_an_sd_is_half_the_sd_it_names():
    rows = [row for row in measurement_rows() if row.mic_method == "0.5 SD of baseline"]
    assert rows
    for row in rows:
        named = next(name for name in POPULATIONS if f"baseline of {name}," in row.reason)
        assert row.mic == pytest.approx(baseline(named, row.outcome).sd / 2, rel=0.05)


def test_reading_the_catalogue_loads_no_numerical_library():
    code = (
        "import sys, retrowalk.catalogue as c; c.baseline('knee_oa', 'knee_pain'); c.modalities(); "
        "print(*{'numpy', 'numba', 'xarray', 'pandas', 'scipy'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
