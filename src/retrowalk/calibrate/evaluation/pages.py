"""The pages on the parameters and on the scoreboard; the scoreboard also as JSON and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

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
from retrowalk.calibrate.evaluation import mean_and_range, number_text, section
from retrowalk.calibrate.evaluation.scoreboard import RIVALS, Scoreboard, ScoredRow, Scores, predict, score
from retrowalk.calibrate.evaluation.sensitivity import (
    FURTHER,
    HIGH_CORRELATION,
    correlated_pairs,
    further_trials,
    influential_studies,
    own_data,
)
from retrowalk.calibrate.evaluation.targets import KNEE_TRIAL, Reasons, Target
from retrowalk.catalogue import outcomes
from retrowalk.evidence import load_evidence
from retrowalk.tables import markdown_table
from retrowalk.words import CENTRAL_90

Array = NDArray[np.float64]
TITLE = "# Parameters: what the evidence says and what it leaves open"
WALKING = ("walk_forward", "walk_backward")
#: How a standard error was come by.
RUNGS = {1: "SD or SE printed", 2: "interval", 3: "exact p and n", 4: "bound of p, at the bound",
         5: "typical SD and n", 6: "pooled row without interval"}  # fmt: skip
#: What a row of the JSON document holds.
KEYS = ("source", "outcome", "contrast", "published", "predicted", "lo90", "hi90", "lo50", "hi50", "z",
        "inside_90", "in_fit")  # fmt: skip
KINDS = {
    "in_sample": "fitted to all studies: agreement is no test",
    "leave_one_out": "each study predicted from the others",
    "not_fitted": "studies that are in no fit",
}
ROW_HEAD = ("source", "outcome", "contrast", "unit", "published (90 %)", "predicted", "90 %", "50 %", "z",
            "inside", "in fit")  # fmt: skip
SCORE_HEAD = ("model", "inside 90 %", "inside 50 %", "width [SD]", "MAE [SD]", "log score", "behind (SE)",
              "PIT mean z", "PIT SD z")  # fmt: skip


# -- the page on the parameters


def parameters_page(calibration: Calibration) -> str:
    """What was used, how well it is predicted and what remains open, as Markdown."""
    parts = (_opening, _rows, _gains, _shared, oxygen_cost_section, _verdicts, _dose_forms, _knee_refits,
             _own_data, _further)  # fmt: skip
    return "\n".join([*(line for part in parts for line in part(calibration)), ""])


def _opening(calibration: Calibration) -> list[str]:
    sources, weight = len({row.source for row in calibration.rows}), calibration.verdict_weight
    entering = f"enter with weight {weight:g}" if weight else "stay out, as told below"
    constants = (
        "Time constants, fatigue, dose exponent, heterogeneity, assumed doses and the SDs behind "
        "standardised differences are"
    )
    quality = calibration.diagnostics
    if quality is None:
        method = (
            f"{constants} drawn from their priors and weighed by the evidence: the weights "
            f"are worth {calibration.effective_size:.0f} independent draws."
        )
    else:
        method = (
            f"{constants} sampled by NUTS: {quality.chains} chains of {quality.kept} steps after "
            f"{quality.warmup} of warm-up, {quality.divergences} divergences; of all {quality.parameters} "
            f"parameters, gains among them, the largest R-hat is {quality.r_hat:.3f}, the smallest bulk ESS "
            f"{quality.ess_bulk:.0f}, the smallest tail ESS {quality.ess_tail:.0f}."
        )
    return [
        TITLE, "",
        f"Made by `retrowalk calibrate --report` (seed {calibration.seed}); "
        "numbers change with the tables only.", "",
        f"{len(calibration.rows)} published numbers of {sources} sources enter, those with role `fit` in "
        f"`evidence/effects.csv`. Statements that something was or was not significant {entering}; "
        "changes of oxygen cost have a model of their own. Gains are "
        "integrated out in closed form, with the priors of `calibrate/priors.csv` and "
        f"`calibrate/time_constants.csv`, and drawn given everything else. {method}",
    ]  # fmt: skip


def _rows(calibration: Calibration) -> Iterator[str]:
    lines, inside = [], 0
    for i, row in enumerate(calibration.rows):
        low, high = sorted(np.quantile(calibration.replicated[:, i] * row.scale, CENTRAL_90))
        inside += int(low <= row.value * row.scale <= high)
        lines.append([
            row.id, row.outcome, row.unit, _pair(row.value, row.se, row.scale),
            _mean_sd(calibration.expected[:, i] * row.scale), f"{number_text(low)} to {number_text(high)}",
            _mean_sd(calibration.prior_expected[:, i] * row.scale),
        ])  # fmt: skip
    head = ("row", "outcome", "unit", "published (SE)", "expected", "a trial's result",
            "expected, priors alone")  # fmt: skip
    return section(
        "Published and predicted",
        "Expected: what the model says of this programme in these people, after and before the fit (mean, "
        "SD). A trial's result: where a result of that size and kind would fall, 90 %. In-sample, so no "
        "test.",
        markdown_table(head, lines),
        f"{inside} of {len(calibration.rows)} published numbers lie inside their 90 % interval.",
    )


def _gains(calibration: Calibration) -> Iterator[str]:
    lines = []
    for name in outcomes():
        after, before = ([data["gain"].sel(outcome=name, component=component).values * benefit_sign(name)
                          for component in WALKING]
                         for data in (calibration.posterior, calibration.prior))  # fmt: skip
        for gain in (after, before):
            gain.append(gain[1] - gain[0])
        cells = [f"{_mean_sd(a)} [{_mean_sd(b)}]" for a, b in zip(after, before, strict=True)]
        lines.append([name, *cells, f"{float((after[2] > 0).mean()):.2f}"])
    return section(
        "Gains of walking",
        "SD of the population per reference programme (20 min at 1.0 m/s, three times a week, six weeks), "
        "counted so that more is better: mean and SD; in brackets the priors alone.",
        markdown_table(("outcome", "forward", "backward", "backward - forward", "P(backward better)"), lines),
    )


def _shared(calibration: Calibration) -> Iterator[str]:
    lines = [
        [label, *(_mean_sd(data[name].values) for data in (calibration.posterior, calibration.prior))]
        for name, label in (("dose_exponent", "dose exponent"), ("heterogeneity", "heterogeneity [SD]"))
    ]
    rung_of = {effect.id: effect.se_rung for effect in load_evidence().effects}
    counts = Counter(rung_of.get(row.id) for row in calibration.rows)
    rungs = ", ".join(f"{word} {counts.get(rung, 0)}" for rung, word in RUNGS.items())
    return section(
        "Shared by all outcomes",
        markdown_table(("parameter", "after the fit", "priors alone"), lines),
        "Time constants, fatigue fractions and the SD of responses between people learn next to nothing from "
        "these rows: they are prior-driven. Time courses of training and detraining in other people enter "
        "the priors of tau_fitness (`calibrate/time_constants.csv`).",
        f"Standard errors by rung: {rungs}.",
    )


def oxygen_cost_section(calibration: Calibration) -> Iterator[str]:
    """Lines: the published changes, how they part into practice and fitness, and the parameters."""
    title = "Oxygen cost: practice and fitness"
    if not calibration.costs:
        return section(title, "The tables hold no change of oxygen cost.")
    practice = calibration.habituation.practice(calibration.costs)
    changes = []
    for i, row in enumerate(calibration.costs):
        parts = (calibration.falls, practice, calibration.prior_falls)
        falls = (mean_and_range(-100.0 * np.expm1(-logs[:, i]), ".1f") for logs in parts)
        published = f"{-100.0 * np.expm1(-row.value):.1f} ({100 * row.se * np.exp(-row.value):.1f})"
        changes.append([row.id, f"{row.minutes:.0f}", published, *falls])
    both = (calibration.prior, calibration.posterior)
    parameters = []
    for name in OXYGEN_COSTS:
        cells = (mean_and_range(data["novelty"].sel(outcome=name).values, ".3f") for data in both)
        parameters.append([f"novelty, {name} [log]", _in_words(prior("novelty", name)), *cells])
    cells = (mean_and_range(data["novelty_minutes"].values, ".0f") for data in both)
    parameters.append(["minutes to e^-1", _in_words(prior("novelty_minutes")), *cells])
    head = ("row", "minutes of backward practice", "published (SE)", "expected", "of it practice",
            "priors alone")  # fmt: skip
    return section(
        title,
        "Changes of oxygen cost hold getting used to the task as much as fitness, and contradict each other. "
        "They have a model of their own (`calibrate/habituation.py`), fitted after the rest and without any "
        "effect on it: a first test of a task costs exp(novelty) times a practised one, and practice takes "
        "the novelty away with e^-1 left after so many minutes; fitness comes on top. Falls in per cent; "
        "mean and the central 90 % of the draws.",
        markdown_table(head, changes),
        markdown_table(("parameter", "prior", "prior, 90 %", "after the fit, 90 %"), parameters),
        "Two points cannot give the novelty and its rate both: the minutes follow their prior, and what the "
        "practice trial shows is their combination. Nothing is forgotten in this model. How the rest parts "
        "into fitness and practice is decided by priors as well.",
    )


def _in_words(row: Prior) -> str:
    return f"{row.distribution}({row.location:g}, {row.sd:g}): {row.reason}"


def _verdicts(calibration: Calibration) -> Iterator[str]:
    reported = verdicts(load_evidence())
    scores = score_verdicts(calibration.rows, reported, seed=calibration.seed)
    decision = (
        f"So they enter with weight {scores.weight:g}."
        if scores.weight
        else "Below the base rate, so they stay out of the fit; what they would do with weight 0.3 or 1 "
        "is in `results/sensitivity.md`."
    )
    return section(
        "Results of which only the verdict is known",
        f"{len(reported)} statements that something was or was not significant come with arms, sizes and "
        "programmes. Each counts as the probability of the verdict given that it was reported, null results "
        "being reported less often by a factor that the other verdicts help to know. Fitted to the "
        "numbers of the other studies, their log score is "
        f"{np.log(scores.chances).sum():.1f}; the share of the other statements that agree, their base rate, "
        f"scores {np.log(scores.base).sum():.1f}: a lead of {scores.lead:+.1f} (SE over studies "
        f"{scores.lead_se:.1f}). {decision}",
    )


def _dose_forms(calibration: Calibration) -> Iterator[str]:
    rows, lines, own = calibration.rows, [], None
    sources = np.array([row.source for row in rows])
    folds = [(np.flatnonzero(sources != s), np.flatnonzero(sources == s)) for s in dict.fromkeys(sources)]
    for name, form in DOSE_FORMS.items():
        predictions = predict(Refits.of(form(rows), seed=calibration.seed), folds)
        own = own or predictions
        result = score(rows, predictions, own, np.arange(len(rows)))
        lead = "" if predictions is own else f"{-result.behind:+.1f} ({result.behind_se:.1f})"
        lines.append([name, f"{result.log_score:.1f}", lead, f"{result.mean_width_90:.2f}"])
    return section(
        "How dose acts",
        "Each study predicted from the others under other forms of dose; log score, and its lead over ours.",
        markdown_table(("dose", "log score", "lead (SE)", "mean width [SD]"), lines),
    )


def _knee_refits(calibration: Calibration) -> Iterator[str]:
    rows = calibration.rows
    refits = Refits.of(rows, seed=calibration.seed)
    places = [i for name in ("pain", "disability") for i, row in enumerate(rows)
              if row.id == f"{KNEE_TRIAL}/{name}_retro_control"]  # fmt: skip

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
    return section(
        "The knee trial, and who pulls on it",
        "Expected difference between backward walking on top of physiotherapy and physiotherapy alone in "
        f"{KNEE_TRIAL} (points; mean, SD), fitted to everything, to parts, and to everything but one source.",
        markdown_table(("fitted to", *heads), lines),
    )


def _own_data(calibration: Calibration) -> Iterator[str]:
    lines = [
        [row.outcome, row.component.removeprefix("walk_"), str(row.rows), f"{row.prior:.2f}",
         f"{row.without:.2f}", f"{row.after:.2f}", f"{row.contraction:.2f}",
         "prior-driven" if row.prior_driven else ""]
        for row in own_data(calibration.rows, seed=calibration.seed)
    ]  # fmt: skip
    walking = calibration.posterior["gain"].sel(component=list(WALKING))
    gain = walking.values.reshape(walking.sizes["draw"], -1)
    labels = [f"{name} {way}" for way in ("forward", "backward") for name in outcomes()]
    close = [
        f"{one} and {other} correlate with {value:.2f}: the evidence hardly tells them apart."
        for one, other, value in correlated_pairs(gain, labels)
    ]
    if not close:
        largest = np.abs(np.triu(np.corrcoef(gain.T), 1)).max()
        close = [f"No two gains of walking correlate above {HIGH_CORRELATION:g} (the closest pair: "
                 f"{largest:.2f})."]  # fmt: skip
    return section(
        "What the evidence can tell",
        "SD of each gain of walking before any study, fitted without the cell's own rows, and with them. Own "
        "data narrow it by the share in the last column but one; below a tenth the cell is driven by priors "
        "and by other cells.",
        markdown_table(
            ("outcome", "walking", "own rows", "priors", "without own", "all", "own data", ""), lines
        ),
        close,
    )


def _further(calibration: Calibration) -> Iterator[str]:
    yield from section(
        "Which study moves a headline most",
        "SD of the population; shift of the mean in posterior SD when that study is left out.",
        markdown_table(
            ("headline", "mean (SD)", "study", "shift without it"),
            [[name, f"{mean:.2f} ({sd:.2f})", study if shift else "none", f"{shift:+.2f}"] for name, mean, sd,
             study, shift in influential_studies(calibration.rows, seed=calibration.seed)],
        ),
    )  # fmt: skip
    yield from section(
        "Which further trial would help most",
        f"One trial of backward against forward walking at equal minutes (reference programme, {FURTHER} per "
        "arm): SD of the difference now and after it, and by how much the variances of all claimed "
        "differences would shrink on average.",
        markdown_table(
            ("measured", "SD now", "SD after", "mean shrinkage"),
            [[name, f"{now:.2f}", f"{after:.2f}", f"{shrunk:.1%}"]
             for name, now, after, shrunk in further_trials(calibration.rows, seed=calibration.seed)],
        ),
    )  # fmt: skip


def _mean_sd(values: Array) -> str:
    return _pair(float(values.mean()), float(values.std()))


def _pair(centre: float, spread: float, scale: float = 1.0) -> str:
    return f"{number_text(centre * scale)} ({number_text(spread * abs(scale))})"


# -- the scoreboard


def as_json(board: Scoreboard, targets: Sequence[Target] = ()) -> dict[str, object]:
    """Rows and scores as plain data."""
    rows = [{key: value for key, value in asdict(row).items() if key in KEYS} for row in board.rows]
    scores: dict[str, object] = {"kind": board.kind}
    scores |= {name: asdict(own) for name, own in board.scores.items()}
    if targets:
        scores["must_hold"] = [asdict(target) for target in targets]
    return {"rows": rows, "scores": scores}


def as_text(board: Scoreboard, targets: Sequence[Target] = ()) -> str:
    """Aligned columns for a terminal."""
    parts = [_aligned(ROW_HEAD, map(_row, board.rows)), "", _counted(board), ""]
    parts += [_aligned(SCORE_HEAD, (_score(name, board.scores[name]) for name in RIVALS))]
    if targets:
        parts += ["", _aligned(("must hold", "found", "limit", ""), map(_target, targets))]
    return "\n".join(parts)


def validation_page(
    boards: Sequence[Scoreboard], targets: Sequence[Target], reasons: Reasons | None = None
) -> str:
    """The page that is kept with the package, as Markdown."""
    lines = [
        "# Scoreboard: published results against predictions", "",
        "Made by `retrowalk validate --report`. Intervals are of the result of a new trial of that size and "
        "programme, with its own sampling error and its own departure from the mean of studies. Widths and "
        "errors are in SD of the population. Rivals are refitted to the same rows in the same way.",
        *section("Must hold", markdown_table(("what", "found", "limit", ""), list(map(_target, targets)))),
        *(reason_lines(reasons, targets) if reasons else ()),
    ]  # fmt: skip
    for board in boards:
        lines += section(
            KINDS[board.kind].capitalize(),
            _counted(board),
            markdown_table(SCORE_HEAD, [_score(name, board.scores[name]) for name in RIVALS]),
            markdown_table(ROW_HEAD, list(map(_row, board.rows))),
        )
    return "\n".join([*lines, ""])


def reason_lines(reasons: Reasons, targets: Sequence[Target]) -> Iterator[str]:
    """The section on missed targets, in words."""
    missed = [target.name for target in targets if not target.met]
    total = sum(gap for _, gap, _ in reasons.excess)
    words = ", ".join(
        f"{name} {gap:+.1f} SD over {rows} row{'s' if rows > 1 else ''}"
        for name, gap, rows in reasons.excess if name in reasons.carriers
    )  # fmt: skip
    classes = [
        [label, str(number), f"{mean:+.2f}", f"{sd:.2f}", f"{half:.2f}", f"{wide:.2f}"]
        for label, number, mean, sd, half, wide in reasons.classes
    ]
    fewest = min(reasons.classes, key=lambda entry: entry[4])[0]
    published, error, expected, at_published, at_expected = reasons.knee
    return section(
        "Where an aim is missed, and why",
        f"Missed: {'; '.join(missed)}." if missed else "Every aim is met.",
        f"*Width.* All rows together are {total:+.1f} SD wider than the random-effects mean's; most of it is "
        f"{words}. Without these sources the ratio is {reasons.ratio_without:.2f}. The random-effects mean "
        "says that any walking of any dose and direction does the same, so it carries a result from one "
        "trial to the next without paying for the difference; the model pays for going from a few weeks of "
        "backward running to months of forward walking, and back. "
        f"If every gain were known exactly, the width would still be {reasons.floor:.2f} of the priors': the "
        "rest is sampling error, differences between studies and drift.",
        "*Middle intervals.* If the model were right, rows of one study hanging together, the 50 % intervals "
        f"would hold as few as they do in {reasons.chance_50:.0%} of evidence bases of this size, the 90 % "
        f"intervals in {reasons.chance_90:.0%}. By kind of result, z being the normal score of the published "
        "value among its predictions:",
        markdown_table(("kind", "rows", "mean z", "SD z", "inside 50 %", "inside 90 %"), classes),
        f"Fewest lie inside among {fewest}. Contrasts that come out better than predicted beside changes "
        "within one arm that do not would be trials printed because the contrast was significant; the model "
        "has no term for that, and none was added to suit the score.",
        f"*Knee pain.* Published {published:.2f} points (SE {error:.2f}), expected {expected:.2f}: the other "
        "trials of knees and the prior pull it in. A trial of this size with just the published difference "
        f"behind it would be significant with probability {at_published:.2f}, with the expected one "
        f"{at_expected:.2f}. For .60 little of the published difference may be put down to luck.",
    )


def _counted(board: Scoreboard) -> str:
    own = board.scores["retrowalk"]
    return (
        f"Scores of {own.rows} rows of {own.studies} studies, {KINDS[board.kind]}. Behind: how far the "
        "log score is below the model's."
    )


def _row(row: ScoredRow) -> list[str]:
    bounds = (row.published - 1.645 * row.se, row.published + 1.645 * row.se)
    published, inner, outer = (
        " to ".join(map(number_text, pair)) for pair in (bounds, (row.lo50, row.hi50), (row.lo90, row.hi90))
    )
    return [
        row.source, row.outcome, row.contrast, row.unit,
        f"{number_text(row.published)} ({published})", number_text(row.predicted), outer, inner,
        f"{row.z:+.1f}", "yes" if row.inside_90 else "no", "yes" if row.in_fit else "no",
    ]  # fmt: skip


def _score(name: str, own: Scores) -> list[str]:
    return [
        RIVALS[name], f"{own.coverage_90:.2f}", f"{own.coverage_50:.2f}", f"{own.mean_width_90:.2f}",
        f"{own.mean_absolute_error:.2f}", f"{own.log_score:.1f}",
        "" if name == "retrowalk" else f"{own.behind:+.1f} ({own.behind_se:.1f})",
        f"{own.pit_mean_z:+.2f}", f"{own.pit_sd_z:.2f}",
    ]  # fmt: skip


def _target(row: Target) -> list[str]:
    return [row.name, row.value, row.limit, "met" if row.met else "missed"]


def _aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, *rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
