"""What a result says about where it comes from: enough to make it again."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import Any

from retrowalk import __version__
from retrowalk.parameters import posterior_digest
from retrowalk.scenario import Scenario
from retrowalk.words import CAUTION

#: Raised whenever the same scenario and parameters would give other numbers or other variables.
RESULTS_VERSION = "3"

_LIBRARIES = ("numpy", "numba", "scipy", "xarray", "zarr")


def digests(scenario: Scenario) -> dict[str, str]:
    """Named digests: results belong together only where all of them agree."""
    return {
        "scenario": scenario.digest(),
        "seed": str(scenario.seed),
        "version of results": RESULTS_VERSION,
        "parameters": posterior_digest(scenario.parameters),
    }


def attributes(scenario: Scenario) -> dict[str, Any]:
    """Global attributes of a dataset; structured ones are JSON text."""
    baseline = {name: own.model_dump(mode="json") for name, own in scenario.population.baseline.items()}
    provenance = {
        "digest": scenario.digest(),
        "seed": scenario.seed,
        "results_version": RESULTS_VERSION,
        "parameters": {"source": scenario.parameters, "digest": posterior_digest(scenario.parameters)},
        "user_supplied": {
            "gains": [own.model_dump(mode="json") for own in scenario.gains],
            "baseline": baseline,
        },
        "versions": {
            "retrowalk": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
    }
    return {
        "Conventions": "CF-1.12",
        "title": scenario.title,
        "source": f"retrowalk {__version__}",
        "scenario": scenario.canonical_json(),
        "provenance": json.dumps(provenance, sort_keys=True),
        "reference_arm": scenario.reference or "",
        "comment": CAUTION,
    }
