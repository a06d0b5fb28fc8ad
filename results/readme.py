"""Put the real output of the README's first command into the README, and draw its picture anew.

python results/readme.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MARKER = "<!-- output -->\n```text\n"


def main() -> None:
    """Run the main job and write what it prints between the markers."""
    readme = ROOT / "README.md"
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "knee_walk_mix.zarr"
        command = [sys.executable, "-m", "retrowalk"]
        scenario = ROOT / "scenarios" / "knee_walk_mix.yaml"
        subprocess.run([*command, "sweep", str(scenario), "-o", str(store)], check=True)
        shown = subprocess.run([*command, "summary", str(store)], check=True, capture_output=True, text=True)
        subprocess.run([sys.executable, str(ROOT / "results" / "knee_walk_mix.py"), str(store)], check=True)
    before, rest = readme.read_text(encoding="utf-8").split(MARKER, 1)
    after = rest.split("```", 1)[1]
    readme.write_text(f"{before}{MARKER}{shown.stdout.rstrip()}\n```{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
