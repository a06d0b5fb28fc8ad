"""The shipped scenarios, and small changes to a good one, for the tests of the scenario room."""

from pathlib import Path

import pytest

from retrowalk.errors import DocumentError
from retrowalk.scenario import parse_scenario

FOLDER = Path(__file__).parents[1] / "scenarios"
SHIPPED = sorted(FOLDER.glob("*.yaml"))

SMALL = """\
format: retrowalk-scenario/1
seed: 1
population: {preset: knee_oa, size: 100}
outcomes: [knee_pain, balance]
assess: {weeks: [0, 6]}
arms:
  usual:
    phases:
      - weeks: 6
        sessions:
          - {modality: physiotherapy, per_week: 3, minutes: 30}
  walking:
    phases:
      - weeks: 6
        sessions:
          - {modality: walk, per_week: 3, minutes: 20, speed: 0.8, backward_share: 0.5}
"""


def changed(old: str, new: str, text: str = SMALL) -> str:
    """A text with one part replaced, which must be there exactly once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def problems_of(text: str) -> list[str]:
    """The lines of a bad scenario's error."""
    with pytest.raises(DocumentError) as caught:
        parse_scenario(text, "s.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    return lines
