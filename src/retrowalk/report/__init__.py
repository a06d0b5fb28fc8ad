"""Summaries of results and the tables people read."""

from retrowalk.report.printed_tables import text_summary
from retrowalk.report.spreadsheet import arm_rows, level_rows, to_csv
from retrowalk.report.summary import summarize

__all__ = ["arm_rows", "level_rows", "summarize", "text_summary", "to_csv"]
