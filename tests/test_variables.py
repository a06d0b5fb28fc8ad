"""A statistic is one row of the table of variables and its kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import retrowalk

ROW = """    "_worse": statistic("share_risen", None, "share of members whose {} rose", units="1"),
"""
KERNEL = '''

def share_risen(true: Array, change: Array, observed_change: Array) -> Array:
    """Whether a member's value rose."""
    return change > 0
'''
RUN = """
import numpy as np, retrowalk
from retrowalk.scenario import scenario_from_data
walk = {"modality": "walk", "per_week": 3, "minutes": 20, "backward_share": 0.5}
def run(**changes):
    return retrowalk.simulate(scenario_from_data({
        "format": "retrowalk-scenario/1", "seed": 3, "draws": 2,
        "population": {"preset": "knee_oa", "size": 400}, "outcomes": ["walking_speed"],
        "assess": {"weeks": [0, 6]}, "adherence": {"dropout_per_week": 0.05},
        "arms": {"walk": {"phases": [{"weeks": 6, "sessions": [walk]}]}}, **changes,
    }))
worse, members = run()["walking_speed_worse"], run(record="members")
rose = (members.walking_speed - members.walking_speed.isel(day=0)) > 0
share = rose.where(members.walking_speed_observed.notnull()).mean("member")
np.testing.assert_allclose(worse, share.transpose(*worse.dims), rtol=1e-6)
print(worse.dims, worse.attrs["long_name"], worse.attrs["units"])
"""


def test_a_row_and_a_function_add_a_statistic(tmp_path: Path) -> None:
    source = tmp_path / "retrowalk"
    shutil.copytree(Path(retrowalk.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__"))
    table, kernels = source / "simulation" / "variables.py", source / "kernels" / "statistics.py"
    before, head, rows = table.read_text("utf-8").partition("SUMMARIES: dict[str, Spec] = {\n")
    table.write_text(before + head + ROW + rows, encoding="utf-8")
    kernels.write_text(kernels.read_text("utf-8") + KERNEL, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "RETROWALK_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = "('draw', 'replicate', 'arm', 'day') share of members whose walking speed rose 1\n"
    assert done.stdout.lower() == expected
