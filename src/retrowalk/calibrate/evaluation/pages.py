"""The pages on the parameters and on the scoreboard; the scoreboard also as JSON and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import (
    DOSE_FORMS,
    OXYGEN_COSTS,
    Calibration,
    Refits,
    benefit_sign,
    prior,
    score_verdicts,
    verdicts,
)
from retrowalk.calibrate.evaluation import mean_and_range, number_text, page, table
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


def parameters_page(fit: Calibration) -> str:
    """What was used, how well it is predicted and what remains open, as Markdown."""
    tables, weight, quality = load_evidence(), fit.verdict_weight, fit.diagnostics
    method = (
        "drawn from their priors and weighed by the evidence: the weights are worth "
        f"{fit.effective_size:.0f} independent draws"
    )
    if quality is not None:
        method = (
            f"sampled by NUTS: {quality.chains} chains of {quality.kept} steps after {quality.warmup} of "
            f"warm-up, {quality.divergences} divergences; of all {quality.parameters} parameters, gains "
            f"among them, the largest R-hat is {quality.r_hat:.3f}, the smallest bulk ESS "
            f"{quality.ess_bulk:.0f}, the smallest tail ESS {quality.ess_tail:.0f}"
        )
    intervals = [np.quantile(fit.replicated[:, i] * row.scale, CENTRAL_90) for i, row in enumerate(fit.rows)]
    pairs = list(zip(fit.rows, map(sorted, intervals), strict=True))
    rung_of = {effect.id: effect.se_rung for effect in tables.effects}
    counts = Counter(rung_of.get(row.id) for row in fit.rows)
    reported = verdicts(tables)
    scores = score_verdicts(fit.rows, reported, seed=fit.seed)
    left_out = (
        "Below the base rate, so they stay out of the fit; what they would do with weight 0.3 or 1 "
        "is in `results/sensitivity.md`."
    )
    return page(
        "parameters",
        title=TITLE,
        fit=fit,
        rows=len(fit.rows),
        sources=len({row.source for row in fit.rows}),
        entering=f"enter with weight {weight:g}" if weight else "stay out, as told below",
        method=method,
        published=table(
            ("row", "outcome", "unit", "published (SE)", "expected", "a trial's result",
             "expected, priors alone"),
            ([row.id, row.outcome, row.unit, _pair(row.value, row.se, row.scale),
              _mean_sd(fit.expected[:, i] * row.scale), f"{number_text(low)} to {number_text(high)}",
              _mean_sd(fit.prior_expected[:, i] * row.scale)] for i, (row, (low, high)) in enumerate(pairs)),
        ),
        inside=sum(low <= row.value * row.scale <= high for row, (low, high) in pairs),
        gains=_gains(fit),
        shared=table(
            ("parameter", "after the fit", "priors alone"),
            ([label, *(_mean_sd(data[name].values) for data in (fit.posterior, fit.prior))]
             for name, label in (("dose_exponent", "dose exponent"),
                                 ("heterogeneity", "heterogeneity [SD]"))),
        ),
        rungs=", ".join(f"{word} {counts.get(rung, 0)}" for rung, word in RUNGS.items()),
        oxygen_cost=oxygen_cost_section(fit),
        reported=len(reported),
        scores=scores,
        log_score=np.log(scores.chances).sum(),
        base_score=np.log(scores.base).sum(),
        decision=f"So they enter with weight {scores.weight:g}." if scores.weight else left_out,
        dose_forms=_dose_forms(fit),
        knee_trial=KNEE_TRIAL,
        knee_refits=_knee_refits(fit),
        own_data=table(
            ("outcome", "walking", "own rows", "priors", "without own", "all", "own data", ""),
            ([row.outcome, row.component.removeprefix("walk_"), str(row.rows), f"{row.prior:.2f}",
              f"{row.without:.2f}", f"{row.after:.2f}", f"{row.contraction:.2f}",
              "prior-driven" if row.prior_driven else ""] for row in own_data(fit.rows, seed=fit.seed)),
        ),
        correlated=_correlated(fit),
        influential=table(
            ("headline", "mean (SD)", "study", "shift without it"),
            ([name, f"{mean:.2f} ({sd:.2f})", study if shift else "none", f"{shift:+.2f}"]
             for name, mean, sd, study, shift in influential_studies(fit.rows, seed=fit.seed)),
        ),
        further=FURTHER,
        further_trials=table(
            ("measured", "SD now", "SD after", "mean shrinkage"),
            ([name, f"{now:.2f}", f"{after:.2f}", f"{shrunk:.1%}"]
             for name, now, after, shrunk in further_trials(fit.rows, seed=fit.seed)),
        ),
    )  # fmt: skip


def _gains(fit: Calibration) -> str:
    lines = []
    for name in outcomes():
        after, before = ([data["gain"].sel(outcome=name, component=component).values * benefit_sign(name)
                          for component in WALKING] for data in (fit.posterior, fit.prior))  # fmt: skip
        for gain in (after, before):
            gain.append(gain[1] - gain[0])
        cells = [f"{_mean_sd(a)} [{_mean_sd(b)}]" for a, b in zip(after, before, strict=True)]
        lines.append([name, *cells, f"{float((after[2] > 0).mean()):.2f}"])
    return table(("outcome", "forward", "backward", "backward - forward", "P(backward better)"), lines)


def oxygen_cost_section(fit: Calibration) -> str:
    """The published changes, how they part into practice and fitness, and the parameters."""
    if not fit.costs:
        return "The tables hold no change of oxygen cost."
    changes = []
    for i, row in enumerate(fit.costs):
        parts = (fit.falls, fit.habituation.practice(fit.costs), fit.prior_falls)
        falls = (mean_and_range(-100.0 * np.expm1(-logs[:, i]), ".1f") for logs in parts)
        published = f"{-100.0 * np.expm1(-row.value):.1f} ({100 * row.se * np.exp(-row.value):.1f})"
        changes.append([row.id, f"{row.minutes:.0f}", published, *falls])
    known = [(f"novelty, {name} [log]", prior("novelty", name), ".3f", [data["novelty"].sel(outcome=name)
              for data in (fit.prior, fit.posterior)]) for name in OXYGEN_COSTS]  # fmt: skip
    minutes = [data["novelty_minutes"] for data in (fit.prior, fit.posterior)]
    known.append(("minutes to e^-1", prior("novelty_minutes"), ".0f", minutes))
    return page(
        "oxygen_cost",
        changes=table(("row", "minutes of backward practice", "published (SE)", "expected", "of it practice",
                       "priors alone"), changes),
        parameters=table(
            ("parameter", "prior", "prior, 90 %", "after the fit, 90 %"),
            ([label, f"{row.distribution}({row.location:g}, {row.sd:g}): {row.reason}",
              *(mean_and_range(draws.values, form) for draws in both)] for label, row, form, both in known),
        ),
    ).rstrip()  # fmt: skip


def _dose_forms(fit: Calibration) -> str:
    rows, lines, own = fit.rows, [], None
    sources = np.array([row.source for row in rows])
    folds = [(np.flatnonzero(sources != s), np.flatnonzero(sources == s)) for s in dict.fromkeys(sources)]
    for name, form in DOSE_FORMS.items():
        predictions = predict(Refits.of(form(rows), seed=fit.seed), folds)
        own = own or predictions
        result = score(rows, predictions, own, np.arange(len(rows)))
        lead = "" if predictions is own else f"{-result.behind:+.1f} ({result.behind_se:.1f})"
        lines.append([name, f"{result.log_score:.1f}", lead, f"{result.mean_width_90:.2f}"])
    return table(("dose", "log score", "lead (SE)", "mean width [SD]"), lines)


def _knee_refits(fit: Calibration) -> str:
    rows = fit.rows
    refits = Refits.of(rows, seed=fit.seed)
    places = [i for name in ("pain", "disability") for i, row in enumerate(rows)
              if row.id == f"{KNEE_TRIAL}/{name}_retro_control"]  # fmt: skip

    def line(label: str, mean: Array, sd: Array) -> list[str]:
        return [label, *(_pair(float(mean[i]), float(sd[i]), rows[i].scale) for i in places)]

    def without(source: str) -> list[str]:
        return line(f"without {source}", *refits.predict(lambda row: row.source != source))

    heads = (rows[i].id.partition("/")[2].replace("_", " ") for i in places)
    lines = [
        line("published (SE)", refits.design.values, np.array([row.se for row in rows])),
        line("all studies", *refits.predict(lambda _: True)),
        line("this trial alone", *refits.predict(lambda row: row.source == KNEE_TRIAL)),
        line("priors alone", *refits.predict(lambda _: False)),
        *map(without, refits.design.sources),
    ]
    return table(("fitted to", *heads), lines)


def _correlated(fit: Calibration) -> str:
    walking = fit.posterior["gain"].sel(component=list(WALKING))
    gain = walking.values.reshape(walking.sizes["draw"], -1)
    labels = [f"{name} {way}" for way in ("forward", "backward") for name in outcomes()]
    close = [
        f"{one} and {other} correlate with {value:.2f}: the evidence hardly tells them apart."
        for one, other, value in correlated_pairs(gain, labels)
    ]
    largest = np.abs(np.triu(np.corrcoef(gain.T), 1)).max()
    none = f"No two gains of walking correlate above {HIGH_CORRELATION:g} (the closest pair: {largest:.2f})."
    return "\n".join(close or [none])


def _mean_sd(values: Array) -> str:
    return _pair(float(values.mean()), float(values.std()))


def _pair(centre: float, spread: float, scale: float = 1.0) -> str:
    return f"{number_text(centre * scale)} ({number_text(spread * abs(scale))})"


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
    sections = []
    for board in boards:
        scores = table(SCORE_HEAD, (_score(name, board.scores[name]) for name in RIVALS))
        rows = table(ROW_HEAD, map(_row, board.rows))
        parts = (KINDS[board.kind].capitalize(), _counted(board), scores, rows)
        sections.append("\n## " + "\n\n".join(parts))
    return page(
        "validation",
        targets=table(("what", "found", "limit", ""), map(_target, targets)),
        reasons=reasons_section(reasons, targets) if reasons else "",
        boards="\n".join(sections),
    )


def reasons_section(reasons: Reasons, targets: Sequence[Target]) -> str:
    """The section on missed targets, in words."""
    missed = "; ".join(target.name for target in targets if not target.met)
    carriers = ", ".join(
        f"{name} {gap:+.1f} SD over {rows} row{'s' if rows > 1 else ''}"
        for name, gap, rows in reasons.excess if name in reasons.carriers
    )  # fmt: skip
    classes = (
        [label, str(number), f"{mean:+.2f}", f"{sd:.2f}", f"{half:.2f}", f"{wide:.2f}"]
        for label, number, mean, sd, half, wide in reasons.classes
    )
    return page(
        "reasons",
        found=reasons,
        missed=f"Missed: {missed}." if missed else "Every aim is met.",
        total=sum(gap for _, gap, _ in reasons.excess),
        carriers=carriers,
        classes=table(("kind", "rows", "mean z", "SD z", "inside 50 %", "inside 90 %"), classes),
        fewest=min(reasons.classes, key=lambda entry: entry[4])[0],
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
