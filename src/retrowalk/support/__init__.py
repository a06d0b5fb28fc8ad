"""How far published studies support a scenario: what it prescribes, where that lies beyond them, in words."""

from retrowalk.support.beyond import FLAGS, Finding, beyond, central_ages, findings, user_supplied
from retrowalk.support.phrases import (
    ASPECTS,
    CaseSample,
    brief_sentences,
    sample_cases,
    sentences,
)

__all__ = [
    "ASPECTS",
    "FLAGS",
    "CaseSample",
    "Finding",
    "beyond",
    "brief_sentences",
    "central_ages",
    "findings",
    "sample_cases",
    "sentences",
    "user_supplied",
]
