"""The public strategies: readable smallest cases, nothing filtered away, every corner reached."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.statistics import collector

from retrowalk import catalogue, fitness_fatigue
from retrowalk.errors import InputError
from retrowalk.model.family import FAMILIES
from retrowalk.scenario import Scenario, scenario_from_data
from retrowalk.testing import (
    KINDS,
    documents,
    loads,
    parameter_sets,
    populations,
    programmes,
    result_datasets,
    scenarios,
)

# Without the phase that explains a failure, in which `find` would take up cases that are not the smallest.
SEARCH = settings(
    max_examples=2000,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
)

STRATEGIES = {
    "loads": loads(),
    "programmes": programmes(),
    "populations": populations(),
    "populations of two outcomes": populations(outcomes=["knee_pain", "disability"]),
    "documents": documents(),
    "scenarios": scenarios(),
    "members": documents(record="members"),
    **{f"{kind} {model}": parameter_sets(model, kind) for model in FAMILIES for kind in KINDS},
}


def smallest(strategy, condition):
    return find(strategy, condition, settings=SEARCH)


def reached(strategy, condition):
    """Any case that fulfils the condition, not shrunk."""
    return find(strategy, condition, settings=settings(SEARCH, phases=[Phase.generate]))


# ---- nothing is filtered away


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_hardly_anything_is_filtered_away(name):
    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[name])
    def draw_only(_):
        pass

    runs = []
    with collector.with_value(runs.append):
        draw_only()
    # An overrun is hypothesis cutting one of its own short tries off, no filter of ours.
    counted = Counter(case["status"] for run in runs for case in run["generate-phase"]["test-cases"])
    assert counted["valid"] >= 50
    assert counted["invalid"] <= 0.1 * counted["valid"]


# ---- smallest cases


def test_smallest_cases_read_well():
    assert smallest(loads(), lambda load: True).tolist() == []
    assert smallest(loads(min_days=1), lambda load: True).tolist() == [0.0]
    assert smallest(loads(), lambda load: load.sum() > 0).tolist() == [1.0]
    assert smallest(loads(), lambda load: load[2:].sum() >= 2).tolist() == [0.0, 0.0, 2.0]
    assert smallest(programmes(), lambda arm: True) == {"phases": [{"weeks": 0}]}
    assert smallest(populations(), lambda people: True) == {"preset": "knee_oa", "size": 1}
    assert smallest(parameter_sets(), lambda p: True) == {
        "baseline": 0.0, "gain_fitness": 0.125, "tau_fitness": 2.0, "gain_fatigue": 0.125,
        "tau_fatigue": 1.0, "initial_fitness": 0.0, "initial_fatigue": 0.0,
    }  # fmt: skip
    assert smallest(parameter_sets("one_component", "extreme"), lambda p: True) == {
        "baseline": 1.0, "initial_fitness": 1.0, "gain_fitness": 1.0, "tau_fitness": 0.1,
    }  # fmt: skip


def test_the_smallest_document_is_one_member_who_rests():
    assert smallest(documents(), lambda document: True) == {
        "format": "retrowalk-scenario/1",
        "seed": 0,
        "population": {"preset": "knee_oa", "size": 1},
        "outcomes": ["knee_pain"],
        "assess": {"weeks": [0]},
        "arms": {"first": {"phases": [{"weeks": 0}]}},
        "draws": 1,
        "replicates": 1,
    }


def test_a_failing_programme_shrinks_to_the_session_that_matters():
    found = smallest(programmes(), lambda arm: any(s.get("backward_share") == 1.0 for s in sessions_of(arm)))
    assert found == {
        "phases": [
            {
                "weeks": 0,
                "sessions": [{"modality": "walk", "backward_share": 1.0, "minutes": 0, "per_week": 1}],
            }
        ]
    }


# ---- corners


def sessions_of(arm):
    return [session for phase in arm["phases"] for session in phase.get("sessions", [])]


LOADS = {
    "no day": lambda load: load.size == 0,
    "a month": lambda load: load.size == 30,
    "rest throughout": lambda load: load.size > 3 and not load.any(),
    "the first day alone": lambda load: load.size > 1 and load[0] > 0 and not load[1:].any(),
    "a very large load": lambda load: load.size > 0 and load.max() == 1e6,
    "zero beside very large": lambda load: set(load) == {0.0, 1e6},
    "the same load three days running": lambda load: load.size == 3 and load[0] > 0 and np.ptp(load) == 0,
}
PARAMETERS = {
    "equal time constants": ("degenerate", lambda p: p["tau_fitness"] == p["tau_fatigue"]),
    "fatigue outlasting fitness": ("degenerate", lambda p: p["tau_fitness"] < p["tau_fatigue"]),
    "no gain": ("degenerate", lambda p: p["gain_fitness"] == p["gain_fatigue"] == 0),
    "equal gains": ("degenerate", lambda p: p["gain_fitness"] == p["gain_fatigue"] > 0),
    "negative gains": ("degenerate", lambda p: max(p["gain_fitness"], p["gain_fatigue"]) < 0),
    "the shortest time constant": ("extreme", lambda p: p["tau_fatigue"] == 0.1),
    "the longest time constant": ("extreme", lambda p: p["tau_fitness"] == 1000.0),
    "a large negative gain": ("extreme", lambda p: p["gain_fitness"] == -1e6),
    "initial states": ("valid", lambda p: p["initial_fitness"] > 0 and p["initial_fatigue"] > 0),
    "a negative baseline": ("valid", lambda p: p["baseline"] < 0),
}
DOCUMENTS = {
    "three modalities in a week": lambda d: any(
        len({session["modality"] for session in phase.get("sessions", [])}) == 3
        for arm in d["arms"].values()
        for phase in arm["phases"]
    ),
    "no session at all": lambda d: not any(sessions_of(arm) for arm in d["arms"].values()),
    "rest after training": lambda d: any(
        sessions_of({"phases": arm["phases"][:1]}) and "sessions" not in arm["phases"][-1]
        for arm in d["arms"].values()
    ),
    "three arms": lambda d: len(d["arms"]) == 3,
    "an assessment on no day but the first": lambda d: d["assess"] in ({"weeks": [0]}, {"days": [0]}),
    "an arm with its own adherence": lambda d: any("adherence" in arm for arm in d["arms"].values()),
    "nobody comes": lambda d: d.get("adherence", {}).get("attendance") == 0.0,
    "equal time constants": lambda d: (
        "tau_fitness" in d.get("model", {}) and d["model"]["tau_fitness"] == d["model"].get("tau_fatigue")
    ),
    "saturation": lambda d: "hill" in d.get("model", {}),
    "own gains": lambda d: len(d.get("gains", [])) == 2,
    "inclusion limits": lambda d: "include" in d["population"],
    "two sessions a day": lambda d: any(
        session.get("times_per_day") == 2 for arm in d["arms"].values() for session in sessions_of(arm)
    ),
}


@pytest.mark.parametrize("corner", list(LOADS))
def test_loads_reach(corner):
    assert LOADS[corner](reached(loads(), LOADS[corner]))


@pytest.mark.parametrize("corner", list(PARAMETERS))
def test_parameter_sets_reach(corner):
    kind, condition = PARAMETERS[corner]
    assert condition(reached(parameter_sets(kind=kind), condition))


@pytest.mark.parametrize("corner", list(DOCUMENTS))
def test_documents_reach(corner):
    assert DOCUMENTS[corner](reached(documents(), DOCUMENTS[corner]))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_documents_reach_every_family(family):
    found = reached(documents(), lambda document: document.get("model", {}).get("family") == family)
    assert scenario_from_data(found).model.family == family


@pytest.mark.parametrize("form", FAMILIES["variable_dose"].forms)
def test_variable_dose_comes_in_every_form(form):
    assert reached(parameter_sets("variable_dose"), lambda p: p["form"] == form)["form"] == form


def test_populations_reach_every_preset_and_block():
    for preset in catalogue.populations():
        assert reached(populations(), lambda p, preset=preset: p["preset"] == preset)["size"] >= 1
    found = reached(populations(outcomes=["knee_pain"]), lambda p: {"baseline", "include"} <= set(p))
    assert list(found["baseline"]) == list(found["include"]) == ["knee_pain"]


# ---- what is drawn is what it says


@given(loads(min_days=2, max_days=5, max_load=3.0))
def test_loads_keep_their_bounds(load):
    assert 2 <= load.size <= 5
    assert load.dtype == np.float64
    assert load.min() >= 0
    assert load.max() <= 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", list(FAMILIES))
def test_every_parameter_set_can_be_computed(model, kind):
    @settings(max_examples=40)
    @given(loads(max_load=1000.0), parameter_sets(model, kind))
    def compute(load, parameters):
        response = fitness_fatigue(load, model=model, **parameters)
        assert response.shape == load.shape
        assert np.isfinite(response).all()

    compute()


@given(parameter_sets())
def test_valid_sets_have_positive_gains_and_fatigue_that_fades_first(parameters):
    assert parameters["gain_fitness"] > 0
    assert parameters["gain_fatigue"] > 0
    assert parameters["tau_fitness"] > parameters["tau_fatigue"] >= 1


@given(documents(max_size=5, max_weeks=2))
def test_documents_are_valid_and_small(document):
    scenario = scenario_from_data(document)
    assert scenario.population.size <= 5
    assert all(phase.weeks <= 2 for arm in scenario.arms.values() for phase in arm.phases)
    assert max(scenario.draws, scenario.replicates, len(scenario.arms), len(scenario.outcomes)) <= 3


@given(scenarios())
def test_scenarios_are_scenarios(scenario):
    assert isinstance(scenario, Scenario)
    assert scenario_from_data(scenario.model_dump(mode="json", exclude_none=True)) == scenario


@settings(max_examples=15)
@given(result_datasets())
def test_results_have_the_layout_of_results(result):
    assert {"draw", "replicate", "arm", "day"} <= set(result.dims)
    assert result.day.values[0] == 0
    assert "assessed" in result
    assert all("units" in variable.attrs for variable in result.data_vars.values())


@settings(max_examples=10)
@given(result_datasets(record="members"))
def test_results_come_in_the_layout_asked_for(result):
    assert "member" in result.dims
    assert "statistic" not in result.dims
    assert result.sizes["member"] <= 8


# ---- refusals and imports


def test_unknown_names_are_refused_with_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'banister'"):
        parameter_sets("bannister")
    with pytest.raises(InputError, match="kind is 'wild'; it must be one of valid, degenerate, extreme"):
        parameter_sets(kind="wild")
    with pytest.raises(InputError, match="did you mean 'knee_pain'"):
        populations(outcomes=["knee_pian"])


def test_retrowalk_itself_does_not_import_hypothesis():
    code = "import sys, retrowalk, retrowalk.cli.app, retrowalk.sweeps, retrowalk.report; "
    code += "print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
