"""The tables people read: what they say, what they must not say, and what a spreadsheet makes of them."""

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report_factory import grid
from report_factory import make_result as result
from retrowalk.report import arm_rows, level_rows, text_summary, to_csv
from retrowalk.report.wording import percent, signed, span
from retrowalk.words import CAUTION

CLEAR = np.linspace(-2.1, -0.9, 41)
UNCLEAR = np.linspace(-1.0, 0.6, 41)


def words(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


def test_run_names_both_intervals_shares_grade_and_baseline() -> None:
    text = words(text_summary(result(draws=41, effects={"walking": CLEAR}, status="assumed")))
    assert "what we do not know" in text
    assert "how people differ" in text
    assert "numeric rating scale 0-10; lower is better; minimal important change 1" in text
    assert "Baseline 5.0, assumed, because no published value was found." in text
    assert "walking -1.5 -2.0 to -1.0 -3.1 to +0.1 30 % 40 % 15 % add-on trial" in text
    assert "walking against usual_care: -1.5 (what we do not know: -2.0 to -1.0): better; evidence" in text
    assert "evidence: add-on trial." in text


def test_text_ends_with_the_safety_note() -> None:
    for ds in (result(), result(axes=grid([0.0, 1.0], [10, 20]))):
        assert words(text_summary(ds)).endswith(CAUTION)


def test_default_assessment_is_the_end_of_training() -> None:
    text = text_summary(result(draws=41, effects={"walking": CLEAR}))
    assert "Change from day 0 to week 6 (also assessed: week 2, 10)." in text
    assert "week 2, week 10" in text_summary(result(), days=[14, 70])


def test_what_the_author_put_in_is_named() -> None:
    ds = result()
    scenario = json.loads(ds.attrs["scenario"])
    own = {"modality": "walk", "direction": "backward", "outcome": "knee_pain", "source": "our pilot"}
    scenario |= {"parameters": "prior", "gains": [own]}
    scenario["population"]["baseline"] = {"knee_pain": {"mean": 4.0, "sd": 1.0}}
    text = words(text_summary(ds.assign_attrs(scenario=json.dumps(scenario))))
    assert "40 draws; the priors alone, without the evidence." in text
    assert "user-supplied effect of walk backward on knee_pain; source: our pilot" in text
    assert "user-supplied baseline of knee_pain; source: not given" in text


def test_interval_across_zero_claims_nothing() -> None:
    text = words(text_summary(result(draws=41, effects={"walking": UNCLEAR})))
    assert "cannot be told from no effect" in text
    assert "better" not in text.replace("lower is better", "")


def test_small_clear_effect_is_called_small() -> None:
    text = words(text_summary(result(draws=41, effects={"walking": CLEAR / 4})))
    assert "better, but by less than the minimal important change" in text


@pytest.mark.parametrize(
    ("grade", "reservation"),
    [
        ("none", "by assumption only"),
        ("acute_only", "though only acute effects were studied"),
        ("contradicted", "though studies disagree"),
    ],
)
def test_weak_evidence_never_says_better_outright(grade: str, reservation: str) -> None:
    text = words(text_summary(result(draws=41, effects={"walking": CLEAR}, grade=grade)))
    assert f"better in the model, {reservation}; evidence: " in text
    assert "): better;" not in text


def test_a_difference_has_the_grade_of_what_differs() -> None:
    ds = result(draws=41, effects={"walking": CLEAR}, grade="none", beyond="dose_matched")
    assert "): better; evidence: dose-matched trial." in words(text_summary(ds))
    turned = words(text_summary(ds, reference="walking"))
    assert "usual_care against walking: +1.5 (what we do not know: +1.0 to +2.0): worse in" in turned


def test_harm_is_called_worse() -> None:
    ds = result(draws=41, effects={"walking": CLEAR}, better="higher")
    assert "): worse; evidence" in words(text_summary(ds))


def test_one_draw_says_that_sureness_is_unknown() -> None:
    text = words(text_summary(result(effects={"walking": np.array([-1.0])}, draws=1)))
    assert "with one draw nothing can be said about how sure this is" in text


def test_replicates_add_the_share_of_significant_trials() -> None:
    text = words(
        text_summary(result(draws=41, effects={"walking": CLEAR}, replicates=5, noise=0.01, people=200))
    )
    assert (
        "Of trials of this size, 100 % find a significant difference (p < .05; what we do not know:" in text
    )
    assert "the luck of one trial:" in text


def test_sweep_says_whether_the_best_level_can_be_told() -> None:
    axes = grid([0.0, 0.5, 1.0], [10, 20, 30])
    share, minutes = (np.array(values) for values in axes.values())
    gain = np.linspace(-0.3, 0.4, 40)
    effect = -0.05 * minutes[:, None] * (1 + share[:, None] * gain)
    text = words(text_summary(result(effects={"walking": effect}, axes=axes)))
    assert "walking against usual_care, by backward share, averaged over minutes" in text
    assert "walking against usual_care, by minutes, averaged over backward share" in text
    assert "Backward share: 1 comes out best but cannot be told from the others" in text
    assert "minutes: 30 is best in 100 % of draws, which the model assumes" in text
    assert text.count("cannot be told from the others") == 1


def test_a_level_that_is_no_amount_can_be_told_from_the_others() -> None:
    axes = grid([0.0, 0.5, 1.0], [10, 20])
    share = np.array(next(iter(axes.values())))
    text = words(
        text_summary(result(effects={"walking": -share[:, None] * (1 + np.arange(40) / 80)}, axes=axes))
    )
    assert "ackward share: 1 can be told from the others (best in 100 % of draws)" in text


def test_sweep_without_effect_says_so() -> None:
    text = words(text_summary(result(axes=grid([0.0, 1.0], [10, 20]))))
    assert "Backward share makes no difference; minutes makes no difference." in text


def test_best_level_without_studies_is_by_assumption_only() -> None:
    axes = grid([0.0, 1.0], [10])
    effect = -np.array(axes["arms.walking.phases.0.sessions.0.backward_share"])[:, None] * np.ones(40)
    text = words(text_summary(result(effects={"walking": effect}, axes=axes, grade="none")))
    assert "1 is best in 100 % of draws, by assumption only." in text
    assert "can be told" not in text


def test_levels_average_the_other_axes_and_compare_draw_by_draw() -> None:
    axes = grid([0.0, 1.0], [10, 30])
    share, minutes = (np.array(values, float) for values in axes.values())
    common = np.linspace(-1, 1, 40)
    effect = common - 0.2 * share[:, None] - 0.01 * minutes[:, None]
    rows = level_rows(result(effects={"walking": effect}, axes=axes))
    shares = [row for row in rows if row["axis"].endswith("backward_share")]
    assert [row["difference"] for row in shares] == pytest.approx([-0.2, -0.4], abs=1e-6)
    assert [row["best_of_levels"] for row in shares] == [None, 1.0]
    assert shares[1]["difference_upper"] > -0.4 + 0.8


def test_an_axis_of_many_values_is_read_in_thirds() -> None:
    values = np.linspace(10, 40, 20)
    axes = {"arms.walking.phases.0.sessions.0.minutes": values.tolist()}
    ds = result(effects={"walking": -0.1 * values[:, None] * np.ones(40)}, axes=axes)
    assert [row["level"] for row in level_rows(ds)] == ["10 to 19.47", "21.05 to 28.95", "30.53 to 40"]
    assert "by minutes in thirds" in text_summary(ds)


def test_levels_of_text_keep_the_order_of_the_file() -> None:
    ds = result(axes={"arms.walking.phases.0.sessions.0.match": ["time", "energy", "intensity"]})
    assert [row["level"] for row in level_rows(ds)] == ["time", "energy", "intensity"]


def test_csv_of_a_run_reads_back_as_numbers() -> None:
    ds = result(draws=41, effects={"walking": CLEAR})
    rows = list(csv.DictReader(io.StringIO(to_csv(arm_rows(ds)))))
    assert [row["arm"] for row in rows] == ["usual_care", "walking"]
    assert float(rows[1]["difference"]) == pytest.approx(-1.5)
    assert float(rows[1]["people_lower"]) < float(rows[1]["change"]) < float(rows[1]["people_upper"])
    assert rows[1]["evidence"] == "add_on"
    assert rows[1]["note"] == CAUTION
    assert rows[0]["better_in_draws"] == ""


def test_csv_rows_of_a_sweep_stand_by_their_case() -> None:
    axes = grid([0.0, 1.0], [10, 30])
    share = np.array(axes["arms.walking.phases.0.sessions.0.backward_share"])
    ds = result(effects={"walking": -share[:, None] * np.ones(40)}, axes=axes)
    rows = [row for row in arm_rows(ds, days=[14, 42]) if row["arm"] == "walking" and row["day"] == 42]
    assert [row["case"] for row in rows] == [0, 1, 2, 3]
    for row in rows:
        assert row["difference"] == pytest.approx(-row["arms.walking.phases.0.sessions.0.backward_share"])
    levels = [row for row in level_rows(ds) if row["axis"].endswith("backward_share")]
    assert [row["level"] for row in levels] == ["0", "1"]
    assert [row["best_of_levels"] for row in levels] == [None, 1.0]


def test_csv_cells_never_start_a_formula() -> None:
    text = to_csv([{"=cmd": "=1+1", "b": "@x", "c": "-a", "d": -1.5, "e": "+x", "f": "fine", "g": None}])
    header, line = list(csv.reader(io.StringIO(text)))
    assert header[0] == "'=cmd"
    assert line == ["'=1+1", "'@x", "'-a", "-1.5", "'+x", "fine", ""]


@pytest.mark.parametrize(
    "cell", ["\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201", " =1", "\t=1", "\r=1", "\n=1", "a\n=1"]
)
def test_csv_cells_have_one_line_and_start_no_formula(cell: str) -> None:
    header, line = csv.reader(io.StringIO(to_csv([{cell: cell}]).removeprefix("\ufeff")))
    assert header == line
    assert line[0].isprintable()
    assert line[0].startswith(("'", "\\", "a"))


def test_csv_beyond_ascii_carries_a_byte_order_mark() -> None:
    assert to_csv([{"a": "plain"}]).startswith("a\r\n")
    assert to_csv([{"a": "Grün"}]).startswith("\ufeffa\r\n")


def test_rows_are_json() -> None:
    for rows in (arm_rows(result(replicates=2)), level_rows(result(axes=grid([0, 1], [1, 2])))):
        assert json.loads(json.dumps(rows, allow_nan=False)) == rows


@pytest.mark.parametrize(("minimum", "shown"), [(1.8, "-1.5"), (0.1, "-1.50"), (15.0, "-1"), (None, "-1.50")])
def test_rounding_follows_the_minimal_important_change(minimum: float | None, shown: str) -> None:
    text = text_summary(result(minimum=minimum, draws=41, effects={"walking": CLEAR + 1e-9}))
    assert f"walking against usual_care: {shown} " in text


def test_every_table_names_its_week_where_several_are_shown() -> None:
    for ds in (result(draws=41, effects={"walking": CLEAR}), result(axes=grid([0.0, 1.0], [10, 20]))):
        text = text_summary(ds, days=[14, 42])
        assert text.count("  Week 2:\n") == text.count("  Week 6:\n") == 1
        assert text.index("  Week 2:") < text.index("against usual_care") < text.index("  Week 6:")
        assert "  Week " not in text_summary(ds)


ESCAPES = "\x1b[2J \x1b]0;owned\x07 \x9b1m \u202eevil \u2028next\nfake line"


def test_words_of_strangers_are_escaped() -> None:
    """Titles, labels, units, instruments, sources and arms come from files."""
    ds = result(arms=("usual_care", f"w{ESCAPES}"), axes=grid([0.0, 1.0], [10, 20])).assign_attrs(
        title=ESCAPES
    )
    scenario = json.loads(ds.attrs["scenario"])
    scenario["gains"] = [{"modality": "walk", "outcome": "knee_pain", "source": ESCAPES}]
    ds.attrs["scenario"] = json.dumps(scenario)
    ds["knee_pain"].attrs |= {"label": ESCAPES, "units": ESCAPES, "instrument": ESCAPES}
    for shown in (ds, ds.isel(case=0, drop=True)):
        text = text_summary(shown)
        assert text.replace("\n", "").isprintable()
        assert not [line for line in text.splitlines() if line.startswith("fake")]
        assert "\\x1b[2J" in text


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_signed_numbers_carry_their_sign_and_zero_none(value: float, digits: int) -> None:
    text = signed(value, digits)
    assert float(text) == pytest.approx(value, abs=0.51 * 10**-digits)
    assert (text[0] in "+-") == (float(text) != 0)


@given(st.floats(0, 1))
def test_percent_never_rounds_to_certainty(share: float) -> None:
    text = percent(share)
    assert (text == "0 %") == (share == 0)
    assert (text == "100 %") == (share == 1)


def test_missing_numbers_are_dashes() -> None:
    assert (signed(math.nan, 1), span(math.nan, 1.0, 1), percent(math.nan)) == ("-", "-", "-")
