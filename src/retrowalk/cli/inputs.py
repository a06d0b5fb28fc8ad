"""Where a scenario comes from: a file, standard input, or a result that carries one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrowalk.scenario import Scenario

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_scenario(file: str, *, settings: Sequence[str] = (), axes: Sequence[str] = ()) -> Scenario:
    """Read the scenario in `file`, with settings and axes from the command line put into it."""
    from retrowalk.scenario import load_scenario

    if not is_result(file):
        return load_scenario(file, set_values=settings, axes=axes)
    from retrowalk.scenario.document import Document
    from retrowalk.scenario.loading import scenario_from_document

    return scenario_from_document(Document(_recorded(file), file), set_values=settings, axes=axes)


def is_result(file: str) -> bool:
    """Whether a path is a result (a store or a netCDF file) rather than a scenario file."""
    path = Path(file)
    if file == "-" or "\0" in file:
        return False
    if file.startswith(("s3://", "gs://")):
        return True
    if path.is_dir():
        return (path / "_retrowalk").is_dir() or (path / "zarr.json").is_file()
    if not path.is_file():
        return False
    with path.open("rb") as start:
        return start.read(len(_HDF5)) == _HDF5


def _recorded(file: str) -> object:
    import json

    from retrowalk.engine.store import open_results
    from retrowalk.errors import InputError

    with open_results(file) as result:
        text = str(result.attrs.get("scenario", ""))
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"{file}: this result does not carry its scenario") from None


#: What two results must agree in to hold the same numbers.
_SAME = ("digest", "results_version", "path", "parameters")


def holds_same(path: Path, scenario: Scenario) -> bool:
    """Whether the result at `path` is what running `scenario` gives."""
    import json

    from retrowalk.engine.provenance import attributes
    from retrowalk.engine.store import open_results
    from retrowalk.errors import InputError

    try:
        with open_results(path) as result:
            found = json.loads(result.attrs["provenance"])
    except (InputError, LookupError, TypeError, ValueError):
        return False
    wanted = json.loads(attributes(scenario)["provenance"])
    return isinstance(found, dict) and all(found.get(name) == wanted[name] for name in _SAME)


#: Endings of files that a netCDF file must not pass itself off as.
_OTHER_FORMATS = frozenset({".zarr", ".csv", ".tsv", ".xlsx", ".json", ".txt", ".yaml", ".yml"})


def check_netcdf_name(output: Path) -> None:
    """Refuse a name that promises another format than netCDF.

    Raises
    ------
    InputError
        With a name that fits, and how to get a table for a spreadsheet.
    """
    from retrowalk.errors import InputError

    ending = output.suffix.lower()
    if ending not in _OTHER_FORMATS:
        return
    named = output.with_suffix(".nc").name
    table = f"; for a spreadsheet: `retrowalk summary {named} --csv > {output.stem}.csv`"
    wanted = table if ending in (".csv", ".tsv", ".xlsx") else ""
    raise InputError(f"{output}: what is written is one netCDF file; name it {named}{wanted}")
