"""How headline numbers move when a decision of the analysis is taken otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.fit import Refits
from retrowalk.calibrate.observations import Observation, observations
from retrowalk.calibrate.predictors import FORMS, Design
from retrowalk.calibrate.priors import Nuisances, draw_nuisances, gain_prior
from retrowalk.calibrate.sampler import available, sample
from retrowalk.calibrate.verdicts import exact, verdicts
from retrowalk.evidence import Evidence
from retrowalk.tables import Row, read_table

Array = NDArray[np.float64]


class Imputation(Row):
    """One row of `second_imputations.csv`: what a second reader would take for an item no study states."""

    arm: str
    item: str
    value: float
    reason: str


@dataclass(frozen=True)
class Variation:
    """Means and SDs of the headlines under one decision; `worth` is an effective number of draws, or None."""

    label: str
    mean: Array
    sd: Array
    worth: float | None = None


def variations(
    evidence: Evidence, heads: Sequence[Observation], *, seed: int, candidates: int = 4000
) -> Iterator[Variation]:
    """The fit as it ships, then each other decision by itself."""

    def found(
        label: str,
        tables: Evidence = evidence,
        form: type[Design] = Design,
        change: Callable[[Nuisances], Nuisances] = lambda pool: pool,
        without: str = "",
    ) -> Variation:
        rows = tuple(row for row in observations(tables) if row.source != without)
        design = form((*rows, *heads))
        pool = change(draw_nuisances(candidates, design.sources, seed))
        refits = Refits(design, *fit.moments(design, gain_prior(), pool))
        mean, sd = refits.predict(lambda row: row in rows)
        return Variation(label, mean[len(rows) :], sd[len(rows) :])

    yield found("as shipped")
    yield found("body fat -2.4 % read as per cent of the baseline", body_fat_in_percent(evidence))
    for weight in (0.3, 1.0):
        yield heard(evidence, heads, weight, seed=seed, candidates=candidates)
    for word, factor in (("halved", 0.5), ("doubled", 2.0)):
        yield found(f"prior of heterogeneity {word}", change=_scaled(factor))
    yield found("second reader's imputations", second_reading(evidence))
    for name, form in list(FORMS.items())[1:]:
        yield found(f"dose: {name}", form=form)
    for name in contrary_sources(evidence):
        yield found(f"without {name}, contrary", without=name)


def contrary_sources(evidence: Evidence) -> tuple[str, ...]:
    """Sources in the fit that are marked contrary, or have a contrary result."""
    fitted = dict.fromkeys(row.source for row in observations(evidence))
    against = {row.source for row in evidence.effects if row.contrary}
    against |= {row.id for row in evidence.sources if row.contrary}
    return tuple(name for name in fitted if name in against)


def body_fat_in_percent(evidence: Evidence) -> Evidence:
    """The evidence with the other reading of terblanche2005's fall of body fat."""
    roles = {"terblanche2005/body_fat_points": "alternative", "terblanche2005/body_fat_percent": "fit"}
    effects = tuple(row.model_copy(update={"role": roles.get(row.id, row.role)}) for row in evidence.effects)
    return replace(evidence, effects=effects)


def second_imputations() -> tuple[Imputation, ...]:
    """The second reader's table."""
    with as_file(files(__package__) / "second_imputations.csv") as path:
        return read_table(path, Imputation)


def second_reading(evidence: Evidence) -> Evidence:
    """The evidence with the second reader's imputations in place of the first one's."""
    changes: dict[str, dict[str, float]] = {}
    for row in second_imputations():
        changes.setdefault(row.arm, {})[row.item] = row.value
    arms = tuple(arm.model_copy(update=changes.get(arm.id, {})) for arm in evidence.arms)
    return replace(evidence, arms=arms)


def heard(
    evidence: Evidence, heads: Sequence[Observation], weight: float, *, seed: int, candidates: int = 4000
) -> Variation:
    """The fit with verdicts at this weight: sampled where the sampler is installed, else weighed."""
    rows, asked, gains = observations(evidence), verdicts(evidence), gain_prior()
    if available():
        found = sample(Design(rows), gains, seed=seed, draws=1000, warmup=400, kept=400, spoken=asked,
                       weight=weight)  # fmt: skip
        latent, nuisances = found.latent, found.nuisances
        worth = min(found.diagnostics.ess_bulk, found.diagnostics.ess_tail)
    else:
        latent, nuisances, worth = exact(
            rows, asked, gains, weight, seed=seed, draws=candidates // 2, candidates=candidates
        )
    wanted = Design(tuple(heads))
    free = np.zeros((len(latent), len(wanted.sources)))
    narrow = replace(nuisances, dose=free, denominator=free)
    value = fit.predicted(fit.linearise(wanted, gains, narrow), latent)
    return Variation(f"verdicts at weight {weight:g}", value.mean(axis=0), value.std(axis=0), worth)


def _scaled(factor: float) -> Callable[[Nuisances], Nuisances]:
    return lambda pool: replace(pool, heterogeneity=factor * pool.heterogeneity)
