"""Write results/knee_trial.md: the knee trial repeated, beside what it published and what the priors give.

    python results/knee_trial.py

Runs scenarios/knee_trial.yaml twice, with the fitted parameters and with the priors, and reads the published
contrasts from the evidence tables.
"""

from __future__ import annotations

from pathlib import Path

import xarray as xr

import retrowalk
from retrowalk.catalogue import outcomes
from retrowalk.scenario import scenario_from_data
from retrowalk.support import sample_cases, sentences

HERE = Path(__file__).parent
PUBLISHED = "alghadir2019"
CONTRASTS = (("backward", "control"), ("forward", "control"), ("backward", "forward"))
DAY = 42


def trial(source: str) -> xr.Dataset:
    """The trial with the parameters of `source`."""
    shipped = retrowalk.load_scenario(HERE.parent / "scenarios" / "knee_trial.yaml")
    return retrowalk.simulate(scenario_from_data({**shipped.model_dump(mode="json"), "parameters": source}))


def row(result: xr.Dataset, outcome: str, arm: str, against: str) -> tuple[str, str]:
    """Contrast with its interval over draws, and the share of trials that find it significant."""
    summary = retrowalk.summarize(result, reference=against).sel(arm=arm, day=DAY)
    difference, share = summary[f"{outcome}_difference"], summary[f"{outcome}_significant"]
    low, high = difference.sel(estimate="lower"), difference.sel(estimate="upper")
    return (
        f"{float(difference.sel(estimate='mean')):+.2f} ({float(low):+.2f} to {float(high):+.2f})",
        f"{100 * float(share.sel(estimate='mean')):.0f} % ({100 * float(share.sel(estimate='lower')):.0f} to "
        f"{100 * float(share.sel(estimate='upper')):.0f} %)",
    )


def published(outcome: str, arm: str, against: str) -> str:
    """The trial's own contrast, where it printed one."""
    ids = {name: f"{PUBLISHED}/{'retro' if name == 'backward' else name}" for name in (arm, against)}
    for effect in retrowalk.load_evidence().effects_of(PUBLISHED, outcome=outcome):
        if (effect.arm_a, effect.arm_b) == (ids[arm], ids[against]):
            if effect.value is not None:
                return f"{effect.value:+.1f} (SE {effect.se:.2f})"
            return effect.verdict.replace("_", " ")
    return "not printed"


def table(posterior: xr.Dataset, prior: xr.Dataset) -> list[str]:
    """Rows of the Markdown table."""
    lines = [
        "| outcome | contrast | published | fitted: difference | fitted: trials significant "
        "| priors alone: difference | priors alone: trials significant |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in ("knee_pain", "disability", "quadriceps_strength"):
        unit = posterior[outcome].attrs["units"]
        for arm, against in CONTRASTS:
            simulated = [*row(posterior, outcome, arm, against), *row(prior, outcome, arm, against)]
            cells = [
                f"{outcome} [{unit}]",
                f"{arm} - {against}",
                published(outcome, arm, against),
                *simulated,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def beyond_studies() -> list[str]:
    """Where the trial's arms go beyond what studies of the same training on the same outcome did."""
    scenario = retrowalk.load_scenario(HERE.parent / "scenarios" / "knee_trial.yaml")
    lines = []
    for outcome in scenario.outcomes:
        limits = sentences(sample_cases(scenario), outcome, DAY)
        lines += [f"- {outcomes()[outcome].label}: {sentence}" for sentence in limits]
    if not lines:
        return ["No arm goes beyond what was studied of its training on these outcomes.", ""]
    return ["Beyond the studies in the tables:", "", *lines, ""]


def main() -> None:
    """Write the page beside this script."""
    posterior, prior = trial("posterior"), trial("prior")
    sizes = posterior.sizes
    page = [
        "# The knee trial, repeated",
        "",
        "Made by `python results/knee_trial.py` from `scenarios/knee_trial.yaml`: three arms of 22 people,",
        "10 minutes three times a week for six weeks on top of physiotherapy,",
        f"{sizes['replicate']} trials with new people for each of {sizes['draw']} draws of the parameters.",
        "Changes at week 6. Differences are means of the true change, with the central 90 % over draws",
        "(what we do not know); a trial is significant by Welch's test on the observed change, two-sided",
        ".05. Published figures: Alghadir et al. 2019, doi 10.1186/s12891-019-2537-9; its",
        "backward-against-forward verdict is not used in the fit.",
        "",
        *table(posterior, prior),
        "",
        *beyond_studies(),
        posterior.attrs["comment"],
        "",
    ]
    (HERE / "knee_trial.md").write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
