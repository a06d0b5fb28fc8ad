"""Where calibrated draws go, and the two files themselves."""

from __future__ import annotations

from pathlib import Path

from retrowalk.calibrate.run import Calibration
from retrowalk.calibrate.store import write
from retrowalk.errors import InputError

#: Files of a calibration, by the name of its dataset.
NAMES = {"posterior": "posterior.nc", "prior": "prior.nc"}


def default_folder() -> Path:
    """The package's own folder of parameters, in a source checkout.

    Raises
    ------
    InputError
        If the package is installed elsewhere: its files are not to be rewritten in place.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parents[1] / "pyproject.toml").is_file():
        raise InputError(
            "this is an installed retrowalk, whose own parameters stay as they came: "
            "name a folder for new ones with -o DIR"
        )
    return package / "parameters"


def save(calibration: Calibration, folder: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write posterior and prior into an existing folder; returns their paths.

    Raises
    ------
    InputError
        If `folder` is none, or a file there is something else and `overwrite` is not set.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: make it first, or name another one")
    paths = tuple(folder / name for name in NAMES.values())
    for kind, path in zip(NAMES, paths, strict=True):
        write(getattr(calibration, kind), path, overwrite=overwrite)
    return paths
