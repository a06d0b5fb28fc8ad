"""Each verb through the real entry point, on a small scenario."""

import csv
import io
import json
from pathlib import Path

import pytest
import xarray as xr

from cli_runner import SMALL, SWEPT, retrowalk
from retrowalk.store import open_results, write_netcdf
from retrowalk.words import CAUTION


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both scenarios, a run of the one and a sweep of the other."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "small.yaml").write_text(SMALL)
    (folder / "swept.yaml").write_text(SWEPT)
    run = retrowalk("run", "small.yaml", "-o", "small.nc", cwd=folder)
    assert (run.code, run.out) == (0, "")
    assert "wrote small.nc; next: retrowalk summary small.nc" in run.err
    sweep = retrowalk("sweep", "swept.yaml", "-o", "swept.zarr", cwd=folder)
    assert (sweep.code, sweep.out) == (0, "")
    assert "wrote swept.zarr" in sweep.err
    return folder


def same(first: Path, second: Path) -> None:
    with open_results(first) as one, open_results(second) as other:
        xr.testing.assert_equal(one.load(), other.load())


def test_init_check_and_run_follow_each_other(tmp_path: Path) -> None:
    assert retrowalk("init", "older_adults", "-o", "new.yaml", cwd=tmp_path).code == 0
    checked = retrowalk("check", "new.yaml", cwd=tmp_path)
    assert checked.code == 0
    assert checked.out.startswith("new.yaml: fine: ")
    again = retrowalk("init", "older_adults", "-o", "new.yaml", cwd=tmp_path)
    assert again.code == 2
    assert "exists already; --overwrite replaces it" in again.err
    assert retrowalk("init", "older_adults").out == (tmp_path / "new.yaml").read_text()


def test_check_reports_all_faults_of_all_files_with_their_place(tmp_path: Path) -> None:
    bad = SMALL.replace("backward_share: 0.5", "backward_share: 1.5").replace("draws: 6", "drwas: 6")
    (tmp_path / "bad.yaml").write_text(bad)
    (tmp_path / "good.yaml").write_text(SMALL)
    done = retrowalk("check", "bad.yaml", "good.yaml", cwd=tmp_path)
    assert done.code == 2
    assert done.out.startswith("good.yaml: fine: 2 arms, 2 outcomes, 1 case")
    assert len(done.errors) == 2
    assert any(line.startswith("bad.yaml:7:1: drwas: ") and "draws" in line for line in done.errors)
    assert any("backward_share" in line and line.startswith("bad.yaml:14:") for line in done.errors)
    report = json.loads(retrowalk("check", "--json", "bad.yaml", "good.yaml", cwd=tmp_path).out)
    assert [part["valid"] for part in report] == [False, True]
    assert len(report[0]["problems"]) == 2
    assert report[1]["cases"] == 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 500, b"a: &x [1]\nb: *x\n"])
def test_check_survives_hostile_files(content: bytes) -> None:
    done = retrowalk("check", "-", stdin=content)
    assert done.code == 2
    assert len(done.errors) == 1
    assert done.errors[0].startswith("-")


def test_schema_is_json() -> None:
    assert json.loads(retrowalk("schema").out)["title"] == "retrowalk scenario"


def test_run_without_output_prints_the_summary_and_nothing_else_on_stdout(place: Path) -> None:
    done = retrowalk("run", "-", stdin=SMALL)
    assert done.code == 0
    assert done.err == ""
    assert done.out.startswith("A small question\nknee_oa, 40 members per arm; 6 draws.\n")
    assert " ".join(done.out.split()).endswith(CAUTION)
    assert done.out == retrowalk("summary", "small.nc", cwd=place).out


def test_a_result_runs_again_to_identical_data(place: Path, tmp_path: Path) -> None:
    assert retrowalk("run", place / "small.nc", "-o", "again.nc", cwd=tmp_path).code == 0
    same(place / "small.nc", tmp_path / "again.nc")
    assert retrowalk("sweep", place / "swept.zarr", "-o", "again.zarr", cwd=tmp_path).code == 0
    same(place / "swept.zarr", tmp_path / "again.zarr")


def test_threads_change_nothing_and_the_seed_does(place: Path, tmp_path: Path) -> None:
    file = place / "small.yaml"
    assert retrowalk("run", file, "--threads", 1, "-o", "one.nc", cwd=tmp_path).code == 0
    same(place / "small.nc", tmp_path / "one.nc")
    assert retrowalk("run", file, "--seed", 8, "-o", "other.nc", cwd=tmp_path).code == 0
    with open_results(place / "small.nc") as one, open_results(tmp_path / "other.nc") as other:
        assert not one["knee_pain"].equals(other["knee_pain"])
        assert json.loads(other.attrs["scenario"])["seed"] == 8


def test_set_replaces_values_and_reports_wrong_paths(place: Path, tmp_path: Path) -> None:
    file = place / "small.yaml"
    done = retrowalk("run", file, "--set", "population.size=10", "--set", "draws=2")
    assert "10 members per arm; 2 draws" in done.out
    wrong = retrowalk("run", file, "--set", "population.sise=10", cwd=tmp_path)
    assert wrong.code == 2
    assert len(wrong.errors) == 1
    assert "population.sise" in wrong.err


def test_output_of_run_is_kept_continued_or_refused(place: Path, tmp_path: Path) -> None:
    same_again = retrowalk("run", "small.yaml", "-o", "small.nc", cwd=place)
    assert same_again.code == 0
    assert "already holds this result" in same_again.err
    other = tmp_path / "other.nc"
    other.write_text("mine")
    refused = retrowalk("run", place / "small.yaml", "-o", other)
    assert refused.code == 2
    assert len(refused.errors) == 1
    assert "--overwrite" in refused.err
    assert other.read_text() == "mine"
    assert retrowalk("run", place / "small.yaml", "-o", other, "--overwrite").code == 0
    same(place / "small.nc", other)
    assert retrowalk("run", place / "small.yaml", "-o", tmp_path / "no" / "x.nc").code == 2
    assert retrowalk("run", place / "small.yaml", "-o", tmp_path / "x.zarr").code == 2


def test_output_of_sweep_is_kept_or_refused(place: Path, tmp_path: Path) -> None:
    finished = retrowalk("sweep", "swept.yaml", "-o", "swept.zarr", cwd=place)
    assert finished.code == 0
    assert "already holds this sweep, finished" in finished.err
    other = retrowalk("sweep", "swept.yaml", "-o", "swept.zarr", "--seed", 3, cwd=place)
    assert other.code == 2
    assert "--overwrite" in other.err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert retrowalk("sweep", place / "swept.yaml", "-o", tmp_path / "mine").code == 2
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_run_of_a_scenario_with_axes_says_what_it_leaves_out(place: Path) -> None:
    done = retrowalk("run", "swept.yaml", cwd=place)
    assert done.code == 0
    assert "also has sweep axes (6 cases)" in done.err
    assert retrowalk("run", "swept.yaml", "-q", cwd=place).err == ""
    refused = retrowalk("run", "swept.zarr", cwd=place)
    assert refused.code == 2
    assert "retrowalk sweep" in refused.err


def test_sweep_plans_and_needs_axes_and_an_output(place: Path) -> None:
    plan = retrowalk("sweep", "small.yaml", "--axis", "population.size=10,20,30", "--dry-run", cwd=place)
    assert plan.code == 0
    assert plan.out.startswith("3 cases x 2 arms x ")
    assert "population.size" in plan.out
    assert "before compression" in plan.out
    assert "no sweep axes" in retrowalk("sweep", "small.yaml", "-o", "x.zarr", cwd=place).err
    missing = retrowalk("sweep", "swept.yaml", cwd=place)
    assert missing.code == 2
    assert "'--output'" in missing.err
    huge = retrowalk("sweep", "small.yaml", "--axis", "seed={from: 1, to: 1000000000, steps: 1000000000}",
                     "--dry-run", cwd=place)  # fmt: skip
    assert huge.code == 2
    assert len(huge.errors) == 1


def test_status_in_words_and_json(place: Path) -> None:
    done = retrowalk("status", "swept.zarr", "--verify", cwd=place)
    assert done.code == 0
    assert done.out.startswith("swept.zarr: finished, 6 of 6 cases, ")
    assert "every file is as it was written" in done.out
    facts = json.loads(retrowalk("status", "swept.zarr", "--json", cwd=place).out)
    assert (facts["state"], facts["cases"], facts["missing"]) == ("finished", 6, 0)


def test_status_verify_finds_damage(place: Path, tmp_path: Path) -> None:
    assert retrowalk("sweep", place / "swept.yaml", "-o", "hurt.zarr", cwd=tmp_path).code == 0
    chunk = max((tmp_path / "hurt.zarr" / "knee_pain").glob("c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    done = retrowalk("status", "hurt.zarr", "--verify", cwd=tmp_path)
    assert done.code == 1
    assert "damaged: knee_pain/c." in done.out


def test_summary_of_a_sweep_compares_levels(place: Path) -> None:
    text = retrowalk("summary", "swept.zarr", cwd=place).out
    assert "walking against usual_care, by backward share, averaged over minutes" in text
    assert text.count("Backward share: ") + text.count("Backward share makes no difference") == 2
    assert " ".join(text.split()).endswith(CAUTION)


def test_summary_chooses_reference_and_week(place: Path) -> None:
    text = retrowalk("summary", "small.nc", "--reference", "walking", "--week", "10", cwd=place).out
    assert "usual_care against walking" in text
    assert "Change from day 0 to week 10" in text
    wrong = retrowalk("summary", "small.nc", "--week", "9", cwd=place)
    assert wrong.code == 2
    assert "assessed in week 0, 6, 10" in wrong.err
    assert retrowalk("summary", "small.nc", "--reference", "nobody", cwd=place).code == 2


def test_summary_of_all_weeks_names_the_week_of_each_table(place: Path) -> None:
    for result in ("small.nc", "swept.zarr"):
        text = retrowalk("summary", result, "--week", "all", cwd=place).out
        assert text.count("  Week 6:\n") == text.count("  Week 10:\n") == 2


def test_summary_as_csv_and_json_agree(place: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(retrowalk("summary", "small.nc", "--csv", cwd=place).out)))
    data = json.loads(retrowalk("summary", "small.nc", "--json", cwd=place).out)
    assert data["note"] == CAUTION
    assert [row["arm"] for row in rows] == [row["arm"] for row in data["rows"]]
    for row, other in zip(rows, data["rows"], strict=True):
        assert float(row["change"]) == pytest.approx(other["change"], rel=1e-5)
    cases = retrowalk("summary", "swept.zarr", "--csv", "--cases", "--week", "all", cwd=place).out
    assert len(list(csv.DictReader(io.StringIO(cases)))) == 6 * 2 * 2 * 2
    levels = list(csv.DictReader(io.StringIO(retrowalk("summary", "swept.zarr", "--csv", cwd=place).out)))
    assert len(levels) == (3 + 2) * 2


HOSTILE = "\x1b[2J \x1b]0;owned\x07 \x9b1m \u202eevil \u2028next\nfake line"


def test_words_of_strangers_reach_no_terminal(place: Path, tmp_path: Path) -> None:
    """Titles, labels and names of files are escaped in all forms of output, through pipes too."""
    file = tmp_path / "a\x9b\u202e.nc"
    with open_results(place / "small.nc") as result:
        forged = result.load().assign_attrs(title=HOSTILE)
    forged["knee_pain"].attrs |= {"label": HOSTILE, "units": HOSTILE, "instrument": HOSTILE}
    write_netcdf(forged, file)
    for words in ([], ["--json"], ["--csv"], ["--week", "nine"]):
        done = retrowalk("summary", file, *words)
        assert done.code == (2 if "nine" in words else 0), done.err
        shown = f"{done.out}{done.err}".removeprefix("\ufeff")
        assert shown.replace("\n", "").replace("\r", "").isprintable()
        assert not [line for line in shown.splitlines() if line.startswith("fake line")]
    assert json.loads(retrowalk("summary", file, "--json").out)["title"] == HOSTILE
    checked = json.loads(retrowalk("check", "--json", file.with_suffix(".yaml"), cwd=tmp_path).out)
    assert checked[0]["file"] == str(file.with_suffix(".yaml"))


def test_export_gives_the_same_data_as_one_file(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "swept.nc"
    assert retrowalk("export", "swept.zarr", target, cwd=place).code == 0
    same(place / "swept.zarr", target)
    assert retrowalk("export", "swept.zarr", target, cwd=place).code == 2
    assert retrowalk("summary", target).out == retrowalk("summary", "swept.zarr", cwd=place).out


def test_evidence_lists_shows_and_cites() -> None:
    listed = retrowalk("evidence", "list", "--outcome", "knee_pain", "--component", "walk_backward").out
    assert "alghadir2019" in listed
    assert len(json.loads(retrowalk("evidence", "list", "--json").out)) >= 73
    shown = retrowalk("evidence", "show", "alghadir2019").out
    assert "arm retro: walk_backward on top of physiotherapy" in shown
    assert json.loads(retrowalk("evidence", "show", "alghadir2019", "--json").out)["id"] == "alghadir2019"
    assert "10.1186/s12891-019-2537-9" in retrowalk("evidence", "cite", "alghadir2019").out
    assert retrowalk("evidence", "cite", "alghadir2019", "--bibtex").out.startswith("@misc{alghadir2019,")


def test_info_names_versions() -> None:
    facts = json.loads(retrowalk("info", "--json").out)
    assert {"retrowalk", "python", "numpy", "numba", "xarray", "zarr"} <= set(facts)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ("run", "small.yaml", "-o", "out.csv"),
            "name it out.nc; for a spreadsheet: `retrowalk summary out.nc",
        ),
        (("run", "small.yaml", "-o", "out.zarr"), "name it out.nc"),
        (("summary", "small.yaml"), "is a scenario, not a result; `retrowalk run small.yaml -o small.nc`"),
    ],
)
def test_a_name_of_another_format_is_answered_with_the_right_command(words, hint, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    done = retrowalk(*words, cwd=tmp_path)
    assert done.code == 2
    assert hint in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_a_source_is_found_by_its_doi() -> None:
    by_id = retrowalk("evidence", "show", "alghadir2019")
    for doi in ("10.1186/s12891-019-2537-9", "https://doi.org/10.1186/S12891-019-2537-9"):
        assert retrowalk("evidence", "show", doi).out == by_id.out
    assert retrowalk("evidence", "cite", "doi:10.1186/s12891-019-2537-9").out.startswith("Alghadir AH")
