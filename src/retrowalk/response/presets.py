"""What published programs compute, as arguments of `fitness_fatigue`: conventions and parameters by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from retrowalk.model.family import require_choice
from retrowalk.response.training_response import reciprocal_tau


@dataclass(frozen=True)
class Preset:
    """What a program is, where it is published, and arguments of `retrowalk.fitness_fatigue` for it."""

    title: str
    source: str
    arguments: Mapping[str, Any]


def _banister(impulse: str, scaling: str = "sum", **parameters: float) -> Mapping[str, Any]:
    return MappingProxyType({"model": "banister", "impulse": impulse, "scaling": scaling, **parameters})


def _manager(title: str, tau_long: float, tau_short: float) -> Preset:
    source = "Coggan's performance manager: Allen, Coggan, Training and Racing with a Power Meter"
    taus = {"tau_fitness": tau_long, "tau_fatigue": tau_short}
    return Preset(title, source, _banister("same_day", "ewma", gain_fitness=1.0, gain_fatigue=1.0, **taus))


PRESETS: Mapping[str, Preset] = MappingProxyType({
    "clarke2013": Preset(
        "Clarke and Skiba's worked example, Bike Score to 5 min power, loads counting on their own day",
        "Clarke, Skiba 2013, figure 8, doi 10.1152/advan.00078.2011",
        _banister("same_day", baseline=261.9273721089768,
                  gain_fitness=0.1825819069014407, tau_fitness=35.821034441472136,
                  gain_fatigue=0.23016327121095306, tau_fatigue=21.33971458297882),
    ),
    "bsh2": Preset(
        "The standard case of Stephens Hemingway's simulator, loads counting from the next day",
        "github.com/bsh2/Fitness-Fatigue-Model; it assumes a 20-day block of loads repeated five times",
        _banister("next_day", baseline=100.0,
                  gain_fitness=1.1, tau_fitness=25.0, gain_fatigue=1.3, tau_fatigue=5.0),
    ),
    "dorem": Preset(
        "The fit published with the R package dorem to Clarke and Skiba's data",
        "Jovanovic, Stephens Hemingway, Swinton 2020, dorem.net",
        _banister("same_day", baseline=266.0204779,
                  gain_fitness=0.3020749, tau_fitness=33.6433797,
                  gain_fatigue=0.3514750, tau_fatigue=24.6056388),
    ),
    "performance_manager": _manager(
        "Chronic and acute load moving by 1/42 and 1/7 of the way to each day's load",
        reciprocal_tau("tau_long", 42.0), reciprocal_tau("tau_short", 7.0),
    ),
    "performance_manager_exp": _manager(
        "Chronic and acute load moving by the steps 1 - exp(-1/42) and 1 - exp(-1/7)", 42.0, 7.0
    ),
})  # fmt: skip


def preset(name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # values of any argument pass through
    """Arguments of `fitness_fatigue` that reproduce a published program.

    Parameters
    ----------
    name : {"clarke2013", "bsh2", "dorem", "performance_manager", "performance_manager_exp"}
        Program. In the last two fitness is the chronic load, fatigue the acute load and the response their
        balance on the same day; `training_balance` also gives it as of the day before.
    **changes
        Arguments to change or add.

    Returns
    -------
    dict
        Keyword arguments: ``fitness_fatigue(load, **preset("bsh2"))``.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    require_choice("preset", name, PRESETS)
    return {**PRESETS[name].arguments, **changes}
