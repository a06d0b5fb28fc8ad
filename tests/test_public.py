"""What the package shows: its names, what importing it costs, and the README's own words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import retrowalk

ROOT = Path(__file__).parent.parent
HEAVY = ("numba", "xarray", "pandas", "scipy", "zarr", "hypothesis", "matplotlib")


def test_public_names_are_pinned() -> None:
    assert dir(retrowalk) == [
        "InputError", "Parameters", "RetrowalkError", "RunError", "Scenario", "__version__",
        "fitness_fatigue", "load_evidence", "load_posterior", "load_scenario", "open_results",
        "sample_cohort", "simulate", "summarize", "sweep", "to_grid", "training_balance",
    ]  # fmt: skip


def test_every_public_name_exists_and_explains_itself() -> None:
    for name in dir(retrowalk):
        assert getattr(retrowalk, name).__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        retrowalk.simulat  # noqa: B018  the attribute access is the test


@pytest.mark.parametrize(
    "statement",
    [
        "import retrowalk",
        "from retrowalk import load_scenario, load_evidence",
        "import retrowalk.response.training_response",
        "from retrowalk.cli import main",
    ],
)
def test_light_imports_stay_light(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_reading_a_result_loads_no_compiler() -> None:
    code = "import sys, retrowalk.store.dataset, retrowalk.report\nprint('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def readme_block(marker: str) -> str:
    after = (ROOT / "README.md").read_text(encoding="utf-8").split(f"<!-- {marker} -->", 1)[1]
    return after.split("```", 2)[1].split("\n", 1)[1]


def test_readme_scenario_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    path = tmp_path / "readme.yaml"
    path.write_text(block, encoding="utf-8")
    assert retrowalk.load_scenario(path).population.size == 2000


def test_readme_python_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("```python\n")[2].split("```", 1)[0]
    done = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def test_readme_shows_the_real_output_of_its_first_command(tmp_path: Path) -> None:
    retrowalk_command = [sys.executable, "-m", "retrowalk"]
    store = tmp_path / "knee_walk_mix.zarr"
    for words in (
        ["sweep", str(ROOT / "scenarios" / "knee_walk_mix.yaml"), "-o", str(store)],
        ["summary", str(store)],
    ):
        done = subprocess.run([*retrowalk_command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == readme_block("output").strip(), (
        "run `python results/readme.py` and look at it"
    )
