"""Quantities that users write: numbers in the documented unit, or strings such as ``5 km/h``.

A small table answers the usual units at once; pint is imported only for a unit outside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Literal

from retrowalk.errors import InputError
from retrowalk.words import suggestion

if TYPE_CHECKING:
    import pint

KindName = Literal["speed", "minutes", "days", "weeks", "years", "fraction"]

_NUMBER = r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?"
_QUANTITY = re.compile(
    rf"\s*(?P<number>(?>{_NUMBER}))(?::(?P<sixtieths>[0-5][0-9]))?\s*(?P<unit>[^\s0-9:.].*?)\s*"
)
_UNIT_FOR_PINT = re.compile(r"[A-Za-z_]{1,24}(?:\^?[1-3])?(?:\s?[/*]\s?[A-Za-z_]{1,24}(?:\^?[1-3])?){0,2}")

#: The shape of a quantity string, for the JSON Schema.
QUANTITY_PATTERN = r"^\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?(:[0-5][0-9])?\s*[^\s0-9:.].*$"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of quantity: its documented unit and the units the table knows, as exact factors to it.

    `inverse` holds units of the reciprocal, such as the runner's pace: value v means factor / v.
    """

    unit: str
    pint_unit: str
    factors: dict[str, Fraction]
    inverse: dict[str, Fraction]


def _many(factors: dict[str, Fraction | int]) -> dict[str, Fraction]:
    return {name: Fraction(factor) for names, factor in factors.items() for name in names.split("|")}


_PER_HOUR = Fraction(1000, 3600)
_MILE = Fraction("1609.344")

#: All kinds of quantity a scenario holds; factors are exact, so equal quantities give equal floats.
KINDS: dict[KindName, Kind] = {
    "speed": Kind(
        "m/s",
        "meter/second",
        _many(
            {
                "m/s|m s-1|m*s-1": 1,
                "km/h|kmh|kph|km h-1": _PER_HOUR,
                "m/min": Fraction(1, 60),
                "mph|mi/h|miles/h": _MILE / 3600,
            }
        ),
        _many({"min/km": Fraction(1000, 60), "min/mi|min/mile": _MILE / 60, "s/m": 1, "s/km": 1000}),
    ),
    "minutes": Kind(
        "min",
        "minute",
        _many({"min|mins|minute|minutes": 1, "s|sec|second|seconds": Fraction(1, 60), "h|hour|hours": 60}),
        {},
    ),
    "days": Kind(
        "d", "day", _many({"d|day|days": 1, "wk|week|weeks": 7, "month|months": Fraction(365, 12)}), {}
    ),
    "weeks": Kind("weeks", "week", _many({"wk|week|weeks": 1, "d|day|days": Fraction(1, 7)}), {}),
    "years": Kind("years", "year", _many({"y|yr|year|years": 1, "month|months": Fraction(1, 12)}), {}),
    "fraction": Kind("1", "dimensionless", _many({"%|percent|per cent": Fraction(1, 100)}), {}),
}


def parse_quantity(text: str, kind: KindName) -> float:
    """Read a string such as ``5 km/h``, ``6:00 min/km`` or ``5 %`` into the kind's documented unit.

    ``a:b`` is a plus b sixtieths of the unit written: ``6:30 min/km`` is six and a half minutes a kilometre.

    Raises
    ------
    InputError
        With a sentence when the text is no quantity or its unit does not fit.

    Examples
    --------
    >>> parse_quantity("6:00 min/km", "speed")
    2.7777777777777777
    >>> parse_quantity("5 %", "fraction")
    0.05
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= 80 else None
    if match is None:
        raise InputError(_no_quantity(text, kind))
    number = Fraction(match["number"])
    if match["sixtieths"]:
        number += Fraction(int(match["sixtieths"]), 60)
    unit = " ".join(match["unit"].split())
    table = KINDS[kind]
    if unit in table.factors:
        return float(number * table.factors[unit])
    if unit in table.inverse:
        if number <= 0:
            raise InputError(f"a pace must be above 0, not {text.strip()!r}")
        return float(table.inverse[unit] / number)
    return float(number) * _factor_from_pint(unit, kind)


def _no_quantity(text: str, kind: KindName) -> str:
    unit = KINDS[kind].unit
    shown = text if len(text) <= 40 else text[:37] + "..."
    example = "0.05 or '5 %'" if kind == "fraction" else f"10 or '10 {unit}'"
    return f"must be a number, or a number with a unit such as {example}, not {shown!r}"


@cache
def _registry() -> pint.UnitRegistry[float]:
    import pint

    return pint.UnitRegistry(cache_folder=None)


def _factor_from_pint(unit: str, kind: KindName) -> float:
    table = KINDS[kind]
    if _UNIT_FOR_PINT.fullmatch(unit):
        import pint

        registry = _registry()
        try:
            return float(registry.Quantity(1, registry.Unit(unit)).to(table.pint_unit).magnitude)
        except pint.DimensionalityError:
            units = ", ".join([*table.factors, *table.inverse][:8])
            raise InputError(f"{unit!r} does not measure this; give one of {units}") from None
        except (pint.PintError, AttributeError, ValueError, TypeError, OverflowError):
            pass
    raise InputError(f"unknown unit {unit!r}{suggestion(unit, [*table.factors, *table.inverse])}")
