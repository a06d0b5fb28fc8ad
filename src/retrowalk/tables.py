"""CSV tables read into frozen rows, faults with file, row and column; and tables written as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from retrowalk.errors import DocumentError, Problem
from retrowalk.words import suggestion

#: Tables larger than this are refused unread: 16 MiB is a hundred times the package's own largest.
MAX_BYTES = 16 * 2**20

#: Reading stops after this many problems; the lines behind them are counted, not checked.
MAX_PROBLEMS = 50


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
        With one problem per faulty cell (file, line, column name and sentence), at most `MAX_PROBLEMS` and
        then one that says how many lines were not checked.
    """
    text = _text(path)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[RowT] = []
    problems: list[Problem] = []
    try:
        problems += _header_problems(reader, row_type, path)
        for cells in () if problems else reader:
            found, row = _read_row(cells, row_type, path, reader.line_num)
            problems += found
            rows += [row] if row is not None else []
            if len(problems) >= MAX_PROBLEMS:
                left = text.count("\n") + (not text.endswith("\n")) - reader.line_num
                more = f"too many problems; {left} further lines were not checked"
                problems[MAX_PROBLEMS:] = [Problem(more, str(path))]
                break
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
        problem = Problem(f"the table is not UTF-8 text (byte {error.start})", str(path))
        raise DocumentError([problem]) from None
    except OSError as error:
        raise DocumentError([Problem(f"cannot be read: {error.strerror}", str(path))]) from None


def _header_problems(reader: csv.DictReader[str], row_type: type[Row], path: Path) -> Iterator[Problem]:
    known = row_type.model_fields
    unknown = [column for column in reader.fieldnames or () if column not in known]
    for column in unknown[:MAX_PROBLEMS]:
        # whoever writes a table needs all its columns, however many
        hint = suggestion(column, known) or f"; known are {', '.join(known)}"
        message = f"there is no column {column[:80]!r}{hint}"
        yield Problem(message, str(path), reader.line_num, path=f"column {column[:80]}")


def _read_row(
    cells: dict[str, str], row_type: type[RowT], path: Path, line: int
) -> tuple[list[Problem], RowT | None]:
    if None in cells:
        return [Problem("this row has more cells than the header", str(path), line)], None
    filled = {key: value.strip() for key, value in cells.items() if value and value.strip()}
    try:
        return [], row_type.model_validate(filled)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        return [
            Problem(
                detail["msg"].replace("Input should", "the value should", 1),
                str(path),
                line,
                path=f"column {'.'.join(map(str, detail['loc']))}",
            )
            for detail in details
        ], None


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table.

    Examples
    --------
    >>> list(markdown_table(["a", "b"], [["1", "2"]]))
    ['| a | b |', '|---|---|', '| 1 | 2 |']
    """
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
