"""How long the cases of a store took, kept beside the results."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from retrowalk.engine.store.place import Place

#: A record longer than this is not one of ours.
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Speed:
    """Cases computed so far and the wall time they took, over all sessions of a sweep."""

    cases: int = 0
    seconds: float = 0.0

    @classmethod
    def read(cls, path: Place) -> Speed:
        """Read the record; one that is missing or not ours counts as empty."""
        try:
            found = json.loads(path.read_bytes()) if path.stat().st_size <= _MOST else None
        except (OSError, ValueError, RecursionError):
            return cls()
        match found:
            case {"cases": int(cases), "seconds": int(seconds) | float(seconds)}:
                whole = 0 <= cases < 2**63 and math.isfinite(seconds) and seconds >= 0
                return cls(cases, float(seconds)) if whole else cls()
            case _:
                return cls()

    def with_more(self, cases: int, seconds: float) -> Speed:
        """Add a session."""
        return Speed(self.cases + cases, self.seconds + seconds)

    def text(self) -> bytes:
        """The record as it is kept."""
        return json.dumps({"cases": self.cases, "seconds": round(self.seconds, 3)}).encode() + b"\n"

    @property
    def seconds_per_case(self) -> float | None:
        """Wall time per case; None before the first one."""
        return self.seconds / self.cases if self.cases else None
