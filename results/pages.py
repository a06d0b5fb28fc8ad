"""Write evidence.md, sensitivity.md and sbc.md (or those named) beside this file."""

import sys
from pathlib import Path

from retrowalk.calibrate.evaluation.claims import evidence_page
from retrowalk.calibrate.evaluation.sbc import sbc_page
from retrowalk.calibrate.evaluation.sensitivity import sensitivity_page

HERE = Path(__file__).parent
PAGES = {
    "evidence": evidence_page,
    "sensitivity": sensitivity_page,
    "sbc": sbc_page,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        (HERE / f"{name}.md").write_text(PAGES[name](), encoding="utf-8")
