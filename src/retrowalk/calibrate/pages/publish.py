"""Where calibrated draws go, and the two files themselves."""

from __future__ import annotations

from pathlib import Path

from retrowalk.calibrate.pages.parameters_page import TITLE, report_text
from retrowalk.calibrate.run import Calibration, holds_draws, write
from retrowalk.errors import InputError, RunError

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


def check_target(folder: Path, report: Path | None = None, *, overwrite: bool = False) -> None:
    """Refuse what could not be written before any work is done.

    Raises
    ------
    InputError
        If `folder` is no folder, or a file to be written is something else and `overwrite` is not set.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: make it first, or name another one")
    other = [path for name in NAMES.values() if (path := folder / name).exists() and not holds_draws(path)]
    if other and not overwrite:
        raise InputError(f"{other[0]} holds something else: name another place, or allow --overwrite")
    if report is not None:
        check_page(report, TITLE, overwrite=overwrite)


def check_page(path: Path, title: str, *, overwrite: bool = False) -> None:
    """Refuse to write a page where its folder is missing or another file stands.

    Raises
    ------
    InputError
        If the folder is missing, or `path` is a file that does not begin with `title` and `overwrite` is not
        set.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first, or name another place for the page")
    if path.exists() and not overwrite and not _begins_with(path, title):
        raise InputError(f"{path} holds something else: name another place, or allow --overwrite")


def save(calibration: Calibration, folder: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write posterior and prior into an existing folder; returns their paths.

    Raises
    ------
    InputError
        As `check_target`.
    RunError
        If the file system refuses.
    """
    check_target(folder, overwrite=overwrite)
    paths = tuple(folder / name for name in NAMES.values())
    for kind, path in zip(NAMES, paths, strict=True):
        write(getattr(calibration, kind), path)
    return paths


def save_report(calibration: Calibration, path: Path) -> None:
    """Write the report on a calibration as Markdown; raises RunError if the file system refuses."""
    save_page(report_text(calibration), path)


def save_page(text: str, path: Path) -> None:
    """Write a page; raises RunError if the file system refuses."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error


def _begins_with(path: Path, title: str) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip() == title
    except OSError:
        return False
