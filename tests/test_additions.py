"""What it takes to add a modality, an outcome, a statistic or a model family to the package.

Each test copies the package, makes the addition where CONTRIBUTING says, and runs it in a process of its own.
Files touched:

==========  ==================================================================================  =====
addition    files                                                                               count
==========  ==================================================================================  =====
modality    catalogue/modalities.csv                                                                1
outcome     catalogue/outcomes.csv, baselines.csv, measurement.csv, and a refit of the draws        3
statistic   simulation/variables.py (its row), kernels/statistics.py (its kernel)                   2
family      model/family.py (its row), model/reference.py (its reference), kernels/recurrences.py
            (its kernel); simulated in a cohort, kernels/responses.py (its step) too                4
==========  ==================================================================================  =====
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import retrowalk

SCENARIO = {
    "format": "retrowalk-scenario/1",
    "title": "An addition",
    "seed": 3,
    "draws": 4,
    "population": {"preset": "knee_oa", "size": 20},
    "assess": {"weeks": [0, 4]},
}
REST = {"phases": [{"weeks": 4}]}
COST = "the equation of walking with a fifth more, made up"


def arms(**session: object) -> dict[str, object]:
    return {"rest": REST, "trained": {"phases": [{"weeks": 4, "sessions": [{"per_week": 3, **session}]}]}}


class Copy:
    """A copy of the package, which notes the files that are changed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.touched = folder, set[str]()
        source = Path(retrowalk.__file__).parent
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, folder / "retrowalk", ignore=ignored)

    def _path(self, name: str) -> Path:
        self.touched.add(name)
        return self.folder / "retrowalk" / name

    def add_row(self, table: str, **cells: object) -> None:
        path = self._path(table)
        with path.open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file))
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerow(cells)

    def insert(self, name: str, anchor: str, text: str) -> None:
        """Put `text` before the only place where `anchor` stands."""
        path = self._path(name)
        before = path.read_text(encoding="utf-8")
        assert before.count(anchor) == 1, f"{name} holds {before.count(anchor)} times {anchor!r}"
        path.write_text(before.replace(anchor, text + anchor), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        with self._path(name).open("a", encoding="utf-8") as file:
            file.write(text)

    def run(self, code: str, **scenario: object) -> str:
        (self.folder / "scenario.yaml").write_text(json.dumps(SCENARIO | scenario), encoding="utf-8")
        start = "import numpy as np, retrowalk\nscenario = retrowalk.load_scenario('scenario.yaml')\n"
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        # Few members take less time interpreted than new kernels take to compile.
        environment["NUMBA_DISABLE_JIT"] = "1"
        done = subprocess.run(
            [sys.executable, "-c", (start if scenario else "") + code],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


CHANGE = """
change = retrowalk.simulate(scenario)["{}_change"].sel(statistic="mean", day=28)
print(*change.mean("draw").values.flat)
"""


def test_a_modality_is_one_row(copy):
    copy.add_row(
        "catalogue/modalities.csv", name="nordic_walking", label="Nordic walking", group="locomotion",
        modality="nordic_walking", reference_minutes=20, reference_speed=1.5, cost_level=0.12, cost_climb=1.8,
        slowest=0.5, fastest=2.5, steepest=0.2, speed_source=COST,
    )  # fmt: skip
    assert copy.touched == {"catalogue/modalities.csv"}
    trained = {"outcomes": ["knee_pain"], "arms": arms(modality="nordic_walking", minutes=30, speed=1.6)}
    gain = {
        "modality": "nordic_walking",
        "outcome": "knee_pain",
        "mean": -0.5,
        "sd": 0.1,
        "source": "made up",
    }
    code = (
        CHANGE.format("knee_pain")
        + "\nfrom retrowalk.model.metabolic import mets\nprint(mets('nordic_walking'))"
    )
    change, cost = copy.run(code, **trained, gains=[gain]).splitlines()
    rest, walked = map(float, change.split())
    assert rest == 0 > walked
    assert float(cost) == pytest.approx(1 + 60 * 1.5 * 0.12 / 3.5)
    # What is not known of it is said, not taken for no effect.
    assert "the draws hold no gain of nordic_walking: give your own" in copy.run(code, **trained)
    both = [gain, {**gain, "outcome": "disability"}]
    assert "gains: none of nordic_walking on balance" in copy.run(
        code, **trained | {"outcomes": ["knee_pain", "disability", "balance"]}, gains=both
    )
    faster = arms(modality="nordic_walking", minutes=30, speed=2.6)
    assert "speed 2.6 m/s is outside the 0.5 to 2.5 m/s of nordic walking" in copy.run(
        "scenario", outcomes=["knee_pain"], arms=faster, gains=[gain]
    )
    backward = arms(modality="nordic_walking", minutes=30, backward_share=0.5)
    assert "backward_share" in copy.run("scenario", outcomes=["knee_pain"], arms=backward, gains=[gain])


def test_an_outcome_is_rows_of_tables_and_a_refit(copy):
    trained = {"outcomes": ["grip_strength"], "arms": arms(modality="walk", minutes=30, backward_share=0.5)}
    copy.add_row(
        "catalogue/outcomes.csv", name="grip_strength", label="Grip strength", long_name="strength of grip",
        instrument="dynamometer", unit="kg", evidence_units="kg; N 0.102", link="log", lower=0,
        resolution=0.1, better="higher", family="strength", references="made up",
    )  # fmt: skip
    common = {"outcome": "grip_strength", "instrument": "dynamometer", "unit": "kg", "status": "assumed"}
    assert "no baseline of 'grip_strength' is known" in copy.run("", **trained)
    known = {"population": "knee_oa", "mean": 28, "sd": 8, "chosen": "yes", "reason": "made up"}
    copy.add_row("catalogue/baselines.csv", **known, **common)
    change = CHANGE.format("grip_strength")
    assert "the posterior draws hold no grip_strength: fit anew" in copy.run(change, **trained)
    refit = (
        "from pathlib import Path\nfrom retrowalk.calibrate import calibrate, save\n"
        "found = calibrate(draws=20, candidates=50, verdict_weight=0.0)\n"
        "print(*save(found, Path('retrowalk/parameters'), overwrite=True))"
    )
    assert "posterior.nc" in copy.run(refit)
    assert "measurement.csv has no row chosen for the sem of 'grip_strength'" in copy.run(change, **trained)
    for kind in ("sem", "mic"):
        row = {"population": "any", "chosen": kind, "reason": "made up", kind: 2.0}
        copy.add_row("catalogue/measurement.csv", **row, **common)
    assert copy.touched == {f"catalogue/{name}.csv" for name in ("outcomes", "baselines", "measurement")}
    rest, walked = map(float, copy.run(change, **trained).split())
    assert rest == 0 != walked


def test_an_outcome_without_units_of_evidence_is_named_with_row_and_column(copy):
    copy.add_row(
        "catalogue/outcomes.csv", name="grip_strength", label="Grip strength", long_name="strength of grip",
        instrument="dynamometer", unit="kg", link="log", lower=0, resolution=0.1, better="higher",
        family="strength", references="made up",
    )  # fmt: skip
    said = copy.run("from retrowalk.catalogue import outcomes\noutcomes()")
    rows = len((copy.folder / "retrowalk/catalogue/outcomes.csv").read_text().splitlines())
    assert f"outcomes.csv:{rows}: column evidence_units: Field required" in said


def test_a_statistic_is_its_row_and_its_kernel(copy):
    copy.insert(
        "simulation/variables.py", '    "_responders": statistic(\n',
        '    "_worse": statistic("share_above_start", None, "share of members whose {} rose", units="1"),\n',
    )  # fmt: skip
    copy.append(
        "kernels/statistics.py",
        "\n\ndef share_above_start(true: Array, change: Array, observed_change: Array) -> Array:\n"
        "    return change > 0\n",
    )
    code = """
ds = retrowalk.simulate(scenario)
followed = retrowalk.simulate(scenario.without_sweep({"record": "members"}))
true = followed["knee_pain"].sel(day=28) - followed["knee_pain"].sel(day=0)
np.testing.assert_allclose(ds["knee_pain_worse"].sel(day=28), (true > 0).mean("member"), atol=1e-6)
print(ds["knee_pain_worse"].attrs["long_name"], ds["knee_pain_worse"].dims)
"""
    trained = arms(modality="walk", minutes=30, backward_share=0.5)
    attended = {"adherence": {"dropout_per_week": 0, "attendance": 1, "spread": 0}}
    said = copy.run(code, outcomes=["knee_pain"], arms=trained, **attended)
    dims = ("draw", "replicate", "arm", "day")
    assert said == f"share of members whose Knee pain rose {dims}\n"
    assert len(copy.touched) == 2


FAMILY = """        Family(
            "squared_strain", 5, _TWO, "squared_strain", "squared_strain",
        ),
"""
REFERENCE = '''

def squared_strain(given: Given) -> tuple[Array, Array, Array]:
    """As `banister`, but fatigue is driven by the squares of the loads."""
    w, t, p = given.w, given.t, given.p
    fitness = p["gain_fitness"] * decaying_sum(w, p["tau_fitness"], t, given.impulse)
    fatigue = p["gain_fatigue"] * decaying_sum(w**2, p["tau_fatigue"], t, given.impulse)
    return fitness, fatigue, fitness + fatigue
'''
KERNEL = '''

@jit
def squared_strain(load: Array, pick: Array, model: Model, gap: Array, daily: bool, ewma: bool, table: Array,
                   response: Array, fitness: Array, fatigue: Array, fault: Array) -> float:  # fmt: skip
    """As `linear`, but fatigue is driven by the squares of the loads."""
    for row in range(response.shape[0]):
        p, fit, tired = table[row], 0.0, 0.0
        for n in range(response.shape[1]):
            dose = float(load[pick[row], n])
            before_fit = fit * math.exp(-gap[n] / p[TAU_FITNESS])
            before_tired = tired * math.exp(-gap[n] / p[TAU_FATIGUE])
            fit, tired = before_fit + dose, before_tired + dose**2
            if model.same_day:
                before_fit, before_tired = fit, tired
            response[row, n] = p[BASELINE] + p[GAIN_FITNESS] * before_fit - p[GAIN_FATIGUE] * before_tired
    return 0.0
'''
STEP = """                elif model.family == 5:
                    for i in range(width):
                        state[TIRING, i] = state[DOSE, i] * state[GAINED, i]
                    _accumulate(state[FITNESS_ROW], decay[0], state[GAINED], same_day, width)
                    _accumulate(state[FATIGUE_ROW], decay[1], state[TIRING], same_day, width)
"""


def test_a_family_is_its_row_its_reference_and_its_kernels(copy):
    copy.insert("model/family.py", '        Family(\n            "nonlinear"', FAMILY)
    copy.append("model/reference.py", REFERENCE)
    copy.append("kernels/recurrences.py", KERNEL)
    assert len(copy.touched) == 3
    code = """
import retrowalk
from retrowalk.model import reference
p = dict(gain_fitness=1.0, tau_fitness=30.0, gain_fatigue=2.0, tau_fatigue=9.0, baseline=5)
p["model"] = "squared_strain"
for impulse in ("next_day", "same_day"):
    got = retrowalk.fitness_fatigue([1.0, 2.0, 0.0, 3.0], impulse=impulse, **p)
    assert abs(got - reference.fitness_fatigue([1, 2, 0, 3], impulse=impulse, **p).response).max() < 1e-12
try:
    retrowalk.fitness_fatigue([1.0], **{**p, "tau_gain": 2.0})
except retrowalk.InputError as error:
    print(error)
"""
    assert "tau_gain is not a parameter of model 'squared_strain'" in copy.run(code)
    copy.insert("kernels/responses.py", "                else:\n                    _tire(", STEP)
    code = """
for minutes in (20, 40):
    for family in ("squared_strain", "banister"):
        values = {"model.family": family, "arms.trained.phases.0.sessions.0.minutes": minutes}
        change = retrowalk.simulate(scenario.without_sweep(values))["knee_pain_change"]
        print(float(change.sel(statistic="mean", day=28, arm="trained").mean()))
"""
    trained = arms(modality="walk", minutes=20, speed=1.0)
    said = copy.run(code, draws=2, outcomes=["knee_pain"], arms=trained, model={"family": "squared_strain"})
    squared, banister, squared_twice, banister_twice = map(float, said.split())
    # Reference sessions weigh 1, and so do their squares; twice as much tires four times as much.
    assert squared == pytest.approx(banister, rel=1e-5)
    assert squared_twice != pytest.approx(banister_twice, rel=1e-3)
    assert len(copy.touched) == 4
