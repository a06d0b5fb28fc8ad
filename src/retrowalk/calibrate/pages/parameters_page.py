"""The changes of oxygen cost as a part of the report: practice apart from fitness.

The identifiability report as Markdown.

The calibration in words and tables: what was used, how well it is predicted, what remains open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.fit import Refits
from retrowalk.calibrate.identify import FURTHER, TWINS, further_trials, own_data, strongest_pulls, twins
from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.pages.markdown import table
from retrowalk.calibrate.practice import OUTCOMES
from retrowalk.calibrate.predictors import FORMS
from retrowalk.calibrate.priors import Prior, prior
from retrowalk.calibrate.run import Calibration
from retrowalk.calibrate.scores import predict, score
from retrowalk.calibrate.verdicts import hear, verdicts
from retrowalk.catalogue import outcomes
from retrowalk.evidence import load_evidence
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]


def oxygen_cost(found: Calibration) -> Iterator[str]:
    """Lines: the published changes, how they part into practice and fitness, and the parameters."""
    yield from ("", "## Oxygen cost: practice and fitness", "")
    if found.costs_expected is None or found.practice_expected is None or not found.costs:
        yield "The tables hold no change of oxygen cost."
        return
    yield (
        "Changes of oxygen cost hold getting used to the task as much as fitness, and contradict each other. "
        "They have a model of their own (`calibrate/habituation.py`), fitted after the rest and without any "
        "effect on it: a first test of a task costs exp(novelty) times a practised one, and practice takes "
        "the novelty away with e^-1 left after so many minutes; fitness comes on top. Falls in per cent; "
        "mean and the central 90 % of the draws."
    )
    after, before = found.costs_expected
    yield ""
    yield from table(
        ("row", "minutes of backward practice", "published (SE)", "expected", "of it practice",
         "priors alone"),
        [[row.id, f"{row.minutes:.0f}", f"{_fall(row.value):.1f} ({100 * row.se * np.exp(-row.value):.1f})",
          _range(after[:, i]), _range(found.practice_expected[:, i]), _range(before[:, i])]
         for i, row in enumerate(found.costs)],
    )  # fmt: skip
    yield ""
    yield from table(("parameter", "prior", "prior, 90 %", "after the fit, 90 %"), list(_parameters(found)))
    yield ""
    yield (
        "Two points cannot give the novelty and its rate both: the minutes follow their prior, and what the "
        "practice trial shows is their combination. Nothing is forgotten in this model. How the rest parts "
        "into fitness and practice is decided by priors as well."
    )


def _parameters(found: Calibration) -> Iterator[list[str]]:
    places = [list(outcomes()).index(name) for name in OUTCOMES]
    for name, place in zip(OUTCOMES, places, strict=True):
        parts = [data["novelty"].values[:, place] for data in (found.prior, found.posterior)]
        yield [f"novelty, {name} [log]", _told(prior("novelty", name)), *(_plain(x, ".3f") for x in parts)]
    parts = [data["novelty_minutes"].values for data in (found.prior, found.posterior)]
    yield ["minutes to e^-1", _told(prior("novelty_minutes")), *(_plain(x, ".0f") for x in parts)]


def _told(row: Prior) -> str:
    return f"{row.distribution}({row.location:g}, {row.sd:g}): {row.reason}"


def _plain(values: Array, form: str) -> str:
    low, high = np.quantile(values, CENTRAL_90)
    return f"{values.mean():{form}} ({low:{form}} to {high:{form}})"


def _range(logs: Array) -> str:
    return _plain(_fall(logs), ".1f")


def _fall(logs: Array | float) -> Array:
    return np.asarray(-100.0 * np.expm1(-np.asarray(logs)))


def identifiability(found: Calibration) -> Iterator[str]:
    """Lines: own data per cell, twins, strongest pulls, the most useful further trial."""
    yield from ("", "## What the evidence can tell", "")
    yield (
        "SD of each gain of walking before any study, fitted without the cell's own rows, and with them. Own "
        "data narrow it by the share in the last column but one; below a tenth the cell is driven by priors "
        "and by other cells."
    )
    yield ""
    cells = own_data(found.rows, seed=found.seed)
    yield from table(
        ("outcome", "walking", "own rows", "priors", "without own", "all", "own data", ""),
        [[row.outcome, row.component.removeprefix("walk_"), str(row.rows), f"{row.prior:.2f}",
          f"{row.without:.2f}", f"{row.after:.2f}", f"{row.contraction:.2f}",
          "prior-driven" if row.prior_driven else ""] for row in cells],
    )  # fmt: skip
    yield from _twins(found)
    yield from ("", "## Which study moves a headline most", "")
    yield "SD of the population; shift of the mean in posterior SD when that study is left out."
    yield ""
    yield from table(
        ("headline", "mean (SD)", "study", "shift without it"),
        [[name, f"{mean:.2f} ({sd:.2f})", study if shift else "none", f"{shift:+.2f}"]
         for name, mean, sd, study, shift in strongest_pulls(found.rows, seed=found.seed)],
    )  # fmt: skip
    yield from ("", "## Which further trial would help most", "")
    yield (
        f"One trial of backward against forward walking at equal minutes (reference programme, {FURTHER} per "
        "arm): SD of the difference now and after it, and by how much the variances of all claimed "
        "differences would shrink on average."
    )
    yield ""
    yield from table(
        ("measured", "SD now", "SD after", "mean shrinkage"),
        [[name, f"{now:.2f}", f"{after:.2f}", f"{shrunk:.1%}"]
         for name, now, after, shrunk in further_trials(found.rows, seed=found.seed)],
    )  # fmt: skip


def _twins(found: Calibration) -> Iterator[str]:
    gain = found.posterior["gain"].sel(component=["walk_forward", "walk_backward"])
    labels = [f"{name} {way}" for way in ("forward", "backward") for name in outcomes()]
    pairs = list(twins(gain.values.reshape(gain.sizes["draw"], -1), labels))
    yield ""
    if not pairs:
        largest = np.abs(np.triu(np.corrcoef(gain.values.reshape(gain.sizes["draw"], -1).T), 1)).max()
        yield f"No two gains of walking correlate above {TWINS:g} (the closest pair: {largest:.2f})."
    for one, other, value in pairs:
        yield f"{one} and {other} correlate with {value:.2f}: the evidence hardly tells them apart."


TITLE = "# Parameters: what the evidence says and what it leaves open"

#: How a standard error was come by.
RUNGS = {1: "SD or SE printed", 2: "interval", 3: "exact p and n", 4: "bound of p, at the bound",
         5: "typical SD and n", 6: "pooled row without interval"}  # fmt: skip

#: The trial whose protocol the shipped scenario knee_trial repeats.
HEADLINE = ("alghadir2019/pain_retro_control", "alghadir2019/disability_retro_control")


def report_text(calibration: Calibration) -> str:
    """The report as Markdown."""
    parts = (_opening, _rows, _gains, _shared, oxygen_cost, _verdicts, _forms, _pulls, identifiability)
    return "\n".join([*(line for part in parts for line in part(calibration)), ""])


def _opening(found: Calibration) -> Iterator[str]:
    sources = len({row.source for row in found.rows})
    yield TITLE
    yield ""
    yield f"Made by `retrowalk calibrate --report` (seed {found.seed}); numbers change with the tables only."
    yield ""
    yield (
        f"{len(found.rows)} published numbers of {sources} sources enter, those with role `fit` in "
        f"`evidence/effects.csv`. Statements that something was or was not significant {_weighted(found)}; "
        "changes of oxygen cost have a model of their own. Gains are "
        "integrated out in closed form, with the priors of `calibrate/priors.csv` and "
        f"`calibrate/time_constants.csv`, and drawn given everything else. {_machinery(found)}"
    )


def _weighted(found: Calibration) -> str:
    weight = found.verdict_weight
    return f"enter with weight {weight:g}" if weight else "stay out, as told below"


def _machinery(found: Calibration) -> str:
    quality = found.diagnostics
    if quality is None:
        return (
            "Time constants, fatigue, dose exponent, heterogeneity, assumed doses and the SDs behind "
            "standardised differences are drawn from their priors and weighed by the evidence: the weights "
            f"are worth {found.effective_size:.0f} independent draws."
        )
    return (
        "Time constants, fatigue, dose exponent, heterogeneity, assumed doses and the SDs behind "
        f"standardised differences are sampled by NUTS: {quality.chains} chains of {quality.kept} steps "
        f"after {quality.warmup} of warm-up, {quality.divergences} divergences; of all {quality.parameters} "
        f"parameters, gains among them, the largest R-hat is {quality.r_hat:.3f}, the smallest bulk ESS "
        f"{quality.ess_bulk:.0f}, the smallest tail ESS {quality.ess_tail:.0f}."
    )


def _rows(found: Calibration) -> Iterator[str]:
    yield from ("", "## Published and predicted", "")
    yield (
        "Expected: what the model says of this programme in these people, after and before the fit (mean, "
        "SD). A trial's result: where a result of that size and kind would fall, 90 %. In-sample, so no test."
    )
    yield ""
    lines, inside = [], 0
    for i, row in enumerate(found.rows):
        low, high = sorted(np.quantile(found.replicated[:, i] * row.scale, CENTRAL_90))
        published = row.value * row.scale
        inside += int(low <= published <= high)
        lines.append([
            row.id, row.outcome, row.unit, _pair(row.value, row.se, row.scale),
            _mean_sd(found.expected[:, i] * row.scale), f"{_number(low)} to {_number(high)}",
            _mean_sd(found.prior_expected[:, i] * row.scale),
        ])  # fmt: skip
    yield from table(
        (
            "row",
            "outcome",
            "unit",
            "published (SE)",
            "expected",
            "a trial's result",
            "expected, priors alone",
        ),
        lines,
    )
    yield ""
    yield f"{inside} of {len(found.rows)} published numbers lie inside their 90 % interval."


def _gains(found: Calibration) -> Iterator[str]:
    yield from ("", "## Gains of walking", "")
    yield (
        "SD of the population per reference programme (20 min at 1.0 m/s, three times a week, six weeks), "
        "counted so that more is better: mean and SD; in brackets the priors alone."
    )
    yield ""
    lines = []
    for name, outcome in outcomes().items():
        better = 1.0 if outcome.better == "higher" else -1.0
        after, before = (data["gain"].sel(outcome=name) * better for data in (found.posterior, found.prior))
        cells = [
            f"{_mean_sd(a.values)} [{_mean_sd(b.values)}]"
            for a, b in (
                *(
                    (after.sel(component=c), before.sel(component=c))
                    for c in ("walk_forward", "walk_backward")
                ),
                tuple(
                    g.sel(component="walk_backward") - g.sel(component="walk_forward")
                    for g in (after, before)
                ),
            )
        ]
        difference = after.sel(component="walk_backward") - after.sel(component="walk_forward")
        lines.append([name, *cells, f"{float((difference > 0).mean()):.2f}"])
    yield from table(("outcome", "forward", "backward", "backward - forward", "P(backward better)"), lines)


def _shared(found: Calibration) -> Iterator[str]:
    after, before = found.posterior, found.prior
    yield from ("", "## Shared by all outcomes", "")
    lines = [
        [label, _mean_sd(after[name].values), _mean_sd(before[name].values)]
        for name, label in (("dose_exponent", "dose exponent"), ("heterogeneity", "heterogeneity [SD]"))
    ]
    yield from table(("parameter", "after the fit", "priors alone"), lines)
    yield ""
    yield (
        "Time constants, fatigue fractions and the SD of responses between people learn next to nothing from "
        "these rows: they are prior-driven. Time courses of training and detraining in other people enter "
        "the priors of tau_fitness (`calibrate/time_constants.csv`)."
    )
    rungs = Counter(load_evidence().effect(row.id).se_rung for row in found.rows if row.source in known())
    yield ""
    yield (
        "Standard errors by rung: "
        + ", ".join(f"{word} {rungs.get(rung, 0)}" for rung, word in RUNGS.items())
        + "."
    )


def known() -> frozenset[str]:
    """Sources of the package's evidence."""
    return frozenset(row.id for row in load_evidence().sources)


def _verdicts(found: Calibration) -> Iterator[str]:
    yield from ("", "## Results of which only the verdict is known", "")
    asked = verdicts(load_evidence())
    heard = hear(found.rows, asked, seed=found.seed)
    yield (
        f"{len(asked)} statements that something was or was not significant come with arms, sizes and "
        "programmes. Each counts as the probability of the verdict given that it was reported, null results "
        "being reported less often by a factor that the other verdicts help to know. Fitted to the "
        "numbers of the other studies, their log score is "
        f"{np.log(heard.chances).sum():.1f}; the share of the other statements that agree, their base rate, "
        f"scores {np.log(heard.base).sum():.1f}: a lead of {heard.lead:+.1f} (SE over studies "
        f"{heard.lead_se:.1f}). "
        + (
            f"So they enter with weight {heard.weight:g}."
            if heard.weight
            else "Below the base rate, so they stay out of the fit; what they would do with weight 0.3 or 1 "
            "is in `results/sensitivity.md`."
        )
    )


def _forms(found: Calibration) -> Iterator[str]:
    yield from ("", "## How dose acts", "")
    yield "Each study predicted from the others under other forms of dose; log score, and its lead over ours."
    yield ""
    lines, own = [], None
    for name, form in FORMS.items():
        refits = Refits.of(found.rows, seed=found.seed, design=form(found.rows))
        everything = np.arange(len(found.rows))
        sources = np.array([row.source for row in found.rows])
        folds = [(np.flatnonzero(sources != s), np.flatnonzero(sources == s)) for s in dict.fromkeys(sources)]
        seen = predict(refits, folds)
        own = own or seen
        result = score(found.rows, seen, own, everything)
        lead = "" if seen is own else f"{-result.behind:+.1f} ({result.behind_se:.1f})"
        lines.append([name, f"{result.log_score:.1f}", lead, f"{result.mean_width_90:.2f}"])
    yield from table(("dose", "log score", "lead (SE)", "mean width [SD]"), lines)


def _pulls(found: Calibration) -> Iterator[str]:
    yield from ("", "## The knee trial, and who pulls on it", "")
    yield (
        "Expected difference between backward walking on top of physiotherapy and physiotherapy alone in "
        "alghadir2019 (points; mean, SD), fitted to everything, to parts, and to everything but one source."
    )
    yield ""
    refits = Refits.of(found.rows, seed=found.seed)
    ids = [row.id for row in found.rows]
    heads = [name for name in HEADLINE if name in ids]
    places = [ids.index(name) for name in heads]

    def cells(label: str, mean: Array, sd: Array) -> list[str]:
        return [label, *(_pair(float(mean[i]), float(sd[i]), found.rows[i].scale) for i in places)]

    lines = [
        cells("published (SE)", refits.design.values, np.array([row.se for row in found.rows])),
        cells("all studies", *refits.predict(lambda row: True)),
        cells("this trial alone", *refits.predict(lambda row: row.source == "alghadir2019")),
        cells("priors alone", *refits.predict(lambda row: False)),
        *(cells(f"without {name}", *refits.predict(_other_than(name))) for name in refits.design.sources),
    ]
    yield from table(("fitted to", *(name.partition("/")[2].replace("_", " ") for name in heads)), lines)


def _other_than(source: str) -> Callable[[Observation], bool]:
    return lambda row: row.source != source


def _mean_sd(values: Array) -> str:
    return _pair(float(values.mean()), float(values.std()))


def _pair(centre: float, spread: float, scale: float = 1.0) -> str:
    return f"{_number(centre * scale)} ({_number(spread * abs(scale))})"


def _number(value: float) -> str:
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.995 else f"{value:.3f}"
    return "0" if float(text) == 0 else text
