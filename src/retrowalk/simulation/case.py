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
from retrowalk.model.gains import nonlinear_gain, reference_sums
from retrowalk.parameters import Parameters, UserGain, draw_parameters
from retrowalk.scenario import Scenario
from retrowalk.simulation.arms import ArmPlan, plan_arm
from retrowalk.simulation.people import MeasuredOutcome, measures

Array = NDArray[np.float64]
Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Convention:
    """Which model runs and how it counts; names as in `retrowalk.fitness_fatigue`."""

    family: str = "banister"
    impulse: str = "next_day"
    form: str = "inclusive"
    hill: Hill | None = None
    tau_delay: float | None = None
    tau_gain: float | None = None
    exponent_fitness: float = 1.0
    exponent_fatigue: float = 1.0


@dataclass(frozen=True, slots=True)
class Rates:
    """What does not depend on the programme, per (draw, outcome): see `retrowalk.kernels.types.Dynamics`.

    Cases share the arrays: they must not be changed.
    """

    decay: Single
    exponent: Single
    unit: Single
    weight: Single


def rates(parameters: Parameters, convention: Convention, sd: Sequence[float]) -> Rates:
    """Decays and weights of a model family.

    With G* and H* the unit sums of the reference programme, f the fatigue fraction and SD the population's
    spread on the link scale, the response is

        x(t) = SD / (1 - f) * ( G(t) / G*  -  f H(t) / H* )

    where G and H are driven by impulses weighed by R, so that the reference programme yields SD R. For the
    non-linear model the impulses are scaled instead, so that G and H of a unit reference programme are 1.

    Parameters
    ----------
    sd : sequence of length outcomes
        SD of each outcome in the population on the link scale.
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
def _rates(inputs: _RateInputs, convention: Convention, sd: tuple[float, ...]) -> Rates:
    parameters = inputs.parameters
    fraction = parameters.fatigue_fraction
    if convention.family == "one_component":
        fraction = np.zeros_like(fraction)
    if convention.family == "nonlinear":
        unit, sums = _nonlinear_units(parameters, convention), np.ones((*fraction.shape, 2))
    else:
        unit, sums = np.ones((*fraction.shape, 2)), _linear_sums(parameters, convention)
    scale = np.asarray(sd) / (1.0 - fraction)
    weight = np.stack([scale / sums[..., 0], fraction * scale / sums[..., 1]], axis=-1)
    exponent = np.broadcast_to([convention.exponent_fitness, convention.exponent_fatigue], weight.shape)
    single = [
        np.ascontiguousarray(a, np.float32) for a in (_decays(parameters, convention), exponent, unit, weight)
    ]
    return Rates(*single)


def _linear_sums(parameters: Parameters, convention: Convention) -> Array:
    fitness, fatigue = reference_sums(
        parameters.tau_fitness, parameters.tau_fatigue, model=convention.family,
        impulse=convention.impulse, tau_delay=convention.tau_delay, tau_gain=convention.tau_gain,
        form=convention.form, hill=convention.hill,
    )  # fmt: skip
    if convention.family == "one_component":
        fatigue = np.ones_like(fitness)
    return np.stack(np.broadcast_arrays(fitness, fatigue), axis=-1)


def _nonlinear_units(parameters: Parameters, convention: Convention) -> Array:
    def unit(tau: float, exponent: float) -> float:
        return nonlinear_gain(1.0, tau, exponent, impulse=convention.impulse, hill=convention.hill)

    pairs = zip(parameters.tau_fitness.ravel(), parameters.tau_fatigue.ravel(), strict=True)
    units = [
        (unit(float(fit), convention.exponent_fitness), unit(float(tired), convention.exponent_fatigue))
        for fit, tired in pairs
    ]
    return np.array(units).reshape(*parameters.tau_fitness.shape, 2)


def _decays(parameters: Parameters, convention: Convention) -> Array:
    constants = np.ones((*parameters.tau_fitness.shape, 4))
    constants[..., 0] = parameters.tau_fitness
    constants[..., 1] = parameters.tau_fatigue
    constants[..., 2] = convention.tau_delay or 1.0
    constants[..., 3] = convention.tau_gain or 1.0
    return 1.0 / constants if convention.family == "nonlinear" else np.exp(-1.0 / constants)


def impulses(
    loads: Array, groups: Mapping[str, str], parameters: Parameters, convention: Convention
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
    draws = len(parameters.dose_exponent)
    if convention.hill is not None:
        weighed = np.broadcast_to(impulse(loads, labels, hill=convention.hill), (draws, *loads.shape))
    else:
        kinds, kind_of = _kinds(loads)
        weighed = np.take(impulse(kinds, labels, gamma=parameters.dose_exponent), kind_of, axis=1)
    gain = np.einsum("dvc,dck->dkv", weighed, parameters.gain)
    single = np.ascontiguousarray(gain, np.float32), np.ascontiguousarray(weighed.sum(axis=2), np.float32)
    if not all(bool(np.isfinite(values).all()) for values in single):
        raise InputError(
            "the loads of this programme are too large for single precision; check minutes and speed"
        )
    return single


def _kinds(loads: Array) -> tuple[Array, list[int]]:
    """Different visits in the order of their first, and which of them each visit is: powers are slow."""
    numbers: dict[bytes, int] = {}
    kind_of = [numbers.setdefault(row.tobytes(), len(numbers)) for row in loads]
    firsts = [kind_of.index(number) for number in range(len(numbers))]
    return loads[firsts], kind_of


@dataclass(frozen=True, slots=True)
class Setting:
    """What all arms of a case share."""

    scenario: Scenario
    parameters: Parameters
    convention: Convention
    measures: tuple[MeasuredOutcome, ...]
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
    return dataclasses.replace(parameters, **given) if given else parameters
