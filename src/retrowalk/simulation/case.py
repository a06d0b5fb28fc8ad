"""What a case needs before it runs: parameters, decays, weights, and the impulses that drive the kernels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.dose import Hill, impulse
from retrowalk.model.family import FAMILIES
from retrowalk.model.gains import nonlinear_gain, reference_sums
from retrowalk.parameters import Parameters, UserGain, draw_parameters
from retrowalk.scenario import Scenario
from retrowalk.simulation.arms import ArmPlan, plan_arm
from retrowalk.simulation.people import MeasuredOutcome, measures

Array = NDArray[np.float64]
Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelConvention:
    """Which model runs and how it counts; names as in `retrowalk.fitness_fatigue`."""

    family: str
    impulse: str
    form: str
    hill: Hill | None
    tau_delay: float | None
    tau_gain: float | None
    exponent_fitness: float
    exponent_fatigue: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What does not depend on the programme, per (draw, outcome): see `retrowalk.kernels.types.Dynamics`.

    Cases share the arrays: they must not be changed.
    """

    decay: Single
    exponent: Single
    unit: Single
    weight: Single


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """What all arms of a case share, and the plan of each."""

    scenario: Scenario
    parameters: Parameters
    convention: ModelConvention
    measures: tuple[MeasuredOutcome, ...]
    rates: Rates
    arms: tuple[ArmPlan, ...]


def prepare(scenario: Scenario) -> PreparedCase:
    """Look everything up that a case needs.

    Raises `InputError` for outcomes without a baseline, programmes that no one can walk, and the like.
    """
    gains = tuple(UserGain(own.component, own.outcome, own.mean, own.sd) for own in scenario.gains)
    parameters = draw_parameters(scenario.draws, scenario.outcomes, source=scenario.parameters, gains=gains)
    model = scenario.model
    given: dict[str, Any] = {
        name: np.full_like(parameters.tau_fitness, value)
        for name in ("tau_fitness", "tau_fatigue")
        if (value := getattr(model, name)) is not None
    }
    if given:
        parameters = dataclasses.replace(parameters, **given)
    hill = Hill(model.hill.maximum, model.hill.half_load, model.hill.exponent) if model.hill else None
    convention = ModelConvention(
        model.family, model.impulse, model.form or "inclusive", hill, model.tau_delay, model.tau_gain,
        model.exponent_fitness or 1.0, model.exponent_fatigue or 1.0,
    )  # fmt: skip
    looked_up = measures(scenario)
    arms = tuple(plan_arm(scenario, name, parameters.components) for name in scenario.arms)
    decays_and_weights = rates(parameters, convention, [measure.typical_sd for measure in looked_up])
    return PreparedCase(scenario, parameters, convention, looked_up, decays_and_weights, arms)


def rates(parameters: Parameters, convention: ModelConvention, sd: Sequence[float]) -> Rates:
    """Decays and weights of a model family; `sd` is each outcome's in the population on the link scale.

    With G* and H* the unit sums of the reference programme, f the fatigue fraction and SD the population's
    spread on the link scale, the response is

        x(t) = SD / (1 - f) * ( G(t) / G*  -  f H(t) / H* )

    where G and H are driven by impulses weighed by R, so that the reference programme yields SD R. For the
    non-linear model the impulses are scaled instead, so that G and H of a unit reference programme are 1.
    """
    read = (parameters.tau_fitness, parameters.tau_fatigue, parameters.fatigue_fraction)
    # With their strides, since the order of a sum follows them.
    content = tuple((array.tobytes(), array.strides) for array in read)
    return _rates(_RateInputs(content, parameters), convention, tuple(sd))


@dataclass(frozen=True, slots=True)
class _RateInputs:
    """Parameters that count as equal where all that `rates` reads of them is."""

    content: tuple[Any, ...]
    parameters: Parameters = field(compare=False)


# Cases of a sweep mostly share their time constants. Not read-only: kernels would be compiled once more.
@functools.lru_cache(maxsize=8)
def _rates(inputs: _RateInputs, convention: ModelConvention, sd: tuple[float, ...]) -> Rates:
    parameters = inputs.parameters
    family, fraction = FAMILIES[convention.family], parameters.fatigue_fraction
    if not family.has_fatigue:
        fraction = np.zeros_like(fraction)
    constants = np.ones((*fraction.shape, 4))
    constants[..., 0], constants[..., 1] = parameters.tau_fitness, parameters.tau_fatigue
    constants[..., 2], constants[..., 3] = convention.tau_delay or 1.0, convention.tau_gain or 1.0
    unit, sums = np.ones((*fraction.shape, 2)), np.ones((*fraction.shape, 2))
    if family.daily:
        decay = 1.0 / constants
        exponents = (convention.exponent_fitness, convention.exponent_fatigue)
        for index in np.ndindex(unit.shape):
            tau, exponent = float(constants[index]), exponents[index[-1]]
            unit[index] = nonlinear_gain(1.0, tau, exponent, impulse=convention.impulse, hill=convention.hill)
    else:
        decay = np.exp(-1.0 / constants)
        fitness, fatigue = reference_sums(
            parameters.tau_fitness, parameters.tau_fatigue, model=convention.family,
            impulse=convention.impulse, tau_delay=convention.tau_delay, tau_gain=convention.tau_gain,
            form=convention.form, hill=convention.hill,
        )  # fmt: skip
        sums[..., 0], sums[..., 1] = fitness, fatigue if family.has_fatigue else 1.0
    scale = np.asarray(sd) / (1.0 - fraction)
    weight = np.stack([scale / sums[..., 0], fraction * scale / sums[..., 1]], axis=-1)
    exponent_of = np.broadcast_to([convention.exponent_fitness, convention.exponent_fatigue], weight.shape)
    return Rates(*(np.ascontiguousarray(a, np.float32) for a in (decay, exponent_of, unit, weight)))


def impulses(
    loads: Array, groups: Mapping[str, str], parameters: Parameters, convention: ModelConvention
) -> tuple[Single, Single]:
    """Impulses of an arm's visits, weighed by gains and plain.

    Parameters
    ----------
    loads : (visits, components)
        In reference sessions, components in the order of `parameters`.
    groups : mapping of component to group

    Returns
    -------
    gain : (draws, outcomes, visits)
        Sum over components m of R_m w_m [SD].
    dose : (draws, visits)
        Sum over components of w_m [reference sessions].
    """
    labels = [groups[component] for component in parameters.components]
    if convention.hill is not None:
        draws = len(parameters.dose_exponent)
        weighed = np.broadcast_to(impulse(loads, labels, hill=convention.hill), (draws, *loads.shape))
    else:
        # Powers are slow, and most visits alike: kinds of visits in the order of their first.
        numbers: dict[bytes, int] = {}
        kind_of = [numbers.setdefault(row.tobytes(), len(numbers)) for row in loads]
        kinds = loads[[kind_of.index(number) for number in range(len(numbers))]]
        weighed = np.take(impulse(kinds, labels, gamma=parameters.dose_exponent), kind_of, axis=1)
    gain = np.einsum("dvc,dck->dkv", weighed, parameters.gain)
    single = np.ascontiguousarray(gain, np.float32), np.ascontiguousarray(weighed.sum(axis=2), np.float32)
    if not all(bool(np.isfinite(values).all()) for values in single):
        raise InputError(
            "the loads of this programme are too large for single precision; check minutes and speed"
        )
    return single
