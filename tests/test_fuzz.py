"""Input from strangers, in bulk; see `fuzz.py`, which each test runs in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="needs resource limits")
needs_atheris = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")


def fuzz(what: str, amount: int) -> str:
    script = Path(__file__).with_name("fuzz.py")
    # Started by a small process: libFuzzer takes the peak of the one that starts it for its own.
    small = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", small, sys.executable, script, what, str(amount)],
        capture_output=True, text=True, check=False, cwd=script.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert " tried, " in done.stdout
    sys.stdout.write(done.stdout)
    return done.stdout


@pytest.mark.parametrize(
    "count", [500, pytest.param(50_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_generated_documents_are_read_or_refused_with_a_sentence(count):
    assert f"documents: {count} tried" in fuzz("documents", count)


@needs_atheris
@pytest.mark.parametrize(
    "seconds", [4, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_no_input_that_a_fuzzer_finds_gives_a_traceback(seconds):
    assert "atheris: " in fuzz("atheris", seconds)
