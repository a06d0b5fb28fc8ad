"""`check` on the worst files of 128 KiB: in a child process of little memory, with an answer in the end."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="needs resource limits")

#: Address space of the child [bytes]; what is mapped for libraries counts, too.
MEMORY = 1 << 30
CHILD = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
from retrowalk.cli import main
sys.argv = ["retrowalk", "check", sys.argv[1]]
sys.exit(main())
"""
HEAD = """\
format: retrowalk-scenario/1
population: {preset: knee_oa, size: 100}
outcomes: [knee_pain, balance, disability, quadriceps_strength]
assess: {weeks: [0, 6, 522]}
"""
ENDS = {"minutes": (5, 30), "speed": (0.5, 1.0), "backward_share": (0, 1), "grade": (0, 0.1)}


def arms(count: int, sessions: int, *, weeks: int = 6, more: str = "") -> str:
    text = "arms:\n"
    for arm in range(count):
        text += f" a{arm}:\n  phases:\n  - weeks: {weeks}\n    sessions:\n"
        for number in range(sessions):
            speed = 0.6 + (arm * sessions + number) % 500 / 1000
            text += f"    - {{modality: walk, per_week: 1, minutes: {10 + number}, speed: {speed}{more}}}\n"
    return text


def hypercube(points: int, paths: int, of: str = arms(30, 8)) -> str:
    sessions = [f"arms.a{arm}.phases.0.sessions.{number}" for arm in range(30) for number in range(8)]
    over = [f"  {session}.{name}: {list(ends)}\n" for session in sessions for name, ends in ENDS.items()]
    return HEAD + of + f"sweep:\n latin_hypercube: {points}\n over:\n" + "".join(over[:paths])


PROGRESS = ", match: intensity, progression: {minutes: '+0.1 per week', speed: '+0.0001 per week'}"
FILES = {
    "a million points over 900 paths": (hypercube(1_000_000, 900), "values; at most"),
    "as many points over 500 paths as are drawn": (hypercube(4_000, 500), ": fine: "),
    "900 paths": (hypercube(10, 900), "900 paths are swept; at most 500 can be"),
    "as many points over 5 paths as are drawn": (hypercube(400_000, 5), ": fine: "),
    "500 paths in a thousand sessions": (
        hypercube(4_000, 500, of=arms(60, 20)), ": fine: ",
    ),
    "an axis of 15 000 values": (
        HEAD + arms(1, 1) + "sweep:\n arms.a0.phases.0.sessions.0.minutes: "
        + str([5 + number / 100 for number in range(15_000)]) + "\n",
        ": fine: ",
    ),
    "10^9000 cases": (
        HEAD + arms(60, 8) + "sweep:\n" + "".join(
            f" arms.a{i % 60}.phases.0.sessions.{i // 60}.{name}: {{from: 0, to: 1, steps: {10**18}}}\n"
            for i in range(125) for name in ENDS
        ),
        "cases; at most 1,000,000 are run",
    ),
    "500 paths that lead nowhere": (
        HEAD + arms(60, 8) + "sweep:\n"
        + "".join(f" arms.a{i % 60}.phases.0.sessions.{i % 8}.minute{i}: [1, 2]\n" for i in range(500)),
        "and 451 more problems",
    ),
    "9 000 unknown keys": (
        HEAD + arms(1, 1) + "".join(f"key{i}: 1\n" for i in range(9000)), "and 8950 more problems",
    ),
    "9 000 unknown names": (
        HEAD.replace("[knee_pain,", "[" + "knee_pein, " * 9000) + arms(1, 1), "and 8950 more problems",
    ),
    "ten years of weekly changes": (HEAD + arms(10, 20, weeks=520, more=PROGRESS), ": fine: "),
    "ten years of too many changes": (
        HEAD + arms(30, 20, weeks=520, more=PROGRESS), "sessions together; at most",
    ),
    "a hypercube over the length of ten years": (
        HEAD + arms(10, 20, weeks=2, more=PROGRESS) + "sweep:\n latin_hypercube: 1000\n over:\n"
        + "".join(f"  arms.a{number}.phases.0.weeks: [400, 522]\n" for number in range(10)),
        ": fine: ",
    ),
}  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FILES)
def test_check_needs_little_memory_for_any_file(name, tmp_path):
    text, words = FILES[name]
    path = tmp_path / "s.yaml"
    path.write_text(text)
    assert path.stat().st_size <= 128 * 1024
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False, timeout=100,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert done.returncode == (0 if "fine" in words else 2)
    assert words in done.stdout + done.stderr
