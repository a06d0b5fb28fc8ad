"""Read a CSV table into frozen rows; every fault is reported with file, row and column."""

from __future__ import annotations

import csv
import difflib
import io
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from retrowalk.errors import DocumentError, Problem

#: Tables larger than this are refused unread: 16 MiB is a hundred times the package's own largest.
MAX_BYTES = 16 * 2**20


class Row(BaseModel):
    """Base of all table rows: frozen, and a column that the table does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


RowT = TypeVar("RowT", bound=Row)


def read_table(path: Path, row_type: type[RowT]) -> tuple[RowT, ...]:
    """Read a UTF-8 CSV file with a header line into rows of `row_type`.

    Empty cells are left out, so that a column's default (usually None) applies.

    Raises
    ------
    DocumentError
        With one problem per faulty cell: file, line, column name and sentence.
    """
    rows, problems = [], []
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for cells in reader:
            filled = {key: value.strip() for key, value in cells.items() if key and value and value.strip()}
            if None in cells:
                problems.append(
                    Problem("this row has more cells than the header", str(path), reader.line_num)
                )
            try:
                rows.append(row_type.model_validate(filled))
            except ValidationError as error:
                problems.extend(_problems(error, row_type, path, reader.line_num))
    except csv.Error as error:
        problems.append(Problem(f"this is not a well-formed CSV row ({error})", str(path), reader.line_num))
    if problems:
        raise DocumentError(problems)
    return tuple(rows)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DocumentError([Problem(f"the table is larger than {MAX_BYTES >> 20} MiB", str(path))])
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            [Problem(f"the table is not UTF-8 text (byte {error.start})", str(path))]
        ) from None
    except OSError as error:
        raise DocumentError([Problem(f"cannot be read: {error.strerror}", str(path))]) from None


def _problems(error: ValidationError, row_type: type[Row], path: Path, line: int) -> list[Problem]:
    found = []
    for detail in error.errors(include_input=False, include_url=False, include_context=False):
        column = ".".join(map(str, detail["loc"]))
        message = detail["msg"].replace("Input should", "the value should", 1)
        if detail["type"] == "extra_forbidden":
            near = difflib.get_close_matches(column, row_type.model_fields, n=1, cutoff=0.75)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(row_type.model_fields)}"
            message = f"there is no column {column!r}; {hint}"
        found.append(Problem(message, str(path), line, path=f"column {column}"))
    return found
