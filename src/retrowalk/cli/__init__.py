"""The command line. Each verb imports what it needs inside its body, so that help costs nothing."""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    args : sequence of str, optional
        What stands after ``retrowalk``; by default ``sys.argv[1:]``.

    Returns
    -------
    int
        0 done, 1 the run failed, 2 bad input, 130 interrupted.
    """
    from retrowalk.cli.app import guarded

    return guarded(args)
