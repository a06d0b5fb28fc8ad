"""Small sweeps for the tests of running them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

SWEPT = """\
format: retrowalk-scenario/1
title: A small question
seed: 7
population: {preset: knee_oa, size: 40}
outcomes: [knee_pain, walking_speed]
assess: {weeks: [0, 6, 10]}
draws: 6
arms:
  usual_care: {phases: [{weeks: 6, sessions: [{modality: physiotherapy, per_week: 3, minutes: 30}]}]}
  walking:
    phases:
      - weeks: 6
        sessions:
          - {modality: walk, backward_share: 0.5, per_week: 3, minutes: 10, speed: 0.8}
sweep:
  arms.walking.phases.0.sessions.0.backward_share: {from: 0, to: 1, steps: 11}
  arms.walking.phases.0.sessions.0.minutes: [10, 20, 30, 40]
"""


def data_of(store: Path) -> dict[str, str]:
    """SHA-256 by name of all that readers of the results see: not the records, which name the store."""
    return {
        str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(store.rglob("*"))
        if file.is_file() and "_retrowalk" not in file.parts
    }


def swept(steps: int = 11, size: int = 40, draws: int = 6) -> str:
    """The same sweep with four times as many cases as steps, and of other size."""
    return (
        SWEPT.replace("steps: 11", f"steps: {steps}")
        .replace("size: 40", f"size: {size}")
        .replace("draws: 6", f"draws: {draws}")
    )


#: Tens of blocks that take a good part of a second each.
SLOW = swept(size=20_000, draws=60)


def opens_plainly(path: Path) -> bool:
    """Whether xarray opens the store without knowing retrowalk."""
    import xarray as xr

    try:
        xr.open_zarr(path, consolidated=False, chunks=None).close()
    except (OSError, ValueError):
        return False
    return True


def remove(path: Path) -> None:
    """Remove a store."""
    shutil.rmtree(path)


#: Many small cases: ten times STEPS.
WIDE = (
    swept(size=20, draws=4)
    .replace("steps: 11", "steps: STEPS")
    .replace("[10, 20, 30, 40]", "{from: 5, to: 50, steps: 10}")
    .replace("[knee_pain, walking_speed]", "[knee_pain]")
)
