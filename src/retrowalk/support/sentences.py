"""What lies beyond the studies, in plain words: what is asked, and what was studied instead.

Where a scenario, or the cases of a sweep, go beyond the studies: one line per component, with the arms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrowalk.catalogue import modalities, populations
from retrowalk.evidence import Studied, load_evidence, longest_follow_up, studied
from retrowalk.scenario.cases import chosen_cases, number_of_cases
from retrowalk.scenario.specification import Scenario
from retrowalk.support.beyond import Finding, beyond
from retrowalk.support.prescribed import central_ages

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


#: Cases of a sweep that are looked at; of more, so many spread evenly.
MOST_CASES = 300
#: What can be asked beyond the studies, in words. An assumed dose is not asked for.
ASKED = {
    "condition": "kind of people",
    "age": "ages",
    "minutes": "minutes a day",
    "sessions_week": "sessions a week",
    "weeks": "weeks",
    "speed": "speed",
    "follow_up": "time after training",
}


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases that are looked at, out of how many."""

    scenarios: Sequence[Scenario]
    total: int


@dataclass(frozen=True, slots=True)
class Most:
    """The case that goes furthest in one respect, and what each case asks in it."""

    finding: Finding
    scenario: Scenario
    values: tuple[float, ...]


def spread_cases(whole: Scenario, numbers: Sequence[int] | None = None, *, most: int = MOST_CASES) -> Cases:
    """The cases with these numbers, all unless some are named; so many as are looked at."""
    known = range(number_of_cases(whole)) if numbers is None else numbers
    step = max(1, -(-len(known) // most))
    chosen = dict.fromkeys([*known[::step], *known[-1:]])
    return Cases([case.scenario for case in chosen_cases(whole, chosen)], len(known))


def sentences(
    cases: Cases, outcome: str, day: int, flags: Mapping[str, Collection[str]] | None = None
) -> list[str]:
    """What had been asked up to a day beyond the studies of an outcome, and what was studied instead.

    Parameters
    ----------
    flags : mapping of arm to collection of str, optional
        What is told of each arm; all of `ASKED` unless given.
    """
    arms = tuple(cases.scenarios[0].arms)
    wanted = dict.fromkeys(arms, ASKED) if flags is None else flags
    found: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        said = _said(cases, furthest(cases, outcome, arm, day), outcome, day, wanted.get(arm, ()))
        for component_and_words in dict.fromkeys(said):
            found.setdefault(component_and_words, []).append(arm)
    return _each_doi_once(_grouped(found, len(arms)))


def respects(cases: Cases, outcome: str, day: int) -> list[str]:
    """As `sentences`, but in one line, and only in what the components go beyond the studies."""
    found: dict[str, dict[str, None]] = {}
    for arm in cases.scenarios[0].arms:
        for component, flag in furthest(cases, outcome, arm, day):
            if flag in ASKED:
                found.setdefault(component, {})[ASKED[flag]] = None
    alike: dict[tuple[str, ...], list[str]] = {}
    for component, words in found.items():
        studied = not component or is_studied(component, outcome)
        alike.setdefault(tuple(words) if studied else ("everything",), []).append(component)
    parts = [
        f"{_listed(components)}: {', '.join(words)}" if any(components) else ", ".join(words)
        for words, components in alike.items()
    ]
    return ["; ".join(parts)] if parts else []


def furthest(cases: Cases, outcome: str, arm: str, day: int) -> dict[tuple[str, str], Most]:
    """By component and flag, the case that goes furthest up to a day."""
    most: dict[tuple[str, str], Most] = {}
    for scenario in cases.scenarios:
        for one in beyond(scenario, arm, outcome):
            if one.since < day:
                known = most.get((one.component, one.flag))
                most[one.component, one.flag] = _further(known, one, scenario, day)
    return most


def _further(known: Most | None, one: Finding, scenario: Scenario, day: int) -> Most:
    value = value_at(one, day)
    if known is None:
        return Most(one, scenario, (value,))
    if value > max(known.values):
        return Most(one, scenario, (*known.values, value))
    return Most(known.finding, known.scenario, (*known.values, value))


def _said(
    cases: Cases, most: Mapping[tuple[str, str], Most], outcome: str, day: int, flags: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(component, words)."""
    for (component, flag), case in most.items():
        # Other people are mostly of another age.
        if flag in flags and flag in ASKED and (flag != "age" or (component, "condition") not in most):
            yield component, _words(cases, case, outcome, day)


def _words(cases: Cases, case: Most, outcome: str, day: int) -> str:
    varies, count = len(set(case.values)) > 1, len(case.values)
    words = clause(case.finding, case.scenario, outcome, day, up_to=varies)
    if count == len(cases.scenarios):
        return words
    if len(cases.scenarios) < cases.total:
        return f"{words}, in some of the cases"
    return f"{words}, in {count} of {cases.total} cases"


def _grouped(found: Mapping[tuple[str, str], Sequence[str]], arms_in_all: int) -> list[str]:
    """Words of the same components and arms in one line."""
    same: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (component, words), arms in found.items():
        same.setdefault((words, tuple(arms)), []).append(component)
    lines: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (words, names), components in same.items():
        lines.setdefault((tuple(components), names), []).append(words)
    return [
        f"{_who(components, names, arms_in_all)}: {'; '.join(words)}."
        for (components, names), words in lines.items()
    ]


def _who(components: Sequence[str], arms: Sequence[str], arms_in_all: int) -> str:
    where = "all arms" if len(arms) == arms_in_all > 1 else ", ".join(arms)
    return f"{_listed(components)} ({where})" if any(components) else where


def _listed(components: Sequence[str]) -> str:
    return ", ".join(named(component) for component in components if component)


def _each_doi_once(lines: list[str]) -> list[str]:
    """Lines in which a source has its DOI where it is named first."""
    evidence, text = load_evidence(), "\n".join(lines)
    for cited in (evidence.cite(source.id, "short") for source in evidence.sources if source.doi):
        first, found, rest = text.partition(cited)
        text = first + found + rest.replace(cited, cited.partition(", doi ")[0])
    return text.split("\n") if text else []
