"""Metabolic cost of training components: by speed and grade in both directions, or per minute."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import as_file, files
from typing import Literal, NamedTuple

from retrowalk.catalogue import Modality, components, modalities
from retrowalk.errors import InputError
from retrowalk.tables import Row, read_table

#: Oxygen uptake at rest by convention [ml/kg/min]; 1 MET.
REST = 3.5

#: Speed at which people begin to run backward [m/s] (hreljac2005).
BACKWARD_TRANSITION = 1.63


def mets(component: str, speed: float | None = None, grade: float = 0.0) -> float:
    """Metabolic cost of a component in METs (multiples of 3.5 ml/kg/min).

    At v m/s and grade g, with the catalogue's cost_level a and cost_climb b [ml/kg/m],

        MET_f = (3.5 + 60 v (a + b g)) / 3.5        MET_b = 1 + r (MET_f - 1)

    for components with a speed and, if they go backward, the ratio r of `backward_ratio`. Walking and running
    have the coefficients of `walking_vo2` and `running_vo2`, whatever the speed within their limits. Every
    other component has one value in the catalogue, the same for each minute.

    Speeds are in m/s, the component's reference speed if left out, and grades fractions. Refused are those
    outside the limits, or that the component does not have.

    Examples
    --------
    >>> round(mets("walk_forward", 1.0), 3)
    2.714
    """
    row = modalities().get(component)
    if row is None:
        raise InputError(f"unknown component '{component}': known are {', '.join(modalities())}")
    if row.met is not None:
        if speed is not None or grade != 0:
            raise InputError(f"{component} has one cost per minute: it takes no speed and no grade")
        return row.met
    pace = speed if speed is not None else row.reference_speed
    if pace is None:
        raise InputError(f"{component} has no reference speed: give one")
    check_limits(component, pace, grade)
    directions = components(row.modality)
    forward = directions["forward"] if row.direction else row
    above_rest = oxygen_uptake(forward, pace, grade) / REST - 1.0
    if row.backward_ratio:
        return 1.0 + backward_ratio(row.backward_ratio, pace, grade) * above_rest
    return 1.0 + above_rest


def oxygen_uptake(component: Modality, speed: float, grade: float = 0.0) -> float:
    """Gross oxygen uptake of a component with a cost equation [ml/kg/min]; see `mets`.

    VO2 = 3.5 + S (a + b g), with S the speed in m/min.
    """
    if component.cost_level is None or component.cost_climb is None:
        raise InputError(f"{component.name} has no cost equation")
    return REST + 60.0 * speed * (component.cost_level + component.cost_climb * grade)


def walking_vo2(speed: float, grade: float = 0.0) -> float:
    """Gross oxygen uptake of walking forward [ml/kg/min]: 3.5 + 0.1 S + 1.8 S G, S in m/min.

    ACSM equation as printed in ACSM's Health & Fitness Journal 2020;24(3), doi
    10.1249/FIT.0000000000000577; meant for 50-100 m/min. It runs low on the level: 11.8 at 5 km/h where
    kim_choi2001_cost measured 15.9 (but 22 older men took 10.6 at 4.8 km/h, where it gives 11.5), 3.7 METs
    at 3.5 mph where the 2011 Compendium has 4.3; and it misses how steeply the cost of walking rises above
    1.8 m/s (5 mph: 4.8 METs against 8.3). At 2.5 mph both have 2.9 to 3.0.
    """
    return oxygen_uptake(modalities()["walk_forward"], speed, grade)


def running_vo2(speed: float, grade: float = 0.0) -> float:
    """Gross oxygen uptake of running forward [ml/kg/min]: 3.5 + 0.2 S + 0.9 S G, S in m/min.

    ACSM equation, source as for `walking_vo2`; meant for more than 134 m/min, and from 80 m/min on if truly
    running. At 6 mph it gives 10.2 METs where the 2024 Compendium has 9.3.
    """
    return oxygen_uptake(modalities()["run_forward"], speed, grade)


class BackwardRatio(NamedTuple):
    """Coefficients of the logarithm of the backward/forward ratio; see `backward_ratio`."""

    walk: float
    walk_grade: float
    walk_fast: float
    walk_novelty: float
    run: float


def backward_ratio(gait: str, speed: float, grade: float = 0.0, novelty: float = 0.0) -> float:
    """Ratio of backward to forward cost above rest at the same speed and grade.

        walking    ln r = walk + walk_grade g + walk_fast max(0, v - 1.63 m/s) + walk_novelty n
        running    ln r = run

    Up to the speed at which people begin to run backward the ratio does not depend on it. The novelty n is 1
    for people new to backward walking, 0 for practised ones. The load of a session is always computed with 0,
    so that it is a property of the prescription; what practice does to measured oxygen cost is the business
    of those outcomes.
    """
    c = fit_backward_ratio()
    if gait == "run":
        return math.exp(c.run)
    fast = max(0.0, speed - BACKWARD_TRANSITION)
    return math.exp(c.walk + c.walk_grade * grade + c.walk_fast * fast + c.walk_novelty * novelty)


class CostRow(Row):
    """One measured or derived pair of backward and forward cost; the CSV stands beside this module."""

    id: str
    source: str  #: id in the evidence tables, or a DOI
    gait: Literal["walk", "run"]
    speed: float  #: m/s
    grade: float  #: fraction
    novelty: float  #: 1 new to it, 0 practised, 0.5 where the source does not say
    backward: float
    forward: float
    rest: float  #: cost at rest in the same unit
    unit: str
    forward_from: str
    role: Literal["fit", "check"]
    where: str
    note: str = ""

    @property
    def ratio(self) -> float:
        """Backward over forward, both above rest."""
        return (self.backward - self.rest) / (self.forward - self.rest)


@cache
def cost_rows() -> tuple[CostRow, ...]:
    """Return the rows of ``backward_cost.csv``, those fitted and those kept to check the fit."""
    with as_file(files("retrowalk.model").joinpath("backward_cost.csv")) as path:
        return read_table(path, CostRow)


@cache
def fit_backward_ratio() -> BackwardRatio:
    """Least squares of ln(ratio) over the rows marked ``fit``, each row with the same weight.

    Ten rows carry five coefficients, so this is a summary and no estimate with errors: `walk_fast` rests on
    flynn1994 alone and `walk_grade` on rows whose forward cost is an equation's. Residuals reach 20 %.
    Coefficients are rounded to four decimals, which makes them equal on every machine.
    """
    rows = [row for row in cost_rows() if row.role == "fit"]
    import numpy as np  # the fit alone needs it, reading a scenario does not

    design = np.array([_terms(row) for row in rows])
    solution = np.linalg.lstsq(design, np.log([row.ratio for row in rows]), rcond=None)[0]
    return BackwardRatio(*(round(float(value), 4) for value in solution))


def _terms(row: CostRow) -> list[float]:
    if row.gait == "run":
        return [0.0, 0.0, 0.0, 0.0, 1.0]
    return [1.0, row.grade, max(0.0, row.speed - BACKWARD_TRANSITION), row.novelty, 0.0]


def check_limits(component: str, speed: float, grade: float) -> None:
    """Refuse a speed or grade at which the component's equation says nothing."""
    row, words = modalities()[component], component.replace("_", " ")
    slowest, fastest, steepest = row.slowest or 0.0, row.fastest or math.inf, row.steepest or 0.0
    if not slowest <= speed <= fastest:
        raise InputError(f"speed {speed:g} m/s is outside the {slowest:g} to {fastest:g} m/s of {words}")
    if not 0 <= grade <= steepest:
        hint = "downhill has no equation" if grade < 0 else "grades are fractions: 5 % is 0.05"
        raise InputError(f"grade {grade:g} is outside the 0 to {steepest:g} of {words}: {hint}")
