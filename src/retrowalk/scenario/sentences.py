"""What lies beyond the studies, in plain words: what is asked, and what was studied instead."""

from __future__ import annotations

from retrowalk.catalogue import modalities, populations
from retrowalk.evidence import Studied, load_evidence, longest_follow_up, studied
from retrowalk.scenario.asked import central_ages
from retrowalk.scenario.beyond import Finding
from retrowalk.scenario.scenario import Scenario

#: What is asked; what the most studied is called; what is absent where no study says it; unit.
_ITEMS = {
    "minutes": ("{:.3g} min a day", "the longest session studied was {}", "minutes", " min"),
    "sessions_week": ("{:.3g} sessions a week", "the most studied were {}", "sessions a week", ""),
    "weeks": ("{:.0f} weeks", "the longest study lasted {}", "weeks", ""),
    "speed": ("{:.3g} m/s", "the fastest studied was {}", "speed", " m/s"),
}


def value_at(one: Finding, day: int) -> float:
    """The most that a finding asks up to a day."""
    return max((value for begun, value in one.steps if begun < day), default=0.0)


def clause(one: Finding, scenario: Scenario, outcome: str, day: int, *, up_to: bool = False) -> str:
    """What had been asked up to a day, and what was studied instead.

    Parameters
    ----------
    up_to : bool
        Whether what is asked is the most of several cases.
    """
    if one.flag == "follow_up":
        return _follow_up(one, outcome, day)
    known, people = studied(one.component, outcome), scenario.population
    if known.arms == 0:
        return "no training study measured this"
    if one.flag == "condition":
        others = [_people(name) for name in known.populations]
        where = " and ".join(filter(None, [", ".join(others[:-1]), *others[-1:]])) or "other people"
        return f"not studied in {_people(people.preset)}, only in {where}"
    if one.flag == "age":
        low, high = central_ages(people.preset, people.age)
        return f"ages {low:.0f} to {high:.0f}: {_ages(known, low)}"
    asked, most, absent, unit = _ITEMS[one.flag]
    amount = ("up to " if up_to else "") + asked.format(value_at(one, day))
    return f"{amount}: {_studied(known, one.flag, most, absent, unit)}"


def is_studied(component: str, outcome: str) -> bool:
    """Whether any training study of a component measured an outcome."""
    return studied(component, outcome).arms > 0


def named(component: str) -> str:
    """A component as a reader calls it, in the middle of a sentence."""
    label = modalities()[component].label
    return label[:1].lower() + label[1:]


def _studied(known: Studied, item: str, most: str, absent: str, unit: str) -> str:
    stated, assumed = getattr(known, item), known.assumed.get(item)
    taken = ""
    if assumed is not None and (stated is None or assumed[1] > stated[1]):
        taken = f"{assumed[1]:.3g}{unit} assumed for {_cite(known, f'assumed_{item}')}"
    if stated is None:
        return f"no study states its {absent}" + (f" ({taken})" if taken else "")
    return f"{most.format(f'{stated[1]:.3g}{unit}')} ({'; '.join(filter(None, [_cite(known, item), taken]))})"


def _ages(known: Studied, low: float) -> str:
    if known.age is None:
        return "no study states ages"
    end = "youngest" if low < known.age[0] else "age"
    return f"people studied were {known.age[0]:.0f} to {known.age[1]:.0f} years old ({_cite(known, end)})"


def _follow_up(one: Finding, outcome: str, day: int) -> str:
    weeks = f"{(day - one.steps[0][1]) / 7:.2g} weeks after training"
    longest = longest_follow_up(outcome)
    if longest is None:
        return f"{weeks}: no study looked later than the end of training"
    cited = load_evidence().cite(longest[1], "short")
    return f"{weeks}: the longest follow-up was {longest[0] / 7:.2g} ({cited})"


def _cite(known: Studied, item: str) -> str:
    return load_evidence().cite(known.longest[item], "short")


def _people(population: str) -> str:
    label = populations()[population].label
    return label[:1].lower() + label[1:]
