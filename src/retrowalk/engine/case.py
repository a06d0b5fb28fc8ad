"""What one case needs before it runs, looked up."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrowalk.engine.drive import Convention, Rates, rates
from retrowalk.engine.people import Measure, measures
from retrowalk.engine.plan import ArmPlan, plan_arm
from retrowalk.model.dose import Hill
from retrowalk.parameters import Parameters, UserGain, draw_parameters
from retrowalk.scenario import Scenario


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
