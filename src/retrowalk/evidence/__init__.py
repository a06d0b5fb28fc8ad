"""Studies, their arms and their results as tidy tables, and how good the evidence for a cell is."""

from retrowalk.evidence.grades import grade, graded_rows
from retrowalk.evidence.library import Evidence, Table, load_evidence, read_evidence
from retrowalk.evidence.records import Arm, Effect, Excluded, Source
from retrowalk.evidence.studied import CENTRAL, Studied, longest_follow_up, studied

__all__ = [
    "CENTRAL",
    "Arm",
    "Effect",
    "Evidence",
    "Excluded",
    "Source",
    "Studied",
    "Table",
    "grade",
    "graded_rows",
    "load_evidence",
    "longest_follow_up",
    "read_evidence",
    "studied",
]
