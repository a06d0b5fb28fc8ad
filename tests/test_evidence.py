"""The evidence tables: everything accounted for, numbers that follow, links that resolve, grades."""

import csv
import math
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from scipy import stats

from retrowalk.catalogue import outcomes
from retrowalk.errors import DocumentError, InputError
from retrowalk.evidence import grade, graded_rows, load_evidence, read_evidence
from retrowalk.words import EVIDENCE_GRADES

FOLDER = Path(str(files("retrowalk.evidence")))
#: Results noted per source when the evidence was gathered; sources without a usable number have none.
NOTED = {
    "alghadir2019": 7, "terblanche2005": 5, "flynn1994": 2, "adesola2009": 2, "hooper2004": 1,
    "clarkson1997_bw_women": 2, "heath2001_bw_habituation": 3, "wright_weyand2001": 3, "cavagna2012": 6,
    "hreljac2005": 2, "roos2012": 8, "ordway2016": 3, "kachanathu2014": 1, "hao_chen2011": 3, "yang2005": 6,
    "rose2018": 4, "wang2018_gait_MA": 3, "wang2019_balance_MA": 2, "balasukumaran2019": 3,
    "chen2020_stroke_MA": 1, "takami2010": 2, "gondhalekar2013": 3, "retro_forward_8wk_cohort": 1,
    "zhang2025_EKAM": 2, "koch2009": 1, "uthoff2020": 4, "uthoff2021_sled": 4, "kauffman2024": 3,
    "und_emg": 6, "busso1994_BCL94": 2, "banister_constants": 5, "bosquet2013": 3, "coyle1984": 3,
    "yang2022_detraining_MA": 3, "jer_1month_detraining": 1, "retro_adiposity_KSA": 2, "retro_CRP": 2,
    "cipriani1995": 3, "tseng2015_PD_forwardTT": 2, "cochrane_PD_TT": 2, "compendium2011": 6,
    "murtagh2015": 7, "hickson1981": 3, "hickson1977": 3, "narici1989": 5, "NRS_reliability": 3,
    "rangey2016": 2, "elbasatiny2015_CP_balance": 12, "abdelaziem2017_CP_gait": 4,
    "modaberi2021_detraining": 2, "hamed2018_falls_MA": 2, "carter_3MBW": 2, "ryu2009_2010_strength": 17,
    "proprioception_men": 2, "performance_young_BW_FW": 2, "kim_choi2001_cost": 8,
    "korean_women_graded_bw": 4, "lee2016_slope": 1, "kim2017_lateral_vs_bw": 2, "kang_kim2018_mirror": 1,
    "cha2016_slope_matched": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def evidence():
    return load_evidence()


def _cells(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# -- the account


def test_the_first_search_and_later_ones_are_told_apart(evidence):
    first = {source.id for source in evidence.sources if source.in_studies}
    assert set(NOTED) <= first < {source.id for source in evidence.sources}


def test_all_noted_rows_are_in_effects_or_excluded(evidence):
    noted = {f"{source}#{n}" for source, count in NOTED.items() for n in range(count)}
    in_effects = {row for effect in evidence.effects for row in effect.studies_row.split()}
    left_out = {row.studies_row for row in evidence.excluded if row.studies_row}
    assert in_effects | left_out == noted
    assert not in_effects & left_out


def test_every_noted_row_belongs_to_the_source_that_carries_it(evidence):
    for effect in evidence.effects:
        assert all(row.split("#")[0] == effect.source for row in effect.studies_row.split())


def test_a_source_without_effects_is_excluded_with_a_reason(evidence):
    used = {effect.source for effect in evidence.effects}
    excluded = {row.source: row.reason for row in evidence.excluded if not row.studies_row}
    assert {source.id for source in evidence.sources} - used == set(excluded)
    assert all(excluded.values())


# -- cells


def test_numeric_columns_hold_numbers_only():
    text = {"sources.csv": set(), "arms.csv": set(), "effects.csv": set()}
    numeric = {
        "sources.csv": "year age_mean age_sd age_min age_max n_total n_trials overlap_share",
        "arms.csv": "n speed grade second_share second_speed addon_minutes sessions_week weeks minutes "
        "dose_log_sd minutes_log_sd completion",
        "effects.csv": "value sign typical_sd sd_change se se_rung df n_a n_b p ci_low ci_high range_low "
        "range_high days_after_last baseline_mean baseline_sd post_mean post_sd original_value original_sd",
    }
    for name, columns in numeric.items():
        for row in _cells(name):
            for column in columns.split():
                if row[column] and not math.isfinite(float(row[column])):
                    text[name].add((row["id"], column))
    assert text == {"sources.csv": set(), "arms.csv": set(), "effects.csv": set()}


def test_a_number_outside_its_interval_is_in_no_table(evidence):
    for row in evidence.effects:
        if row.role == "fit" and row.ci_low is not None:
            assert row.ci_low < row.value < row.ci_high, row.id
        if row.range_low is not None:
            assert row.range_low < row.range_high, row.id


def test_direction_agrees_with_the_sign_of_the_value(evidence):
    for row in evidence.effects:
        if row.role == "fit" and row.direction in ("up", "down"):
            assert (row.value > 0) == (row.direction == "up"), row.id


def test_effect_rows_name_a_place_and_every_role_but_the_plain_ones_has_a_reason(evidence):
    for row in evidence.effects:
        assert row.where or row.source in ("lee2016_slope",), row.id
        assert row.reason, row.id


# -- links


def test_duplicates_are_linked_and_never_in_a_fit(evidence):
    linked = {source.id: source.duplicate_of for source in evidence.sources if source.duplicate_of}
    assert linked["adesola2009"] == "flynn1994"
    assert linked["lee2016_slope"] == "hooper2004"
    for source_id in linked:
        roles = {row.role for row in evidence.effects_of(source_id)}
        assert roles == {"duplicate"}


def test_no_noted_row_enters_a_fit_twice_except_a_control_beside_its_contrast(evidence):
    entries = {}
    for row in evidence.effects_of(role="fit"):
        for noted in row.studies_row.split():
            entries.setdefault(noted, []).append(row)
    for noted, rows in entries.items():
        if len(rows) > 1:
            contrasts = [row for row in rows if row.arm_b]
            changes = [row for row in rows if not row.arm_b]
            assert len(contrasts) == len(changes) == 1, noted
            assert changes[0].correlated_with == contrasts[0].id
            assert -1 < changes[0].error_correlation < 0


def test_the_error_correlation_of_a_shared_control_follows_from_the_two_errors(evidence):
    for row in evidence.effects_of(role="fit"):
        if row.correlated_with:
            whole = evidence.effect(row.correlated_with)
            assert row.arm_a == whole.arm_b
            assert row.error_correlation == pytest.approx(-row.se / whole.se, rel=1e-3)


def test_a_fit_row_has_the_dose_of_both_arms(evidence):
    for row in evidence.effects_of(role="fit"):
        for arm_id in filter(None, (row.arm_a, row.arm_b)):
            arm = evidence.arm(arm_id)
            for item in ("sessions_week", "weeks", "minutes"):
                assert getattr(arm, item) is not None, (row.id, arm_id, item)
            if arm.component.startswith(("walk", "run")):
                assert arm.speed is not None, arm_id


def test_imputed_items_carry_a_spread_and_a_reason(evidence):
    for arm in evidence.arms:
        dose = [item for item in arm.imputed if item not in ("n", "addon_minutes")]
        spread = math.sqrt(sum(getattr(arm, f"{item}_log_sd") ** 2 for item in dose))
        if dose:
            assert spread == pytest.approx(arm.dose_log_sd, rel=0.01), arm.id
            assert arm.dose_log_sd in ((0.2, 0.5) if len(dose) == 1 else (0.4, 0.5)), arm.id


# -- standard errors


def test_an_exact_p_gives_the_standard_error_by_the_t_quantile(evidence):
    rows = [row for row in evidence.effects_of(role="fit") if row.se_rung == 3 and row.p and row.df]
    assert len(rows) == 7
    for row in rows:
        t = stats.t.ppf(1 - row.p / 2, row.df)
        if row.kind == "smd":
            share = 1 / row.n_a + 1 / row.n_b
            assert abs(row.value) == pytest.approx(t * math.sqrt(share), rel=1e-3)
            assert row.se == pytest.approx(
                math.sqrt(share + row.value**2 / (2 * (row.n_a + row.n_b))), rel=1e-3
            )
        else:
            assert row.se == pytest.approx(abs(row.value) / t, rel=1e-3)


def test_a_confidence_interval_gives_its_standard_error(evidence):
    rows = [row for row in evidence.effects_of(role="fit") if row.se_rung == 2]
    assert rows
    for row in rows:
        assert row.se == pytest.approx((row.ci_high - row.ci_low) / (2 * 1.96), rel=1e-3)


def test_a_bound_of_p_is_taken_at_the_bound(evidence):
    for key in ("rose2018/speed_contrast", "dogan2023_CP/tug", "kalyana_stroke/balance"):
        row = evidence.effect(key)
        assert (row.se_rung, row.p_kind) == (4, "below")
        assert row.se == pytest.approx(abs(row.value) / stats.t.ppf(1 - row.p / 2, row.df), rel=1e-3)


def test_only_pooled_rows_without_an_interval_stand_on_the_last_rung(evidence):
    assert {row.source for row in evidence.effects if row.se_rung == 6} == {"balasukumaran2019"}


def test_the_printed_sds_of_the_stroke_trial_reproduce_its_printed_p(evidence):
    for key, printed in (("yang2005/speed_contrast", 0.032), ("yang2005/stride_contrast", 0.006)):
        row = evidence.effect(key)
        assert 2 * stats.t.sf(row.value / row.se, row.df) == pytest.approx(printed, abs=0.005)


def test_end_values_with_printed_sds_reproduce_the_printed_p(evidence):
    spreads = {"chen2021_koa/pain": (0.63, 0.86), "chen2021_koa/disability": (2.50, 3.94)}
    for key, (first, second) in spreads.items():
        row = evidence.effect(key)
        assert row.se == pytest.approx(math.sqrt(first**2 / row.n_a + second**2 / row.n_b), rel=1e-3)
        assert 2 * stats.t.sf(abs(row.value / row.se), row.df) < row.p


def test_quartiles_give_a_mean_and_an_sd_that_agree_with_the_printed_p(evidence):
    row = evidence.effect("naidu2025_severe/speed_backward_forward")
    backward, forward = (9.01, 28.9, 36.7), (12.6, 17.4, 39.7)
    width = 2 * stats.norm.ppf((0.75 * 7 - 0.125) / (7 + 0.25))
    sds = [(third - first) / width for first, _, third in (backward, forward)]
    assert row.value == pytest.approx(sum(backward) / 3 - sum(forward) / 3, rel=1e-3)
    assert row.se == pytest.approx(math.hypot(*sds) / math.sqrt(7), rel=1e-3)
    assert 2 * stats.t.sf(row.value / row.se, row.df) == pytest.approx(row.p, abs=0.15)


# -- named rows


def test_the_newest_pool_of_knee_trials_is_held_out(evidence):
    for key in ("pain", "disability"):
        assert evidence.effect(f"lin2025_koa_MA/{key}").role == "check"
    fitted = {row.source for row in evidence.effects_of(role="fit")}
    assert {"alghadir2019", "gondhalekar2013", "rangey2016", "chen2021_koa"} <= fitted
    assert fitted.isdisjoint({"lin2025_koa_MA"})


def test_numbers_of_a_secondary_copy_are_not_verified_and_in_no_fit(evidence):
    for row in evidence.effects_of("stroke_abstract46"):
        assert (row.role, row.verified) == ("excluded", False)


def test_a_conference_abstract_without_numbers_lifts_no_grade(evidence):
    assert evidence.effect("wang2024_executive/executive").role == "excluded"
    assert grade("walk_backward", "cognition", "older_adults") == "none"


def test_the_three_daily_bouts_of_the_knee_trial_are_one_session(evidence):
    arm = evidence.arm("gondhalekar2013/retro")
    assert (arm.minutes, arm.minutes_imputed) == (30, False)
    assert "second-hand" in arm.notes


def test_the_knee_trial_enters_net_of_physiotherapy_and_its_verdict_stays_out(evidence):
    pain, disability = (
        evidence.effect(f"alghadir2019/{key}_retro_control") for key in ("pain", "disability")
    )
    assert (pain.value, pain.p, disability.value, disability.p) == (-0.8, 0.01, -2.6, 0.008)
    assert pain.sd_change == pytest.approx(1.0, abs=0.01)
    assert disability.sd_change == pytest.approx(3.1, abs=0.05)
    for key in ("pain", "disability"):
        held = evidence.effect(f"alghadir2019/{key}_retro_forward")
        assert (held.role, held.verified, held.verdict) == ("check", False, "not_significant")


def test_a_speed_in_metres_per_minute_is_normalised_and_kept(evidence):
    row = evidence.effect("yang2005/speed_contrast")
    assert (row.value, row.unit) == (pytest.approx(4.95 / 60), "m/s")
    assert (row.original_value, row.original_unit) == (pytest.approx(4.95), "m/min (inferred)")


def test_both_readings_of_body_fat_are_kept(evidence):
    default = evidence.effect("terblanche2005/body_fat_points")
    other = evidence.effect("terblanche2005/body_fat_percent")
    assert (default.role, default.unit) == ("fit", "points")
    assert (other.role, other.unit, other.alternative_to) == ("alternative", "%", default.id)


def test_an_index_that_falls_when_balance_improves_has_sign_minus_one(evidence):
    for row in evidence.effects:
        if "Biodex" in row.instrument and row.outcome == "balance":
            assert row.sign == -1


def test_contrary_results_stay_in(evidence):
    contrary = {source.id for source in evidence.sources if source.contrary}
    assert {
        "rangey2016",
        "kachanathu2014",
        "ordway2016",
        "kim2017_lateral_vs_bw",
        "aksentijevic2019",
    } <= contrary
    for source in contrary:
        assert any(row.contrary for row in evidence.effects_of(source)), source


# -- grades

CELLS = [
    ("walk_backward", "knee_pain", "knee_oa", "add_on"),
    ("walk_backward", "disability", "knee_oa", "add_on"),
    ("walk_backward", "disability", None, "add_on"),
    ("walk_backward", "cognition", None, "acute_only"),
    ("walk_forward", "cognition", None, "none"),
    ("walk_backward", "body_fat", None, "contradicted"),
    ("run_backward", "body_fat", None, "dose_matched"),
    ("run_backward", "body_fat", "recreational_runners", "contradicted"),
    ("walk_backward", "balance", "chronic_stroke", "add_on"),
    ("walk_backward", "timed_up_and_go", "chronic_stroke", "contradicted"),
    ("run_backward", "vo2max", None, "contradicted"),
    ("walk_forward", "body_fat", None, "add_on"),
    ("walk_forward", "vo2max", None, "add_on"),
    ("walk_forward", "knee_pain", "knee_oa", "contradicted"),
    ("walk_backward", "quadriceps_strength", "young_men", "dose_matched"),
    ("walk_backward", "walking_speed", "chronic_stroke", "dose_matched"),
    ("walk_backward", "balance", "cerebral_palsy", "add_on"),
    ("walk_backward", "vo2max", "young_women", "uncontrolled"),
    ("walk_backward", "knee_pain", "school_boys", "none"),
    ("physiotherapy", "knee_pain", "knee_oa", "uncontrolled"),
    ("balance_training", "walking_speed", None, "uncontrolled"),
    ("rowing", "vo2max", None, "none"),
]


@pytest.mark.parametrize(("component", "outcome", "population", "expected"), CELLS)
def test_grade_of_named_cells(component, outcome, population, expected):
    assert grade(component, outcome, population) == expected


def test_grades_are_ordered_from_weakest_to_strongest():
    assert EVIDENCE_GRADES == ("none", "acute_only", "contradicted", "uncontrolled", "add_on", "dose_matched")


def test_an_unread_verdict_does_not_grade(evidence):
    rows = graded_rows("walk_backward", "knee_pain", "knee_oa")
    assert "alghadir2019/pain_retro_forward" not in {row.id for row in rows}
    assert any(row.contrary for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("walk_backwards", "knee_pain"), "did you mean 'walk_backward'"),
        (("walk_backward", "knee_pian"), "did you mean 'knee_pain'"),
        (("walk_backward", "knee_pain", "knee"), "did you mean 'knee_oa'"),
    ],
)
def test_unknown_names_get_a_suggestion(arguments, message):
    with pytest.raises(InputError, match=message):
        grade(*arguments)


# -- looking up and citing


def test_an_unknown_source_gets_a_suggestion(evidence):
    with pytest.raises(InputError, match="did you mean 'alghadir2019'"):
        evidence.source("algadir2019")


def test_arms_and_effects_of_a_source(evidence):
    assert [arm.name for arm in evidence.arms_of("alghadir2019")] == ["retro", "forward", "control"]
    found = evidence.effects_of("alghadir2019", outcome="knee_pain", role="fit")
    assert [row.id for row in found] == ["alghadir2019/pain_retro_control", "alghadir2019/pain_control"]


def test_citations(evidence):
    text = evidence.cite("alghadir2019")
    assert text.startswith("Alghadir AH")
    assert text.endswith("https://doi.org/10.1186/s12891-019-2537-9")
    entry = evidence.cite("alghadir2019", style="bibtex")
    assert entry.startswith("@misc{alghadir2019,")
    assert "Anwer, S." in entry
    with pytest.raises(InputError, match="style"):
        evidence.cite("alghadir2019", style="ris")


def test_every_bibtex_entry_balances_its_braces_and_has_a_title(evidence):
    for source in evidence.sources:
        entry = re.sub(r"\\[{}]", "", evidence.cite(source.id, style="bibtex"))
        assert entry.count("{") == entry.count("}")
        assert "  title = {" in entry


# -- a user's folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sources.csv").write_text(
        "id,citation,design\ntrial2024,A trial,rct\ncopy2025,The same trial,rct\n", encoding="utf-8"
    )
    (tmp_path / "arms.csv").write_text(
        "id,source,name,n,component,sessions_week,weeks,minutes,speed\n"
        "trial2024/back,trial2024,back,20,walk_backward,3,6,10,0.6\n"
        "trial2024/usual,trial2024,usual,20,physiotherapy,3,6,30,\n",
        encoding="utf-8",
    )
    return tmp_path


HEADER = "id,source,arm_a,arm_b,outcome,measure,kind,value,unit,se,se_rung,cluster,role\n"
ROW = "t/a,trial2024,trial2024/back,trial2024/usual,walking_speed,speed,contrast,6,cm/s,3,1,trial2024,fit\n"


def _write(folder, effects):
    (folder / "effects.csv").write_text(HEADER + effects, encoding="utf-8")
    return folder


def test_a_users_folder_is_read_and_normalised(folder):
    read = read_evidence(_write(folder, ROW))
    (row,) = read.effects
    assert (row.value, row.se, row.unit) == (pytest.approx(0.06), pytest.approx(0.03), "m/s")
    assert (row.original_value, row.original_unit) == (6, "cm/s")
    assert grade("walk_backward", "walking_speed", evidence=read) == "none"  # not marked as verified


FAULTS = {
    "no arm of that name": (("trial2024/back,", "trial2024/bakc,"), "arm_a", "did you mean 'trial2024/back'"),
    "unknown outcome": (("walking_speed", "walkingspeed"), "outcome", "did you mean 'walking_speed'"),
    "standard error of zero": ((",3,1,", ",0,1,"), "se", "greater than 0"),
    "unit that does not convert": (("cm/s", "mph"), "unit", "does not convert for walking_speed"),
    "unknown source": ((",trial2024,trial", ",trial2042,trial"), "source", "did you mean 'trial2024'"),
    "fit without a value": ((",6,cm/s", ",,cm/s"), "", "needs value"),
    "text for a number": ((",6,cm/s", ",six,cm/s"), "value", "valid number"),
    "arm against itself": (("trial2024/usual", "trial2024/back"), "arm_b", "compared with itself"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_users_folder_name_file_row_and_column(folder, fault):
    (old, new), column, message = FAULTS[fault]
    with pytest.raises(DocumentError, match=message) as caught:
        read_evidence(_write(folder, ROW.replace(old, new)))
    problem = caught.value.problems[0]
    assert problem.source.endswith("effects.csv")
    assert problem.line == 2
    assert column in problem.path


def test_a_repeated_id_names_the_first_line(folder):
    with pytest.raises(DocumentError, match="already the id of line 2"):
        read_evidence(_write(folder, ROW + ROW))


def test_a_duplicate_source_cannot_enter_a_fit(folder):
    (folder / "sources.csv").write_text(
        "id,citation,design,duplicate_of\ntrial2023,First,rct,\ntrial2024,Again,rct,trial2023\n",
        encoding="utf-8",
    )
    with pytest.raises(DocumentError, match="cannot enter a fit"):
        read_evidence(_write(folder, ROW))


def test_an_imputed_dose_needs_a_reason(folder):
    (folder / "arms.csv").write_text(
        "id,source,name,minutes,minutes_imputed\ntrial2024/back,trial2024,back,10,true\n", encoding="utf-8"
    )
    with pytest.raises(DocumentError, match="imputed_reason"):
        read_evidence(_write(folder, ROW))


def test_a_missing_folder_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_evidence(tmp_path / "nowhere")


def test_units_are_known_for_every_outcome():
    for name, outcome in outcomes().items():
        expected = "points" if name == "body_fat" else outcome.unit
        assert next(iter(outcome.evidence_units)) == expected


def test_importing_the_room_loads_no_heavy_library():
    heavy = {"numba", "xarray", "pandas", "scipy", "zarr", "numpy"}
    code = f"import sys, retrowalk.evidence; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "line", "last"),
    [
        ("arms", "a/b,nobody,b,x\n", "arms.csv: too many problems; 1950 further lines were not checked"),
        ("arms", "a/b,nobody,b,1\n", "too many problems; the rest was not checked"),
    ],
)
def test_a_table_full_of_faults_is_given_up_after_fifty(folder, name, line, last):
    path = _write(folder, ROW) / f"{name}.csv"
    path.write_text("id,source,name,n\n" + line * 2000)
    with pytest.raises(DocumentError) as caught:
        read_evidence(folder)
    assert len(caught.value.problems) == 51
    assert str(caught.value.problems[-1]).endswith(last)
