"""The self-test: it agrees here, notices what does not, and says so in its exit code."""

import json
import math

import pytest

from retrowalk.cli import main
from retrowalk.testing import installation as published
from retrowalk.testing import selftest as run
from retrowalk.testing import trial_laws as trials


@pytest.fixture(scope="module")
def result():
    return run(examples=10)


def test_the_installed_package_agrees(result):
    assert result.ok, str(result)
    assert result.failures == 0
    assert len(result.numbers) > 40
    assert len(result.laws.held) == 19
    assert {row.family for row in result.trials} == {
        "banister", "one_component", "fitness_delay", "variable_dose", "nonlinear",
    }  # fmt: skip


def test_the_table_shows_expected_found_and_difference(result):
    lines = str(result).splitlines()
    assert lines[0].split() == ["number", "expected", "found", "difference", "source"]
    row = next(line for line in lines if "standard case, performance on day 3" in line)
    assert row.startswith("ok")
    assert row.count("100.135034006") == 2
    assert all(line.startswith(("ok", "   ")) or not line for line in lines)


def test_every_number_names_its_source():
    listed = published.numbers()
    assert len({number.name for number in listed}) == len(listed)
    for number in listed:
        assert number.source
        assert number.tolerance <= 0.05 * abs(number.expected)


def test_data_are_what_the_table_shows(result):
    data = json.loads(json.dumps(result.as_data()))
    assert data["ok"] is True
    assert {"name", "source", "expected", "found", "difference", "tolerance", "ok"} == set(data["numbers"][0])
    assert all(row["holds"] for row in data["laws"] + data["trials"])


@pytest.fixture
def wrong_number(monkeypatch):
    right = published.numbers()[0]

    def numbers():
        return (
            published.Number(right.name, right.source, right.expected + 0.5, right.tolerance, right.compute),
            published.Number("one that fails", "nobody", 1.0, 0.1, lambda: 1 / 0),
        )

    monkeypatch.setattr("retrowalk.testing.installation.numbers", numbers)


def test_a_wrong_number_is_noticed(wrong_number):
    result = run(examples=5)
    assert not result.ok
    assert result.failures == 2
    assert result.numbers[0].difference == pytest.approx(-0.5)
    assert math.isnan(result.numbers[1].found)
    assert str(result).splitlines()[1].startswith("NO")


def test_a_broken_law_of_trials_is_noticed(monkeypatch):
    broken = trials.TrialLaw("threads", "The number of threads changes no bit.", lambda document: "it does")
    monkeypatch.setattr("retrowalk.testing.installation.TRIAL_LAWS", {"threads": broken})
    result = run(examples=5)
    assert result.failures == 5
    assert "NO  The number of threads changes no bit.\n      banister: it does" in str(result)
    assert [row["found"] for row in result.as_data()["trials"]] == ["it does"] * 5


def test_the_verb_prints_the_table_and_exits_0(capsys):
    assert main(["selftest"]) == 0
    out, err = capsys.readouterr()
    assert "laws of whole trials, in every model family" in out
    assert err.startswith("all ")
    assert err.endswith("checks pass\n")


def test_the_verb_exits_1_where_something_differs(capsys, wrong_number):
    assert main(["selftest", "--json"]) == 1
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["ok"] is False
    assert data["numbers"][1]["found"] is None
    assert "checks fail; please report this" in err
