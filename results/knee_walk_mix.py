"""Draw results/knee_walk_mix.png from a finished sweep of scenarios/knee_walk_mix.yaml.

retrowalk sweep scenarios/knee_walk_mix.yaml -o knee_walk_mix.zarr
python results/knee_walk_mix.py knee_walk_mix.zarr
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import matplotlib.pyplot as plt
import xarray as xr

import retrowalk
from retrowalk.scenario import scenario_from_json
from retrowalk.support import brief_sentences, sample_cases

OUTCOMES = ("knee_pain", "disability", "quadriceps_strength")
COLOURS = {10: "#9ecae1", 20: "#3182bd", 30: "#08306b"}
DAY = 42


def difference(result: xr.Dataset, outcome: str) -> xr.DataArray:
    """Mean change over members, walking minus usual care, per draw."""
    change = retrowalk.to_grid(result)[f"{outcome}_change"].sel(statistic="mean", day=DAY).isel(replicate=0)
    return change.sel(arm="walking") - change.sel(arm="usual_care")


def beyond_studies(result: xr.Dataset, outcome: str) -> list[str]:
    """In what some of the cases go beyond the studies of an outcome, by kind of training."""
    scenario = scenario_from_json(result.attrs["scenario"])
    return brief_sentences(sample_cases(scenario), outcome, DAY)


def panel(axes: plt.Axes, result: xr.Dataset, outcome: str) -> None:
    """One outcome: a line per duration, and a band for what we do not know at 20 minutes."""
    gap, facts = difference(result, outcome), result[outcome].attrs
    low, high = (gap.sel(minutes=20).quantile(q, "draw") for q in (0.05, 0.95))
    axes.fill_between(gap["backward_share"], low, high, color=COLOURS[20], alpha=0.15, lw=0,
                      label="90 % of what we do not know (20 min)")  # fmt: skip
    for minutes, colour in COLOURS.items():
        axes.plot(gap["backward_share"], gap.sel(minutes=minutes).mean("draw"), color=colour, lw=2,
                  label=f"{minutes} min, three times a week")  # fmt: skip
    axes.axhline(0, color="0.4", lw=0.8)
    sign = -1 if facts["better"] == "lower" else 1
    axes.axhline(sign * facts["minimal_important_change"], color="#c0392b", ls="--", lw=1,
                 label="smallest change that matters to a person")  # fmt: skip
    beyond = f"Beyond the studies: {'; '.join(beyond_studies(result, outcome)) or 'nothing'}."
    axes.set_xlabel("\n".join(["share of the minutes walked backwards", "", *wrap(beyond, 46)]), fontsize=9)
    axes.set_ylabel(f"against usual care [{facts['units']}]")
    axes.set_title(f"{facts['label']}\n({facts['better']} is better)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def main(store: str) -> None:
    """Write the picture beside this script."""
    result = retrowalk.open_results(store)
    mpl.use("Agg")
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.7), layout="constrained")
    for where, outcome in zip(axes, OUTCOMES, strict=True):
        panel(where, result, outcome)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle("Knee osteoarthritis, six weeks of walking on top of physiotherapy: change at week 6")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main(sys.argv[1])
