"""Summaries of results and the tables people read."""

from retrowalk.report.rows import arm_rows, level_rows
from retrowalk.report.spreadsheet import to_csv
from retrowalk.report.summary import summarize
from retrowalk.report.table import text_summary
from retrowalk.report.words import SAFETY_NOTE

__all__ = ["SAFETY_NOTE", "arm_rows", "level_rows", "summarize", "text_summary", "to_csv"]
