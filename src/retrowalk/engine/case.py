"""Run one case: every replicate, arm and draw of it, in pieces that threads can take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import modalities
from retrowalk.engine import variables
from retrowalk.engine.drive import FAMILIES, FORMS, Convention, Rates, impulses, rates
from retrowalk.engine.flags import fill_flags
from retrowalk.engine.outputs import QUANTILES
from retrowalk.engine.people import Measure, People, measures, presence, recruit
from retrowalk.engine.plan import ArmPlan, plan_arm
from retrowalk.errors import RunError
from retrowalk.kernels.summaries import follow_arm, summarize_arm
from retrowalk.model.dose import Hill
from retrowalk.parameters import Parameters, UserGain, draw_parameters
from retrowalk.scenario import Scenario

Arrays = Mapping[str, NDArray[Any]]
Piece = Callable[[], None]

#: Draws per piece of work where a case has but few arms: small enough to keep all threads busy.
DRAWS_AT_ONCE = 25

#: Replicates and arms share one counter of the random numbers; a scenario has at most 64 arms.
ARMS_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Setting:
    """What all arms of a case share."""

    scenario: Scenario
    parameters: Parameters
    convention: Convention
    measures: tuple[Measure, ...]
    rates: Rates
    arms: tuple[ArmPlan, ...]


def prepare(scenario: Scenario) -> Setting:
    """Look everything up that a case needs.

    Raises
    ------
    InputError
        For outcomes without a baseline, programmes that no one can walk, and the like.
    """
    gains = tuple(UserGain(own.component, own.outcome, own.mean, own.sd) for own in scenario.gains)
    parameters = draw_parameters(scenario.draws, scenario.outcomes, source=scenario.parameters, gains=gains)
    parameters = _with_own_constants(parameters, scenario)
    convention = convention_of(scenario)
    looked_up = measures(scenario)
    arms = tuple(plan_arm(scenario, name, parameters.components) for name in scenario.arms)
    return Setting(
        scenario,
        parameters,
        convention,
        looked_up,
        rates(parameters, convention, [measure.typical_sd for measure in looked_up]),
        arms,
    )


def convention_of(scenario: Scenario) -> Convention:
    """The scenario's ``model:`` block in the engine's own terms."""
    model = scenario.model
    hill = Hill(model.hill.maximum, model.hill.half_load, model.hill.exponent) if model.hill else None
    return Convention(
        model.family, model.impulse, model.form or "inclusive", hill, model.tau_delay, model.tau_gain,
        model.exponent_fitness or 1.0, model.exponent_fatigue or 1.0,
    )  # fmt: skip


def _with_own_constants(parameters: Parameters, scenario: Scenario) -> Parameters:
    given: dict[str, Any] = {
        name: np.full_like(parameters.tau_fitness, value)
        for name in ("tau_fitness", "tau_fatigue")
        if (value := getattr(scenario.model, name)) is not None
    }
    return dataclasses.replace(parameters, **given)


def pieces(setting: Setting, arrays: Arrays, index: int) -> Iterator[Piece]:
    """Pieces of work that together fill row `index` of the arrays; any order gives the same bits."""
    scenario = setting.scenario
    fill_flags(scenario, setting.arms, setting.parameters.components, arrays, index)
    driven = [_impulses(setting, plan) for plan in setting.arms]
    draws = len(setting.parameters.dose_exponent)
    step = draws if scenario.replicates > 1 else DRAWS_AT_ONCE
    slices = [slice(first, min(first + step, draws)) for first in range(0, draws, step)]
    people: People | None = None
    for replicate in range(scenario.replicates):
        for arm, plan in enumerate(setting.arms):
            if people is None or arm == 0 or scenario.people == "separate":
                group = arm if scenario.people == "separate" else 0
                people = recruit(scenario, setting.measures, replicate * ARMS_AT_MOST + group)
            attended, assessed = presence(people, plan, scenario)
            arrays["assessed"][index, replicate, arm] = assessed.sum(axis=1)
            for chosen in slices:
                where = (index, chosen, replicate, arm)
                yield _piece(setting, arm, driven[arm], people, attended, assessed, arrays, where)


def _impulses(setting: Setting, plan: ArmPlan) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    groups = {name: modality.group for name, modality in modalities().items()}
    return impulses(plan.loads, groups, setting.parameters, setting.convention)


def _piece(
    setting: Setting, arm: int, driven: tuple[NDArray[np.float32], NDArray[np.float32]], people: People,
    attended: NDArray[np.float32], assessed: NDArray[np.bool_], arrays: Arrays, where: tuple[Any, ...],
) -> Piece:  # fmt: skip
    plan, draws = setting.arms[arm], where[1]
    link = np.array([measure.link for measure in setting.measures])
    sigma = np.ascontiguousarray(setting.parameters.response_sd[draws], np.float32)
    convention, rate = setting.convention, setting.rates
    common = (
        FAMILIES.index(convention.family), FORMS.index(convention.form), convention.impulse == "same_day",
        plan.visit_on, plan.record_on, attended, driven[0][draws], driven[1][draws],
        rate.decay[draws], rate.exponent[draws], rate.unit[draws], rate.weight[draws],
        sigma, people.z, people.start, assessed, link,
    )  # fmt: skip

    def summarize() -> None:
        benefit = np.array([measure.benefit for measure in setting.measures])
        out = _workspace(setting, sigma.shape[0], len(assessed))
        fault = summarize_arm(*common, benefit, people.noise, people.base_true, people.base_observed,
                              np.array(QUANTILES), *out.values())  # fmt: skip
        _check(fault, plan.name)
        for ending, values in out.items():
            for k, name in enumerate(setting.scenario.outcomes):
                arrays[name + ending][where] = values[:, k]

    def follow() -> None:
        shape = (sigma.shape[0], len(setting.measures), len(assessed), people.size)
        true, observed = np.empty(shape, np.float32), np.empty(shape, np.float32)
        _check(follow_arm(*common, people.noise, true, observed), plan.name)
        for k, name in enumerate(setting.scenario.outcomes):
            arrays[name][where] = true[:, k].swapaxes(-1, -2)
            arrays[f"{name}_observed"][where] = observed[:, k].swapaxes(-1, -2)

    return summarize if setting.scenario.record == "summaries" else follow


def _workspace(setting: Setting, draws: int, days: int) -> dict[str, NDArray[np.float32]]:
    sizes = {"statistic": len(variables.STATISTICS), "quantile": len(QUANTILES), "kind": len(variables.KINDS)}
    return {
        ending: np.empty((draws, len(setting.measures), sizes[spec.dims[-2]], days), np.float32)
        for ending, spec in variables.SUMMARIES.items()
    }


def _check(fault: int, arm: str) -> None:
    if fault >= 0:
        raise RunError(
            f"arms.{arm}: on day {fault} a step of the non-linear model would pass below zero; "
            "choose longer time constants or smaller exponents"
        )
