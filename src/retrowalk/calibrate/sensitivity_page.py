"""The sensitivity table as Markdown."""

from __future__ import annotations

from retrowalk.calibrate.headlines import CLAIMED, headline_rows
from retrowalk.calibrate.markdown import table
from retrowalk.calibrate.run import SEED
from retrowalk.calibrate.variations import variations
from retrowalk.evidence import load_evidence

#: Fewer effective draws than this make no estimate.
ENOUGH = 30


def sensitivity_page(*, seed: int = SEED, candidates: int = 4000) -> str:
    """Headlines under each other decision, from fits without a sampler."""
    heads = headline_rows()
    lines = []
    for found in variations(load_evidence(), heads, seed=seed, candidates=candidates):
        trusted = found.worth is None or found.worth >= ENOUGH
        cells = [f"{m:+.2f} ({s:.2f})" for m, s in zip(found.mean, found.sd, strict=True)]
        words = found.label if found.worth is None else f"{found.label} (worth {found.worth:.0f} draws)"
        lines.append((words, cells if trusted else ["not resolved"] * len(cells)))
    parts = ["# Headlines under other decisions", ""]
    parts += [
        "Made by `python results/pages.py`. Mean and SD in SD of the population, reference programme. "
        "Verdicts enter as probabilities in the sampler where it is installed, else by weighing draws; what "
        f"is worth fewer than {ENOUGH} independent draws makes no estimate.",
        "",
    ]
    for title, first in (("Backward less forward walking", 1), ("Backward walking", 0)):
        parts += [
            f"## {title}",
            "",
            *table(("decision", *CLAIMED), [[w, *c[first::2]] for w, c in lines]),
            "",
        ]
    return "\n".join(parts)
