"""How hard hypothesis tries.

The profile `ci` is the default: the same modest number of cases every time. `HYPOTHESIS_PROFILE=long`, or a
run of the long tests (`pytest -m long`), tries many random ones and remembers failures.
"""

import os
import subprocess
import sys

from hypothesis import HealthCheck, settings

# Compiling a kernel and a busy machine make single cases slow without anything being wrong.
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("ci", max_examples=50, derandomize=True, database=None, **COMMON)
settings.register_profile("long", max_examples=1000, **COMMON)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        # Compile the kernels once, before many processes would each do it for themselves.
        subprocess.run(
            [sys.executable, "-m", "retrowalk", "-q", "warmup"], check=True, stdout=subprocess.DEVNULL
        )
    if config.getoption("--hypothesis-profile", default=None):
        return
    default = "long" if config.getoption("-m", default="") == "long" else "ci"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", default))
