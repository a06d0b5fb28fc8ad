"""Every shipped scenario runs from the shell as shipped, and its summary says what it must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import retrowalk
from retrowalk.report.labels import axis_paths

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
SIX = {
    "knee_walk_mix",
    "knee_trial",
    "young_women_backward",
    "runner_week",
    "balance_detraining",
    "stroke_gait",
}


def shell(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "retrowalk", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_six_are_there() -> None:
    assert {path.stem for path in SCENARIOS} >= SIX


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_runs_as_shipped(path: Path, tmp_path: Path) -> None:
    scenario = retrowalk.load_scenario(path)
    out = tmp_path / ("out.zarr" if scenario.sweep else "out.nc")
    shell("sweep" if scenario.sweep else "run", str(path), "-o", str(out))
    words = shell("summary", str(out))
    assert "no substitute for a" in words
    assert "what we do not know" in words
    result = retrowalk.open_results(out)
    for outcome in scenario.outcomes:
        assert np.isfinite(result[f"{outcome}_change"].sel(statistic="mean")).all(), outcome


@pytest.mark.parametrize("name", ["block", "digest", "minutes"])
def test_reports_and_grids_take_the_same_coordinates_for_axes(name: str) -> None:
    coords = {"case": [0, 1], name: ("case", [5.0, 6.0])}
    flat = xr.Dataset({"knee_pain": ("case", [1.0, 2.0])}, coords=coords)
    assert list(axis_paths(flat)) == list(retrowalk.to_grid(flat).dims) == [name]


def test_no_study_is_said_of_a_runners_week(tmp_path: Path) -> None:
    path = next(path for path in SCENARIOS if path.stem == "runner_week")
    assert "no study" in shell("run", str(path), "--set", "population.size=50", "--set", "draws=5")
