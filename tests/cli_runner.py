"""Run the installed `retrowalk` script as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("retrowalk")

SMALL = """\
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
"""
SWEPT = f"""{SMALL}sweep:
  arms.walking.phases.0.sessions.0.backward_share: [0, 0.5, 1]
  arms.walking.phases.0.sessions.0.minutes: [10, 20]
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


def retrowalk(*words: object, stdin: str | bytes = "", cwd: Path | None = None, **env: str) -> Outcome:
    given = stdin if isinstance(stdin, bytes) else stdin.encode()
    done = subprocess.run(
        [SCRIPT, *map(str, words)],
        input=given,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **env},
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
