"""A small sweep for the tests of the store: results of any case follow from its number."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

from retrowalk import store

CASES, BLOCK, BLOCKS = 22, 4, 6
#: Blocks per file.
GROUP = 2
DIGESTS = {"scenario": "1f", "seed": "7", "results": "1", "posterior": "ab"}


def results(cases: np.ndarray | range) -> xr.Dataset:
    """What a sweep would compute for these cases."""
    case = np.asarray(cases)
    rng = [np.random.default_rng(int(number)).normal(size=(3, 2, 2, 4)) for number in case]
    pain = np.array(rng, dtype=np.float32).reshape(case.size, 3, 2, 2, 4)
    pain[case % 5 == 3] = np.nan
    return xr.Dataset(
        {
            "knee_pain": (
                ("case", "draw", "arm", "statistic", "day"),
                pain,
                {"units": "1", "long_name": "pain"},
            ),
            "knee_pain_grade": (
                ("case", "arm"),
                np.zeros((case.size, 2), np.int8),
                {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "none acute_only"},
            ),
            "assessed": (("case", "arm", "day"), np.full((case.size, 2, 4), 2, np.int32), {"units": "1"}),
            "weight": (("arm",), np.array([0.5, 1.5]), {"units": "kg"}),
        },
        coords={
            "case": ("case", case, {"long_name": "number of the case"}),
            "minutes": ("case", case * 2.5, {"units": "min"}),
            "label": ("case", np.array([f"fall {number} ü" for number in case], dtype="<U12")),
            "arm": ["usual_care", "wälking"],
            "statistic": ["mean", "sd"],
            "day": ("day", [0, 14, 28, 42], {"units": "d"}),
        },
        attrs={"scenario": '{"title": "knee"}', "seed": 7, "Conventions": "CF-1.11"},
    )


def template(cases: int = CASES) -> xr.Dataset:
    return store.widen(results(range(1)), results(range(cases)).coords.to_dataset())


def create(path: Path, **options) -> store.Writer:
    return store.create(path, template(), **{"digests": DIGESTS, "block": BLOCK, "group": GROUP, **options})


def write_blocks(writer: store.Writer, blocks) -> None:
    for block in blocks:
        cases = writer.layout.cases_of(block)
        writer.write(block, results(range(cases.start, cases.stop)))


def finish(path: Path, **options) -> None:
    with create(path, **options) as writer:
        write_blocks(writer, writer.missing())
        writer.complete()


def tree(path: Path) -> dict[str, str]:
    """SHA-256 by name of everything that readers of the results see (not records, which name the store)."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and "_retrowalk" not in file.parts
    }


def block_files(path: Path) -> list[Path]:
    """Files of blocks that wait for the others of their group."""
    return sorted((path / "_retrowalk" / "blocks").iterdir())


if __name__ == "__main__":
    # A writer to be killed: says when it starts and dawdles between blocks.
    with create(Path(sys.argv[1]), group=int(sys.argv[3])) as slow:
        print("ready", flush=True)  # noqa: T201 - the test waits for this line
        for number in slow.missing():
            write_blocks(slow, [number])
            time.sleep(float(sys.argv[2]))
        slow.complete()
        print("done", flush=True)  # noqa: T201 - and for this one
        time.sleep(float(sys.argv[2]) * 10)
