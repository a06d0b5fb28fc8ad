"""The numbers that people will quote: gains of walking per outcome, as rows that any fit can predict.

What the evidence can and cannot tell: own data, twins, who pulls, and which measurement would help.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.fit import Refits
from retrowalk.calibrate.observations import Observation, Protocol
from retrowalk.calibrate.priors import prior
from retrowalk.catalogue import modalities, outcomes
from retrowalk.model.dose import REFERENCE_ASSESSMENT, REFERENCE_DAYS

#: Outcomes of the five claims: knee, muscle, balance and gait, heart and fat, brain.
CLAIMED = ("knee_pain", "disability", "quadriceps_strength", "balance", "stride_length", "walking_speed",
           "vo2max", "body_fat", "cognition")  # fmt: skip


def gain_row(outcome: str, plus: str, minus: str = "", *, se: float = 1.0) -> Observation:
    """The gain of a component, or how much it is above another one's, as a row nobody has published.

    The reference programme with everybody present, in SD of the population, so that its expected value is the
    gain itself. With `se` of a trial it is that trial.
    """
    names = tuple(name for name in (plus, minus) if name)
    return Observation(
        id=f"gain/{outcome}/{'-'.join(names)}", source="gain", cluster=f"gain/{outcome}", outcome=outcome,
        population="", unit="SD", arms=tuple(f"gain/{name}" for name in names), value=0.0, se=se, scale=1.0,
        slope=1.0, denominator=None, drift=None, trials=1, correlated_with="", error_correlation=None,
        protocols=tuple(_reference(name) for name in names),
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


def _reference(component: str) -> Protocol:
    loads = np.array([float(name == component) for name in modalities()])
    days = np.array(REFERENCE_DAYS, dtype=np.float64)
    return Protocol(loads, days, np.ones_like(days), np.ones_like(days), float(REFERENCE_ASSESSMENT), 0.0)


Array = NDArray[np.float64]
#: People per arm of a further trial, and the correlation from which on two gains are twins.
FURTHER, TWINS = 40, 0.9


@dataclass(frozen=True)
class OwnData:
    """What a cell's own rows add.

    Attributes
    ----------
    outcome, component : str
    rows : int
        Of the outcome, with an arm that trained the component.
    prior, without, after : float
        SD of the gain before any study, fitted to all other rows, fitted to all rows.
    """

    outcome: str
    component: str
    rows: int
    prior: float
    without: float
    after: float

    @property
    def contraction(self) -> float:
        """1 - SD with its own rows / SD without them."""
        return 1.0 - self.after / self.without

    @property
    def prior_driven(self) -> bool:
        """Whether its own rows narrow it by less than a tenth."""
        return self.contraction < 0.1


def own_data(rows: tuple[Observation, ...], *, seed: int, candidates: int = 2000) -> list[OwnData]:
    """Contraction of each gain of walking by its own rows."""
    gains = all_gains()
    refits = Refits.of((*rows, *gains), seed=seed, candidates=candidates)
    names, found = list(modalities()), []
    _, after = refits.predict(lambda row: row.source != "gain")
    _, before = refits.predict(lambda row: False)
    for i, cell in enumerate(gains):
        component = cell.arms[0].rpartition("/")[2]
        place = names.index(component)
        own = {row.id for row in rows if row.outcome == cell.outcome
               and any(arm.loads[place] > 0 for arm in row.protocols)}  # fmt: skip
        _, other = refits.predict(lambda row, own=own: row.source != "gain" and row.id not in own)  # type: ignore[misc]  # bound now, called now
        spread = [float(sd[len(rows) + i]) for sd in (before, other if own else after, after)]
        found.append(OwnData(cell.outcome, component, len(own), *spread))
    return found


def twins(gain: Array, labels: list[str]) -> Iterator[tuple[str, str, float]]:
    """Pairs of gains (draw, cell) whose draws correlate more than `TWINS` in size."""
    moving = np.flatnonzero(gain.std(axis=0) > 0)
    correlation = np.atleast_2d(np.corrcoef(gain[:, moving].T))
    for a, b in zip(*np.nonzero(np.triu(np.abs(correlation) > TWINS, 1)), strict=True):
        yield labels[moving[a]], labels[moving[b]], float(correlation[a, b])


def strongest_pulls(
    rows: tuple[Observation, ...], *, seed: int, candidates: int = 2000
) -> list[tuple[str, float, float, str, float]]:
    """Of each headline: label, mean, SD, the study whose leaving out moves it most, and by how many SD."""
    heads = headline_rows()
    refits = Refits.of((*rows, *heads), seed=seed, candidates=candidates)
    place = len(rows)
    mean, sd = (part[place:] for part in refits.predict(lambda row: row.source != "gain"))
    sources = list(dict.fromkeys(row.source for row in rows))
    moved = np.array([
        (refits.predict(lambda row, name=name: row.source not in ("gain", name))[0][place:] - mean) / sd  # type: ignore[misc]  # as above
        for name in sources
    ])  # fmt: skip
    most = np.argmax(np.abs(moved), axis=0)
    return [(label(head), float(mean[i]), float(sd[i]), sources[most[i]], float(moved[most[i], i]))
            for i, head in enumerate(heads)]  # fmt: skip


def further_trials(
    rows: tuple[Observation, ...], *, seed: int, candidates: int = 2000
) -> list[tuple[str, float, float, float]]:
    """What one more trial, backward against forward at equal minutes, would leave open.

    Per outcome measured: SD of its difference between directions now and afterwards, and the mean share by
    which the variances of all claimed differences shrink. Exact given the nuisances, which are weighed by
    what is known now.
    """
    se = prior("verdict_sd").location * np.sqrt(2.0 / FURTHER)
    asked = tuple(gain_row(name, "walk_backward", "walk_forward", se=float(se)) for name in CLAIMED)
    refits = Refits.of((*rows, *asked), seed=seed, candidates=candidates)
    used, wanted = np.arange(len(rows)), np.arange(len(rows), len(rows) + len(asked))
    weights, mean, now = refits.fit(used, wanted)
    centre = weights @ mean
    between = weights @ (mean - centre) ** 2
    before = weights @ now + between
    found = []
    for i, row in enumerate(asked):
        _, _, later = refits.fit(np.append(used, wanted[i]), wanted)
        after = weights @ later + between
        shrunk = float(np.mean(1.0 - after / before))
        found.append((row.outcome, float(np.sqrt(before[i])), float(np.sqrt(after[i])), shrunk))
    return sorted(found, key=lambda line: -line[3])


def label(row: Observation) -> str:
    """A headline in words."""
    return f"{row.outcome}: backward - forward" if len(row.arms) > 1 else f"{row.outcome}: backward"
