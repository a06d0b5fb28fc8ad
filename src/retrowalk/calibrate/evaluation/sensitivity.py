"""What the quoted gains rest on: own data, single studies, and decisions of the analysis.

Headlines are the gains of walking that people will quote, as rows that any fit can predict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import (
    DOSE_FORMS,
    SEED,
    Design,
    Nuisances,
    Observation,
    Refits,
    StudyProtocol,
    calibration_table,
    fit_exactly,
    gain_prior,
    observations,
    prior,
    sample,
    sampler_available,
    verdicts,
)
from retrowalk.calibrate.evaluation import CLAIMED, page, table
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import Evidence, load_evidence
from retrowalk.model.dose import REFERENCE_ASSESSMENT, REFERENCE_DAYS
from retrowalk.tables import Row

Array = NDArray[np.float64]
FURTHER = 40  #: people per arm of a further trial
HIGH_CORRELATION = 0.9  #: correlation beyond which the evidence hardly tells two gains apart
ENOUGH = 30  #: fewer effective draws than this make no estimate


def gain_row(outcome: str, plus: str, minus: str = "", *, se: float = 1.0) -> Observation:
    """The gain of a component, or how much it is above another one's, as a row nobody has published.

    The reference programme with everybody present, in SD of the population, so that its expected value is the
    gain itself. With `se` of a trial it is that trial.
    """
    names = tuple(name for name in (plus, minus) if name)
    days = np.array(REFERENCE_DAYS, dtype=np.float64)
    protocols = tuple(
        StudyProtocol(
            loads=np.array([float(name == component) for component in modalities()]), days=days,
            repeats=np.ones_like(days), share=np.ones_like(days), assessment=float(REFERENCE_ASSESSMENT),
            dose_log_sd=0.0,
        )
        for name in names
    )  # fmt: skip
    return Observation(
        id=f"gain/{outcome}/{'-'.join(names)}", source="gain", cluster=f"gain/{outcome}", outcome=outcome,
        population="", unit="SD", arms=tuple(f"gain/{name}" for name in names), protocols=protocols, se=se,
    )  # fmt: skip


def headline_rows() -> tuple[Observation, ...]:
    """Gain of backward walking and its difference from forward walking, for each claimed outcome."""
    return tuple(
        gain_row(outcome, "walk_backward", minus) for outcome in CLAIMED for minus in ("", "walk_forward")
    )


def all_gains() -> tuple[Observation, ...]:
    """Gains of forward and of backward walking on every outcome."""
    return tuple(gain_row(name, component) for name in outcomes()
                 for component in ("walk_forward", "walk_backward"))  # fmt: skip


@dataclass(frozen=True)
class OwnData:
    """What the studies of a component on an outcome add to what is known of that gain."""

    outcome: str
    component: str
    rows: int  #: of the outcome, with an arm that trained the component
    prior: float  #: SD of the gain before any study
    without: float  #: SD fitted to all other rows
    after: float  #: SD fitted to all rows

    @property
    def contraction(self) -> float:
        """1 - SD with its own rows / SD without them; below a tenth the gain is prior-driven."""
        return 1.0 - self.after / self.without

    @property
    def prior_driven(self) -> bool:
        return self.contraction < 0.1


def own_data(rows: tuple[Observation, ...], *, seed: int, candidates: int = 2000) -> list[OwnData]:
    """Contraction of each gain of walking by its own rows."""
    gains, names = all_gains(), list(modalities())
    refits = Refits.of((*rows, *gains), seed=seed, candidates=candidates)

    def spread(left_out: frozenset[str]) -> Array:
        return refits.predict(lambda row: row.source != "gain" and row.id not in left_out)[1]

    after, before = spread(frozenset()), refits.predict(lambda _: False)[1]
    results = []
    for i, gain in enumerate(gains):
        component = gain.arms[0].rpartition("/")[2]
        place = names.index(component)
        own = frozenset(row.id for row in rows if row.outcome == gain.outcome
                        and any(protocol.loads[place] > 0 for protocol in row.protocols))  # fmt: skip
        without = spread(own) if own else after
        sds = [float(sd[len(rows) + i]) for sd in (before, without, after)]
        results.append(OwnData(gain.outcome, component, len(own), *sds))
    return results


def correlated_pairs(gain: Array, labels: list[str]) -> Iterator[tuple[str, str, float]]:
    """Pairs of gains (draw, gain) whose draws correlate more than `HIGH_CORRELATION` in size."""
    moving = np.flatnonzero(gain.std(axis=0) > 0)
    correlation = np.atleast_2d(np.corrcoef(gain[:, moving].T))
    for a, b in zip(*np.nonzero(np.triu(np.abs(correlation) > HIGH_CORRELATION, 1)), strict=True):
        yield labels[moving[a]], labels[moving[b]], float(correlation[a, b])


def influential_studies(
    rows: tuple[Observation, ...], *, seed: int, candidates: int = 2000
) -> list[tuple[str, float, float, str, float]]:
    """Of each headline: label, mean, SD, the study whose leaving out moves it most, and by how many SD."""
    heads = headline_rows()
    refits = Refits.of((*rows, *heads), seed=seed, candidates=candidates)
    sources = list(dict.fromkeys(row.source for row in rows))

    def fit_without(name: str) -> tuple[Array, Array]:
        mean, sd = refits.predict(lambda row: row.source not in ("gain", name))
        return mean[len(rows) :], sd[len(rows) :]

    mean, sd = fit_without("")
    moved = np.array([(fit_without(name)[0] - mean) / sd for name in sources])
    most = np.argmax(np.abs(moved), axis=0)
    labels = [f"{row.outcome}: backward{' - forward' if len(row.arms) > 1 else ''}" for row in heads]
    return [(label, float(mean[i]), float(sd[i]), sources[most[i]], float(moved[most[i], i]))
            for i, label in enumerate(labels)]  # fmt: skip


def further_trials(
    rows: tuple[Observation, ...], *, seed: int, candidates: int = 2000
) -> list[tuple[str, float, float, float]]:
    """What one more trial, backward against forward at equal minutes, would leave open.

    Per outcome measured: SD of its difference between directions now and afterwards, and the mean share by
    which the variances of all claimed differences shrink. Exact given the nuisances, which are weighed by
    what is known now.
    """
    se = float(prior("verdict_sd").location * np.sqrt(2.0 / FURTHER))
    trials = tuple(gain_row(name, "walk_backward", "walk_forward", se=se) for name in CLAIMED)
    refits = Refits.of((*rows, *trials), seed=seed, candidates=candidates)
    used, wanted = np.arange(len(rows)), np.arange(len(rows), len(rows) + len(trials))
    weights, mean, variance = refits.fit(used, wanted)
    between = weights @ (mean - weights @ mean) ** 2
    before = weights @ variance + between
    results = []
    for i, row in enumerate(trials):
        after = weights @ refits.fit(np.append(used, wanted[i]), wanted)[2] + between
        shrunk = float(np.mean(1.0 - after / before))
        results.append((row.outcome, float(np.sqrt(before[i])), float(np.sqrt(after[i])), shrunk))
    return sorted(results, key=lambda line: -line[3])


class Imputation(Row):
    """One row of `second_imputations.csv`: what a second reader would take for an item no study states."""

    arm: str
    item: str
    value: float
    reason: str


@dataclass(frozen=True)
class Variation:
    """Means and SDs of the headlines under one decision."""

    label: str
    mean: Array
    sd: Array
    effective_size: float | None = None  #: independent draws, where the fit was drawn


def variations(
    evidence: Evidence, heads: Sequence[Observation], *, seed: int, candidates: int = 4000
) -> Iterator[Variation]:
    """The fit as it ships, then each other decision by itself."""

    def refit(
        label: str, tables: Evidence = evidence, form: type[Design] = Design, *, without: str = "",
        heterogeneity: float = 1.0,
    ) -> Variation:  # fmt: skip
        def scale(pool: Nuisances) -> Nuisances:
            return replace(pool, heterogeneity=heterogeneity * pool.heterogeneity)

        rows = tuple(row for row in observations(tables) if row.source != without)
        refits = Refits.of(form((*rows, *heads)), seed=seed, candidates=candidates, change=scale)
        mean, sd = refits.predict(lambda row: row in rows)
        return Variation(label, mean[len(rows) :], sd[len(rows) :])

    yield refit("as shipped")
    yield refit("body fat -2.4 % read as per cent of the baseline", body_fat_in_percent(evidence))
    for weight in (0.3, 1.0):
        yield with_verdicts(evidence, heads, weight, seed=seed, candidates=candidates)
    for word, factor in (("halved", 0.5), ("doubled", 2.0)):
        yield refit(f"prior of heterogeneity {word}", heterogeneity=factor)
    yield refit("second reader's imputations", second_reading(evidence))
    for name, form in list(DOSE_FORMS.items())[1:]:
        yield refit(f"dose: {name}", form=form)
    for name in contrary_sources(evidence):
        yield refit(f"without {name}, contrary", without=name)


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
    return calibration_table("second_imputations.csv", Imputation)


def second_reading(evidence: Evidence) -> Evidence:
    """The evidence with the second reader's imputations in place of the first one's."""
    changes: dict[str, dict[str, float]] = {}
    for row in second_imputations():
        changes.setdefault(row.arm, {})[row.item] = row.value
    arms = tuple(arm.model_copy(update=changes.get(arm.id, {})) for arm in evidence.arms)
    return replace(evidence, arms=arms)


def with_verdicts(
    evidence: Evidence, heads: Sequence[Observation], weight: float, *, seed: int, candidates: int = 4000,
    steps: int = 400,
) -> Variation:  # fmt: skip
    """The fit with verdicts at this weight, sampled with `steps` of warm-up and as many kept of each chain.

    Where the sampler is not installed, `candidates` draws are weighed.
    """
    rows, reported, gains = observations(evidence), verdicts(evidence), gain_prior()
    if sampler_available():
        latent, nuisances, quality = sample(
            Design(rows), gains, seed=seed, draws=1000, warmup=steps, kept=steps, reported=reported,
            weight=weight,
        )  # fmt: skip
        size = min(quality.ess_bulk, quality.ess_tail)
    else:
        latent, nuisances, size = fit_exactly(
            rows, reported, gains, weight, seed=seed, draws=candidates // 2, candidates=candidates
        )
    wanted = Design(tuple(heads))
    standard = np.zeros((len(latent), len(wanted.sources)))
    value = wanted.linearise(gains, replace(nuisances, dose=standard, denominator=standard)).predict(latent)
    return Variation(f"verdicts at weight {weight:g}", value.mean(axis=0), value.std(axis=0), size)


def sensitivity_page(*, seed: int = SEED, candidates: int = 4000) -> str:
    """Headlines under each other decision, as Markdown."""
    lines = []
    for one in variations(load_evidence(), headline_rows(), seed=seed, candidates=candidates):
        cells = [f"{m:+.2f} ({s:.2f})" for m, s in zip(one.mean, one.sd, strict=True)]
        size = one.effective_size
        label = one.label if size is None else f"{one.label} (worth {size:.0f} draws)"
        lines.append((label, cells if size is None or size >= ENOUGH else ["not resolved"] * len(cells)))
    backward, difference = (
        table(("decision", *CLAIMED), ([label, *cells[first::2]] for label, cells in lines))
        for first in (0, 1)
    )
    return page("sensitivity", enough=ENOUGH, backward=backward, difference=difference)
