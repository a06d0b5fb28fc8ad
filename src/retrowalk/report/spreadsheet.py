"""Rows as a CSV file that a spreadsheet opens as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

#: Signs with which a cell of text would become a formula in a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as CSV that a spreadsheet opens as it is.

    Numbers keep six figures; text that would start a formula gets an apostrophe in front. Text beyond ASCII
    gets a byte order mark, without which spreadsheets guess another encoding than UTF-8.
    """
    stream = io.StringIO(newline="")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    text = stream.getvalue()
    return text if text.isascii() else "\ufeff" + text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
