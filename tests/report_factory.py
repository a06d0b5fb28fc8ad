"""Results of the real layout, made up: small, seeded, and with effects chosen by the test."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from retrowalk.words import FLAGGED_GRADES, QUANTILES, STATUSES

PROBABILITIES = list(QUANTILES)
GRADES = [str(grade) for grade in FLAGGED_GRADES]
STATUS = list(STATUSES)
SCENARIO = {
    "title": "Backward share in a six-week knee programme",
    "population": {"preset": "knee_oa", "size": 200},
    "arms": {
        "usual_care": {"phases": [{"weeks": 6, "sessions": [{"modality": "physiotherapy"}]}]},
        "walking": {"phases": [{"weeks": 6, "sessions": [{"modality": "walk"}]}, {"weeks": 4}]},
    },
}


def make_result(
    *,
    effects: dict[str, np.ndarray] | None = None,
    draws: int = 40,
    replicates: int = 1,
    arms: tuple[str, ...] = ("usual_care", "walking"),
    days: tuple[int, ...] = (0, 14, 42, 70),
    axes: dict[str, list] | None = None,
    grade: str = "add_on",
    beyond: str | None = None,
    status: str = "measured",
    better: str = "lower",
    people: int = 30,
    noise: float = 0.0,
    members_sd: float = 1.0,
    minimum: float | None = 1.0,
    outcome: str = "knee_pain",
    shared: bool = False,
    seed: int = 1,
) -> xr.Dataset:
    """`effects[arm]`: change at the last day, per (case, draw) or (draw,); zero where not given."""
    rng = np.random.default_rng(seed)
    cases = len(next(iter(axes.values()))) if axes else 1
    change = np.zeros((cases, draws, replicates, len(arms), len(days)))
    for a, arm in enumerate(arms):
        effect = np.broadcast_to((effects or {}).get(arm, 0.0), (cases, draws))
        ramp = np.array(days) / 42
        change[:, :, :, a, :] += effect[:, :, None, None] * np.minimum(ramp, 1.0)
    observed = change + rng.normal(0, noise, change.shape) * (np.array(days) > 0)
    sd = np.where(np.array(days) > 0, members_sd, 0.0) * np.ones_like(change)
    z = np.array([-1.645, -0.674, 0.0, 0.674, 1.645])
    quantile = change[..., None, :] + z[:, None] * sd[..., None, :]
    responders = np.stack([np.full_like(change, share) for share in (0.3, 0.4, 0.15)], axis=-2)
    front = ("case", "draw", "replicate", "arm")
    attrs = {
        "units": "1",
        "long_name": "knee pain",
        "instrument": "numeric rating scale 0-10",
        "better": better,
        "references": "somebody 2020",
    }
    if minimum is not None:
        attrs["minimal_important_change"] = minimum
    flags = {"flag_values": np.arange(len(GRADES), dtype="int8"), "flag_meanings": " ".join(GRADES)}
    status_flags = {"flag_values": np.arange(len(STATUS), dtype="int8"), "flag_meanings": " ".join(STATUS)}
    o = outcome
    ds = xr.Dataset(
        {
            o: ((*front, "statistic", "day"), np.stack([5.0 + change, sd + 1.5], axis=-2), attrs),
            f"{o}_quantile": ((*front, "quantile", "day"), 5.0 + quantile, attrs),
            f"{o}_change": ((*front, "statistic", "day"), np.stack([change, sd], axis=-2), attrs),
            f"{o}_change_quantile": ((*front, "quantile", "day"), quantile, attrs),
            f"{o}_observed_change": ((*front, "statistic", "day"), np.stack([observed, sd], axis=-2), attrs),
            f"{o}_responders": ((*front, "kind", "day"), responders, {"units": "1"}),
            f"{o}_grade": (
                ("case", "arm"),
                np.full((cases, len(arms)), GRADES.index(grade), dtype="int8"),
                flags,
            ),
            f"{o}_difference_grade": (
                ("case", "arm"),
                np.full((cases, len(arms)), GRADES.index(beyond or grade), dtype="int8"),
                flags,
            ),
            f"{o}_baseline_status": ((), np.int8(STATUS.index(status)), status_flags),
            "assessed": (
                ("case", "replicate", "arm", "day"),
                np.full((cases, replicates, len(arms), len(days)), people),
            ),
        },
        coords={
            "case": np.arange(cases),
            "draw": np.arange(draws),
            "replicate": np.arange(replicates),
            "arm": list(arms),
            "statistic": ["mean", "sd"],
            "quantile": PROBABILITIES,
            "kind": ["true", "observed", "false"],
            "day": ("day", np.array(days), {"units": "d"}),
            "week": ("day", np.array(days) / 7),
        },
        attrs={
            "title": SCENARIO["title"],
            "scenario": json.dumps(SCENARIO | {"people": "shared" if shared else "separate"}),
            "provenance": json.dumps({"digest": "0" * 64, "seed": 1}),
            "reference_arm": arms[0],
        },
    )
    for path, values in (axes or {}).items():
        name = path.rsplit(".", 1)[-1]
        ds = ds.assign_coords({name: ("case", values, {"long_name": path, "units": "1"})})
    if axes is None:
        return ds.isel(case=0, drop=True)
    return ds.map(
        lambda array: array.astype("float32") if array.dtype == "float64" else array, keep_attrs=True
    )


def grid(share: list[float], minutes: list[float]) -> dict[str, list]:
    """A full factorial of two axes of the walking arm."""
    pairs = [(s, m) for s in share for m in minutes]
    stem = "arms.walking.phases.0.sessions.0"
    return {
        f"{stem}.backward_share": [s for s, _ in pairs],
        f"{stem}.minutes": [m for _, m in pairs],
    }
