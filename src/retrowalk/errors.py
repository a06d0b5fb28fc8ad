"""Every error and warning retrowalk raises on purpose. Messages are one sentence with a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retrowalk.words import printable


class RetrowalkError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line exits with."""

    exit_code = 1


class InputError(RetrowalkError, ValueError):
    """The input is wrong, and that could be known before the run."""

    exit_code = 2


class RunError(RetrowalkError, RuntimeError):
    """The run itself failed: a full disk, a lost worker, a damaged store."""


class MissingExtraError(RetrowalkError, ImportError):
    """An optional library is not installed; the message holds the command that installs it."""

    exit_code = 2


class RetrowalkWarning(UserWarning):
    """Base of retrowalk's own warnings."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document.

    Parameters
    ----------
    message : str
        What is wrong and, where one exists, the suggestion: ``must be <= 1``.
    source : str
        File name as the user typed it, or ``-`` for standard input.
    line, column : int or None
        Place in the file, counted from 1.
    path : str
        Dotted path inside the document, such as ``arms.walking.phases.0.weeks``.
    """

    message: str
    source: str = ""
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        """One line, with escapes in place of characters that a terminal would obey."""
        place = ":".join(
            str(part) for part in (self.source, self.line, self.column) if part not in ("", None)
        )
        return printable(": ".join(part for part in (place, self.path, self.message) if part))


class DocumentError(InputError):
    """All problems of one document (a scenario, a table), reported together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
