"""What this machine offers, as far as it says."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

#: Bytes that Python, NumPy, numba, xarray and the compiled kernels take before any data (measured).
PROGRAM = 420 * 10**6

#: Writing, flushing and renaming one small file on a usual disk.
SECONDS_PER_FILE = 0.003


def free_memory() -> int | None:
    """Bytes that can be had without swapping: of the machine, or of the container if that is less."""
    found = [amount for amount in (_of_machine(), _of_container()) if amount is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container() -> int | None:
    """Room below the limit of the control group (version 2, else 1) that this process runs in."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            root = Path("/sys/fs/cgroup")
            return max(0, int((root / limit).read_text()) - int((root / used).read_text()))
    return None


def free_disk(store: Path | None) -> int | None:
    """Bytes free where the store will lie; None where that cannot be told."""
    if store is None:
        return None
    with suppress(OSError):
        return shutil.disk_usage(store.absolute().parent).free
    return None


def readable(size: float) -> str:
    """Bytes as people write them: 3.2 MB."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
