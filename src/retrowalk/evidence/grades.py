"""How good the evidence for a cell is, by a rule that reads nothing but the tables."""

from __future__ import annotations

from operator import attrgetter

from retrowalk.catalogue import known, modalities, outcomes, populations
from retrowalk.evidence.library import Evidence, load_evidence
from retrowalk.evidence.records import Effect
from retrowalk.words import Grade

_COUNTED = ("fit", "verdict", "check", "habituation", "acute")
_EQUAL = ("dose", "intensity", "distance")


def grade(
    component: str, outcome: str, population: str | None = None, *, evidence: Evidence | None = None
) -> Grade:
    """Evidence grade of a training component on an outcome, in one population or in all together.

    Counted are the rows on that outcome whose `arm_a` trained the component, that were read at their
    place (`verified`) and whose role is fit, verdict, check, habituation or acute; so a duplicate, a
    sub-scale or one half of a contrast counts no second time. Then, in this order:

    1. no counted row: ``none``;
    2. acute rows only: ``acute_only``;
    3. every training row has a design: ``dose_matched``, two arms that differ in what they trained and
       trained equally long, hard or far; ``add_on``, any other comparison of two arms, where the component
       came on top of what the others did (nothing, or physiotherapy) or the doses are unread;
       ``uncontrolled``, a change within one arm;
    4. rows are gathered by cluster (the same people). A cluster is against the component where all of its
       rows are `contrary`, else for it; one against counts only if its best design is no weaker than the
       best design for it. At least as many against as for, a pooled study being one: ``contradicted``;
    5. else the best design among the rows that are not contrary.

    The grade says what kind of trial exists, not how large the effect is. With a population, only rows of
    that population (its own or the nearest one) count: evidence elsewhere does not grade the cell.

    Raises
    ------
    InputError
        For an unknown component, outcome or population.

    Examples
    --------
    >>> grade("walk_backward", "cognition").label
    'acute only'
    """
    rows = graded_rows(component, outcome, population, evidence=evidence)
    training = [row for row in rows if row.role != "acute"]
    if not training:
        return Grade.ACUTE_ONLY if rows else Grade.NONE
    supporting = [row for row in training if not row.contrary]
    if not supporting:
        return Grade.CONTRADICTED
    best = max((_design(row) for row in supporting), key=attrgetter("strength"))
    supported = {row.cluster for row in supporting}
    strong = {row.cluster for row in training if _design(row).strength >= best.strength}
    return Grade.CONTRADICTED if len(strong - supported) >= len(supported) else best


def graded_rows(
    component: str, outcome: str, population: str | None = None, *, evidence: Evidence | None = None
) -> tuple[Effect, ...]:
    """The rows that `grade` counts for a cell, for and against, in table order."""
    known(component, modalities(), "component")
    known(outcome, outcomes(), "outcome")
    if population is not None:
        known(population, populations(), "population")
    rows = (evidence or load_evidence()).effects_of(
        outcome=outcome, component=component, population=population
    )
    return tuple(row for row in rows if row.verified and row.role in _COUNTED)


def _design(row: Effect) -> Grade:
    if not row.arm_b:
        return Grade.UNCONTROLLED
    return Grade.DOSE_MATCHED if row.matched in _EQUAL else Grade.ADD_ON
