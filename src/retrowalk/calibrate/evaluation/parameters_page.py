"""A calibration in words and tables: what was used, how well it is predicted, what remains open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import (
    DOSE_FORMS,
    OXYGEN_COSTS,
    Calibration,
    Prior,
    Refits,
    benefit_sign,
    prior,
    score_verdicts,
    verdicts,
)
from retrowalk.calibrate.evaluation import mean_and_range, number_text
from retrowalk.calibrate.evaluation.scoreboard import predict, score
from retrowalk.calibrate.evaluation.sensitivity import (
    FURTHER,
    HIGH_CORRELATION,
    correlated_pairs,
    further_trials,
    influential_studies,
    own_data,
)
from retrowalk.catalogue import outcomes
from retrowalk.evidence import load_evidence
from retrowalk.tables import markdown_table
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]
TITLE = "# Parameters: what the evidence says and what it leaves open"
#: How a standard error was come by.
RUNGS = {1: "SD or SE printed", 2: "interval", 3: "exact p and n", 4: "bound of p, at the bound",
         5: "typical SD and n", 6: "pooled row without interval"}  # fmt: skip
#: The trial whose protocol the shipped scenario knee_trial repeats, and its contrasts.
KNEE_TRIAL = "alghadir2019"
CONTRASTS = ("alghadir2019/pain_retro_control", "alghadir2019/disability_retro_control")


def parameters_page(calibration: Calibration) -> str:
    """The report as Markdown."""
    parts = (_opening, _rows, _gains, _shared, oxygen_cost_section, _verdicts, _dose_forms, _knee_refits,
             _own_data, _further)  # fmt: skip
    return "\n".join([*(line for part in parts for line in part(calibration)), ""])


def _opening(calibration: Calibration) -> Iterator[str]:
    sources, weight = len({row.source for row in calibration.rows}), calibration.verdict_weight
    entering = f"enter with weight {weight:g}" if weight else "stay out, as told below"
    yield TITLE
    yield ""
    yield (
        f"Made by `retrowalk calibrate --report` (seed {calibration.seed}); "
        "numbers change with the tables only."
    )
    yield ""
    yield (
        f"{len(calibration.rows)} published numbers of {sources} sources enter, those with role `fit` in "
        f"`evidence/effects.csv`. Statements that something was or was not significant {entering}; "
        "changes of oxygen cost have a model of their own. Gains are "
        "integrated out in closed form, with the priors of `calibrate/priors.csv` and "
        f"`calibrate/time_constants.csv`, and drawn given everything else. {_method(calibration)}"
    )


def _method(calibration: Calibration) -> str:
    quality = calibration.diagnostics
    if quality is None:
        return (
            "Time constants, fatigue, dose exponent, heterogeneity, assumed doses and the SDs behind "
            "standardised differences are drawn from their priors and weighed by the evidence: the weights "
            f"are worth {calibration.effective_size:.0f} independent draws."
        )
    return (
        "Time constants, fatigue, dose exponent, heterogeneity, assumed doses and the SDs behind "
        f"standardised differences are sampled by NUTS: {quality.chains} chains of {quality.kept} steps "
        f"after {quality.warmup} of warm-up, {quality.divergences} divergences; of all {quality.parameters} "
        f"parameters, gains among them, the largest R-hat is {quality.r_hat:.3f}, the smallest bulk ESS "
        f"{quality.ess_bulk:.0f}, the smallest tail ESS {quality.ess_tail:.0f}."
    )


def _rows(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## Published and predicted", "")
    yield (
        "Expected: what the model says of this programme in these people, after and before the fit (mean, "
        "SD). A trial's result: where a result of that size and kind would fall, 90 %. In-sample, so no test."
    )
    yield ""
    lines, inside = [], 0
    for i, row in enumerate(calibration.rows):
        low, high = sorted(np.quantile(calibration.replicated[:, i] * row.scale, CENTRAL_90))
        inside += int(low <= row.value * row.scale <= high)
        lines.append([
            row.id, row.outcome, row.unit, _pair(row.value, row.se, row.scale),
            _mean_sd(calibration.expected[:, i] * row.scale), f"{number_text(low)} to {number_text(high)}",
            _mean_sd(calibration.prior_expected[:, i] * row.scale),
        ])  # fmt: skip
    yield from markdown_table(
        ("row", "outcome", "unit", "published (SE)", "expected", "a trial's result",
         "expected, priors alone"), lines,
    )  # fmt: skip
    yield ""
    yield f"{inside} of {len(calibration.rows)} published numbers lie inside their 90 % interval."


def _gains(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## Gains of walking", "")
    yield (
        "SD of the population per reference programme (20 min at 1.0 m/s, three times a week, six weeks), "
        "counted so that more is better: mean and SD; in brackets the priors alone."
    )
    yield ""
    lines = []
    for name in outcomes():
        after, before = ([data["gain"].sel(outcome=name, component=component).values * benefit_sign(name)
                          for component in ("walk_forward", "walk_backward")]
                         for data in (calibration.posterior, calibration.prior))  # fmt: skip
        for gain in (after, before):
            gain.append(gain[1] - gain[0])
        cells = [f"{_mean_sd(a)} [{_mean_sd(b)}]" for a, b in zip(after, before, strict=True)]
        lines.append([name, *cells, f"{float((after[2] > 0).mean()):.2f}"])
    yield from markdown_table(
        ("outcome", "forward", "backward", "backward - forward", "P(backward better)"), lines
    )


def _shared(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## Shared by all outcomes", "")
    lines = [
        [label, *(_mean_sd(data[name].values) for data in (calibration.posterior, calibration.prior))]
        for name, label in (("dose_exponent", "dose exponent"), ("heterogeneity", "heterogeneity [SD]"))
    ]
    yield from markdown_table(("parameter", "after the fit", "priors alone"), lines)
    yield ""
    yield (
        "Time constants, fatigue fractions and the SD of responses between people learn next to nothing from "
        "these rows: they are prior-driven. Time courses of training and detraining in other people enter "
        "the priors of tau_fitness (`calibrate/time_constants.csv`)."
    )
    rung_of = {effect.id: effect.se_rung for effect in load_evidence().effects}
    counts = Counter(rung_of.get(row.id) for row in calibration.rows)
    yield ""
    yield (
        "Standard errors by rung: "
        + ", ".join(f"{word} {counts.get(rung, 0)}" for rung, word in RUNGS.items())
        + "."
    )


def oxygen_cost_section(calibration: Calibration) -> Iterator[str]:
    """Lines: the published changes, how they part into practice and fitness, and the parameters."""
    yield from ("", "## Oxygen cost: practice and fitness", "")
    if not calibration.costs:
        yield "The tables hold no change of oxygen cost."
        return
    yield (
        "Changes of oxygen cost hold getting used to the task as much as fitness, and contradict each other. "
        "They have a model of their own (`calibrate/habituation.py`), fitted after the rest and without any "
        "effect on it: a first test of a task costs exp(novelty) times a practised one, and practice takes "
        "the novelty away with e^-1 left after so many minutes; fitness comes on top. Falls in per cent; "
        "mean and the central 90 % of the draws."
    )
    practice = calibration.habituation.practice(calibration.costs)
    lines = []
    for i, row in enumerate(calibration.costs):
        falls = (_per_cent(logs[:, i]) for logs in (calibration.falls, practice, calibration.prior_falls))
        error = 100 * row.se * np.exp(-row.value)
        published = f"{_per_cent(row.value):.1f} ({error:.1f})"
        lines.append([row.id, f"{row.minutes:.0f}", published, *(mean_and_range(x, ".1f") for x in falls)])
    yield ""
    yield from markdown_table(
        ("row", "minutes of backward practice", "published (SE)", "expected", "of it practice",
         "priors alone"), lines,
    )  # fmt: skip
    yield ""
    yield from markdown_table(
        ("parameter", "prior", "prior, 90 %", "after the fit, 90 %"), list(_habituation(calibration))
    )
    yield ""
    yield (
        "Two points cannot give the novelty and its rate both: the minutes follow their prior, and what the "
        "practice trial shows is their combination. Nothing is forgotten in this model. How the rest parts "
        "into fitness and practice is decided by priors as well."
    )


def _habituation(calibration: Calibration) -> Iterator[list[str]]:
    both = (calibration.prior, calibration.posterior)
    for name in OXYGEN_COSTS:
        cells = (mean_and_range(data["novelty"].sel(outcome=name).values, ".3f") for data in both)
        yield [f"novelty, {name} [log]", _in_words(prior("novelty", name)), *cells]
    cells = (mean_and_range(data["novelty_minutes"].values, ".0f") for data in both)
    yield ["minutes to e^-1", _in_words(prior("novelty_minutes")), *cells]


def _in_words(row: Prior) -> str:
    return f"{row.distribution}({row.location:g}, {row.sd:g}): {row.reason}"


def _per_cent(logs: Array | float) -> Array:
    return np.asarray(-100.0 * np.expm1(-np.asarray(logs)))


def _verdicts(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## Results of which only the verdict is known", "")
    reported = verdicts(load_evidence())
    scores = score_verdicts(calibration.rows, reported, seed=calibration.seed)
    yield (
        f"{len(reported)} statements that something was or was not significant come with arms, sizes and "
        "programmes. Each counts as the probability of the verdict given that it was reported, null results "
        "being reported less often by a factor that the other verdicts help to know. Fitted to the "
        "numbers of the other studies, their log score is "
        f"{np.log(scores.chances).sum():.1f}; the share of the other statements that agree, their base rate, "
        f"scores {np.log(scores.base).sum():.1f}: a lead of {scores.lead:+.1f} (SE over studies "
        f"{scores.lead_se:.1f}). "
        + (
            f"So they enter with weight {scores.weight:g}."
            if scores.weight
            else "Below the base rate, so they stay out of the fit; what they would do with weight 0.3 or 1 "
            "is in `results/sensitivity.md`."
        )
    )


def _dose_forms(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## How dose acts", "")
    yield "Each study predicted from the others under other forms of dose; log score, and its lead over ours."
    yield ""
    rows, lines, own = calibration.rows, [], None
    sources = np.array([row.source for row in rows])
    folds = [(np.flatnonzero(sources != s), np.flatnonzero(sources == s)) for s in dict.fromkeys(sources)]
    for name, form in DOSE_FORMS.items():
        predictions = predict(Refits.of(form(rows), seed=calibration.seed), folds)
        own = own or predictions
        result = score(rows, predictions, own, np.arange(len(rows)))
        lead = "" if predictions is own else f"{-result.behind:+.1f} ({result.behind_se:.1f})"
        lines.append([name, f"{result.log_score:.1f}", lead, f"{result.mean_width_90:.2f}"])
    yield from markdown_table(("dose", "log score", "lead (SE)", "mean width [SD]"), lines)


def _knee_refits(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## The knee trial, and who pulls on it", "")
    yield (
        "Expected difference between backward walking on top of physiotherapy and physiotherapy alone in "
        f"{KNEE_TRIAL} (points; mean, SD), fitted to everything, to parts, and to everything but one source."
    )
    yield ""
    rows = calibration.rows
    refits = Refits.of(rows, seed=calibration.seed)
    places = [i for name in CONTRASTS for i, row in enumerate(rows) if row.id == name]

    def line(label: str, mean: Array, sd: Array) -> list[str]:
        return [label, *(_pair(float(mean[i]), float(sd[i]), rows[i].scale) for i in places)]

    def without(source: str) -> list[str]:
        return line(f"without {source}", *refits.predict(lambda row: row.source != source))

    lines = [
        line("published (SE)", refits.design.values, np.array([row.se for row in rows])),
        line("all studies", *refits.predict(lambda _: True)),
        line("this trial alone", *refits.predict(lambda row: row.source == KNEE_TRIAL)),
        line("priors alone", *refits.predict(lambda _: False)),
        *map(without, refits.design.sources),
    ]
    heads = (rows[i].id.partition("/")[2].replace("_", " ") for i in places)
    yield from markdown_table(("fitted to", *heads), lines)


def _own_data(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## What the evidence can tell", "")
    yield (
        "SD of each gain of walking before any study, fitted without the cell's own rows, and with them. Own "
        "data narrow it by the share in the last column but one; below a tenth the cell is driven by priors "
        "and by other cells."
    )
    yield ""
    yield from markdown_table(
        ("outcome", "walking", "own rows", "priors", "without own", "all", "own data", ""),
        [[row.outcome, row.component.removeprefix("walk_"), str(row.rows), f"{row.prior:.2f}",
          f"{row.without:.2f}", f"{row.after:.2f}", f"{row.contraction:.2f}",
          "prior-driven" if row.prior_driven else ""]
         for row in own_data(calibration.rows, seed=calibration.seed)],
    )  # fmt: skip
    walking = calibration.posterior["gain"].sel(component=["walk_forward", "walk_backward"])
    gain = walking.values.reshape(walking.sizes["draw"], -1)
    labels = [f"{name} {way}" for way in ("forward", "backward") for name in outcomes()]
    pairs = list(correlated_pairs(gain, labels))
    yield ""
    if not pairs:
        largest = np.abs(np.triu(np.corrcoef(gain.T), 1)).max()
        yield (
            f"No two gains of walking correlate above {HIGH_CORRELATION:g} (the closest pair: {largest:.2f})."
        )
    for one, other, value in pairs:
        yield f"{one} and {other} correlate with {value:.2f}: the evidence hardly tells them apart."


def _further(calibration: Calibration) -> Iterator[str]:
    yield from ("", "## Which study moves a headline most", "")
    yield "SD of the population; shift of the mean in posterior SD when that study is left out."
    yield ""
    yield from markdown_table(
        ("headline", "mean (SD)", "study", "shift without it"),
        [[name, f"{mean:.2f} ({sd:.2f})", study if shift else "none", f"{shift:+.2f}"] for name, mean, sd,
         study, shift in influential_studies(calibration.rows, seed=calibration.seed)],
    )  # fmt: skip
    yield from ("", "## Which further trial would help most", "")
    yield (
        f"One trial of backward against forward walking at equal minutes (reference programme, {FURTHER} per "
        "arm): SD of the difference now and after it, and by how much the variances of all claimed "
        "differences would shrink on average."
    )
    yield ""
    yield from markdown_table(
        ("measured", "SD now", "SD after", "mean shrinkage"),
        [[name, f"{now:.2f}", f"{after:.2f}", f"{shrunk:.1%}"]
         for name, now, after, shrunk in further_trials(calibration.rows, seed=calibration.seed)],
    )  # fmt: skip


def _mean_sd(values: Array) -> str:
    return _pair(float(values.mean()), float(values.std()))


def _pair(centre: float, spread: float, scale: float = 1.0) -> str:
    return f"{number_text(centre * scale)} ({number_text(spread * abs(scale))})"
