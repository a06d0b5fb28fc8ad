"""The self-test: it agrees with the package, notices what does not, and says so in its exit code."""

import json
import math
from dataclasses import replace

import pytest

import retrowalk.testing
from retrowalk.cli import main
from retrowalk.testing import LAWS, NUMBERS, TRIAL_LAWS, PublishedNumber, TrialLaw, selftest


@pytest.fixture(scope="module")
def result():
    return selftest(examples=10)


def test_the_installed_package_agrees(result):
    assert result.ok, str(result)
    assert result.failures == 0
    assert [law.name for law in result.laws.held] == list(LAWS)
    assert [row.law.name for row in result.trials] == list(TRIAL_LAWS)


def test_as_many_checks_are_counted_as_are_listed(result):
    rows = [line for line in str(result).splitlines() if line.startswith(("ok", "NO"))]
    data = result.as_data()
    listed = len(data["numbers"]) + len(data["laws"]) + len(data["trials"])
    assert result.checks == data["checks"] == len(rows) == listed


def test_the_table_shows_expected_found_and_difference(result):
    lines = str(result).splitlines()
    assert lines[0].split() == ["number", "expected", "found", "difference", "source"]
    row = next(line for line in lines if "standard case, performance on day 3" in line)
    assert row.startswith("ok")
    assert row.count("100.135034006") == 2
    assert all(line.startswith(("ok", "   ")) or not line for line in lines)


def test_every_number_names_its_source():
    assert len({number.name for number in NUMBERS}) == len(NUMBERS)
    for number in NUMBERS:
        assert number.source
        assert number.tolerance <= 0.05 * abs(number.expected)


def test_data_are_what_the_table_shows(result):
    data = json.loads(json.dumps(result.as_data()))
    assert data["ok"] is True
    assert {"name", "source", "expected", "found", "difference", "tolerance", "ok"} == set(data["numbers"][0])
    assert all(row["holds"] for row in data["laws"] + data["trials"])


@pytest.fixture(scope="module")
def wrong_numbers():
    right = NUMBERS[0]
    failing = PublishedNumber("one that fails", "nobody", 1.0, 0.1, lambda: 1 / 0)
    return selftest(
        examples=5, numbers=[replace(right, expected=right.expected + 0.5), failing], trial_laws=[]
    )


def test_a_wrong_number_is_noticed(wrong_numbers):
    assert not wrong_numbers.ok
    assert wrong_numbers.failures == 2
    assert wrong_numbers.numbers[0].difference == pytest.approx(-0.5)
    assert math.isnan(wrong_numbers.numbers[1].found)
    assert str(wrong_numbers).splitlines()[1].startswith("NO")


def test_a_broken_law_of_trials_is_noticed():
    def broken_in_one_family(document):
        return "it does" if document["model"]["family"] == "nonlinear" else ""

    law = TrialLaw("threads", "The number of threads changes no bit.", broken_in_one_family)
    result = selftest(examples=5, numbers=NUMBERS[:1], trial_laws=[law])
    assert result.failures == 1
    assert "NO  The number of threads changes no bit.\n      nonlinear: it does" in str(result)
    assert [row["found"] for row in result.as_data()["trials"]] == [{"nonlinear": "it does"}]


def test_the_command_prints_the_table_and_exits_0(capsys, monkeypatch, result):
    monkeypatch.setattr(retrowalk.testing, "selftest", lambda: result)
    assert main(["selftest"]) == 0
    out, err = capsys.readouterr()
    rows = [line for line in out.splitlines() if line.startswith("ok")]
    assert "laws of whole trials, in every model family" in out
    assert err == f"all {len(rows)} checks pass\n"


def test_the_command_exits_1_where_something_differs(capsys, monkeypatch, wrong_numbers):
    monkeypatch.setattr(retrowalk.testing, "selftest", lambda: wrong_numbers)
    assert main(["selftest", "--json"]) == 1
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["ok"] is False
    assert data["numbers"][1]["found"] is None
    assert f"2 of {data['checks']} checks fail; please report this" in err
