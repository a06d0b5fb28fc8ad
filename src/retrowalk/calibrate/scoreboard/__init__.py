"""Published results against predictions, in and out of the fit, beside simple rivals."""

from retrowalk.calibrate.scoreboard.board import Board, Scored, package_board, user_board
from retrowalk.calibrate.scoreboard.reasons import Reasons, reasons
from retrowalk.calibrate.scoreboard.rivals import NAMES
from retrowalk.calibrate.scoreboard.studies import read_studies
from retrowalk.calibrate.scoreboard.targets import Target, targets
from retrowalk.calibrate.scoreboard.text import as_json, as_markdown, as_text

__all__ = [
    "NAMES",
    "Board",
    "Reasons",
    "Scored",
    "Target",
    "as_json",
    "as_markdown",
    "as_text",
    "package_board",
    "read_studies",
    "reasons",
    "targets",
    "user_board",
]
