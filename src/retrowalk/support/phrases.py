"""What lies beyond the studies in plain words, for one scenario or the cases of a sweep."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from retrowalk.catalogue import modalities, populations
from retrowalk.evidence import Evidence, Studied, load_evidence, longest_follow_up, studied
from retrowalk.scenario import Scenario, chosen_cases
from retrowalk.support.beyond import Finding, beyond, central_ages

#: Cases of a sweep that are looked at; of more, so many spread evenly.
MOST_CASES = 300
#: Sessions in the weeks of all cases that are looked at; of more, every second case is left out, and again.
MOST_SESSIONS = 120_000
#: What can be prescribed beyond the studies, in words. An assumed dose is nobody's prescription.
ASPECTS = {
    "condition": "kind of people",
    "age": "ages",
    "minutes": "minutes a day",
    "sessions_week": "sessions a week",
    "weeks": "weeks",
    "speed": "speed",
    "follow_up": "time after training",
}
#: What is prescribed; what the most studied is called; what is absent where no study says it; unit.
_ITEMS = {
    "minutes": ("{:.3g} min a day", "the longest session studied was {}", "minutes", " min"),
    "sessions_week": ("{:.3g} sessions a week", "the most studied were {}", "sessions a week", ""),
    "weeks": ("{:.0f} weeks", "the longest study lasted {}", "weeks", ""),
    "speed": ("{:.3g} m/s", "the fastest studied was {}", "speed", " m/s"),
}


@dataclass(frozen=True, slots=True)
class CaseSample:
    """The cases of a scenario that are looked at, and how many there are."""

    scenarios: Sequence[Scenario]
    total: int


class _Furthest(NamedTuple):
    """The case that goes furthest in one respect, and what each case prescribes in it."""

    finding: Finding
    scenario: Scenario
    values: tuple[float, ...]


def sample_cases(
    whole: Scenario, numbers: Sequence[int] | None = None, *, at_most: int = MOST_CASES
) -> CaseSample:
    """The cases with these numbers, all unless some are named; of more than `at_most`, some spread evenly."""
    known = range(whole.sweep.number_of_cases()) if numbers is None else numbers
    step = max(1, -(-len(known) // at_most))
    chosen = dict.fromkeys([*known[::step], *known[-1:]])
    scenarios = [case.scenario for case in chosen_cases(whole, chosen)]
    while len(scenarios) > 1 and sum(one.planned_sessions for one in scenarios) > MOST_SESSIONS:
        scenarios = scenarios[::2]
    return CaseSample(scenarios, len(known))


def sentences(
    cases: CaseSample,
    outcome: str,
    day: int,
    flags: Mapping[str, Collection[str]] | None = None,
    *,
    evidence: Evidence | None = None,
) -> list[str]:
    """What was prescribed up to a day beyond the studies of an outcome, and what was studied instead.

    `flags` are what is said of each arm, all of `ASPECTS` unless given.

    Examples
    --------
    >>> from retrowalk.scenario import parse_scenario, template
    >>> scenario = parse_scenario(template("knee_oa").replace("minutes: 10", "minutes: 300"))
    >>> sentences(sample_cases(scenario), "knee_pain", 42)[0].split(":")[1]
    ' up to 300 min a day'
    """
    comparison = _Comparison(cases, outcome, day, evidence)
    arms = tuple(cases.scenarios[0].arms)
    arms_of: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        wanted = ASPECTS if flags is None else flags.get(arm, ())
        for component_and_clause in dict.fromkeys(comparison.clauses(arm, wanted)):
            arms_of.setdefault(component_and_clause, []).append(arm)
    return comparison.each_doi_once(_grouped(arms_of, len(arms)))


def brief_sentences(
    cases: CaseSample, outcome: str, day: int, *, evidence: Evidence | None = None
) -> list[str]:
    """As `sentences`, but in one line, and only in what the components go beyond the studies."""
    comparison = _Comparison(cases, outcome, day, evidence)
    aspects: dict[str, dict[str, None]] = {}
    for arm in cases.scenarios[0].arms:
        for component, flag in comparison.furthest(arm):
            if flag in ASPECTS:
                aspects.setdefault(component, {})[ASPECTS[flag]] = None
    alike: dict[tuple[str, ...], list[str]] = {}
    for component, words in aspects.items():
        unstudied = component and comparison.studied(component).arms == 0
        alike.setdefault(("everything",) if unstudied else tuple(words), []).append(component)
    parts = [
        f"{_listed(components)}: {', '.join(words)}" if any(components) else ", ".join(words)
        for words, components in alike.items()
    ]
    return ["; ".join(parts)] if parts else []


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What the cases prescribe up to a day, against the studies of one outcome."""

    cases: CaseSample
    outcome: str
    day: int
    evidence: Evidence | None

    def studied(self, component: str) -> Studied:
        return studied(component, self.outcome, evidence=self.evidence)

    def furthest(self, arm: str) -> dict[tuple[str, str], _Furthest]:
        """By component and flag, the case that goes furthest up to the day."""
        most: dict[tuple[str, str], _Furthest] = {}
        for scenario in self.cases.scenarios:
            for one in beyond(scenario, arm, self.outcome, evidence=self.evidence):
                if one.since >= self.day:
                    continue
                key, value = (one.component, one.flag), one.value_at(self.day)
                known = most.get(key) or _Furthest(one, scenario, ())
                further = value > max(known.values, default=value)
                finding, case = (one, scenario) if further else (known.finding, known.scenario)
                most[key] = _Furthest(finding, case, (*known.values, value))
        return most

    def clauses(self, arm: str, flags: Collection[str]) -> Iterator[tuple[str, str]]:
        """(component, clause) of each thing an arm goes beyond."""
        most, looked_at, total = self.furthest(arm), len(self.cases.scenarios), self.cases.total
        for (component, flag), case in most.items():
            # Other people are mostly of another age.
            if flag in flags and flag in ASPECTS and (flag != "age" or (component, "condition") not in most):
                clause = self._clause(case)
                if len(case.values) < looked_at:
                    some = "some of the" if looked_at < total else f"{len(case.values)} of {total}"
                    clause += f", in {some} cases"
                yield component, clause

    def _clause(self, case: _Furthest) -> str:
        """What had been prescribed up to the day, and what was studied instead."""
        one, people = case.finding, case.scenario.population
        if one.flag == "follow_up":
            return self._follow_up(one)
        known = self.studied(one.component)
        if known.arms == 0:
            return "no training study measured this"
        if one.flag == "condition":
            labels = [populations()[name].label for name in (people.preset, *known.populations)]
            preset, *others = map(_mid_sentence, labels)
            where = " and ".join(filter(None, [", ".join(others[:-1]), *others[-1:]])) or "other people"
            return f"not studied in {preset}, only in {where}"
        if one.flag == "age":
            low, high = central_ages(people.preset, people.age)
            return f"ages {low:.0f} to {high:.0f}: {self._ages(known, low)}"
        prescribed, most, absent, unit = _ITEMS[one.flag]
        amount = prescribed.format(one.value_at(self.day))
        up_to = "up to " if len(set(case.values)) > 1 else ""
        return f"{up_to}{amount}: {self._studied_most(known, one.flag, most, absent, unit)}"

    def _studied_most(self, known: Studied, item: str, most: str, absent: str, unit: str) -> str:
        stated, assumed = getattr(known, item), known.assumed.get(item)
        taken = ""
        if assumed is not None and (stated is None or assumed[1] > stated[1]):
            taken = f"{assumed[1]:.3g}{unit} assumed for {self._cite(known, f'assumed_{item}')}"
        if stated is None:
            return f"no study states its {absent}" + (f" ({taken})" if taken else "")
        sources = "; ".join(filter(None, [self._cite(known, item), taken]))
        return f"{most.format(f'{stated[1]:.3g}{unit}')} ({sources})"

    def _ages(self, known: Studied, low: float) -> str:
        if known.age is None:
            return "no study states ages"
        end = "youngest" if low < known.age[0] else "age"
        ages = f"{known.age[0]:.0f} to {known.age[1]:.0f} years old"
        return f"people studied were {ages} ({self._cite(known, end)})"

    def _follow_up(self, one: Finding) -> str:
        weeks = f"{(self.day - one.steps[0][1]) / 7:.2g} weeks after training"
        longest = longest_follow_up(self.outcome, evidence=self.evidence)
        if longest is None:
            return f"{weeks}: no study looked later than the end of training"
        source = self._sources.cite(longest[1], "short")
        return f"{weeks}: the longest follow-up was {longest[0] / 7:.2g} ({source})"

    @property
    def _sources(self) -> Evidence:
        return self.evidence or load_evidence()

    def _cite(self, known: Studied, item: str) -> str:
        return self._sources.cite(known.longest[item], "short")

    def each_doi_once(self, lines: list[str]) -> list[str]:
        """Lines in which a source has its DOI where it is named first."""
        text = "\n".join(lines)
        for cited in (self._sources.cite(one.id, "short") for one in self._sources.sources if one.doi):
            first, found, rest = text.partition(cited)
            text = first + found + rest.replace(cited, cited.partition(", doi ")[0])
        return text.split("\n") if text else []


def _grouped(arms_of: Mapping[tuple[str, str], Sequence[str]], arms_in_all: int) -> list[str]:
    """One line for all clauses of the same components and arms."""
    components_of: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (component, clause), arms in arms_of.items():
        components_of.setdefault((clause, tuple(arms)), []).append(component)
    clauses_of: dict[str, list[str]] = {}
    for (clause, arms), components in components_of.items():
        where = "all arms" if len(arms) == arms_in_all > 1 else ", ".join(arms)
        subject = f"{_listed(components)} ({where})" if any(components) else where
        clauses_of.setdefault(subject, []).append(clause)
    return [f"{subject}: {'; '.join(clauses)}." for subject, clauses in clauses_of.items()]


def _listed(components: Sequence[str]) -> str:
    return ", ".join(_mid_sentence(modalities()[name].label) for name in components if name)


def _mid_sentence(label: str) -> str:
    return label[:1].lower() + label[1:]
