"""What the verb sweep does: its plan in words, the run with signals and progress, how to go on."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from retrowalk.cli.words import emit

if TYPE_CHECKING:
    from retrowalk.engine.sweeps.plan import Plan
    from retrowalk.scenario import Scenario


def show_plan(scenario: Scenario, output: str | None, *, threads: int | None, workers: int | None) -> None:
    """Print what the sweep would take.

    Raises
    ------
    InputError
        When it does not fit this machine; the plan is printed all the same.
    """
    from retrowalk.engine.runs import plan_sweep
    from retrowalk.engine.sweeps.plan import refuse

    found = plan_sweep(scenario, store=output, threads=threads, workers=workers)
    emit(plan_words(scenario, found))
    refuse(found, scenario)


def plan_words(scenario: Scenario, found: Plan) -> str:
    """Several lines for ``sweep --dry-run``."""
    from retrowalk.cli.progress import duration
    from retrowalk.engine.sweeps.machine import readable
    from retrowalk.scenario import axis_labels

    crew = f"{found.workers} workers" if found.workers else f"{found.threads} threads"
    lines = [
        f"{found.cases} cases x {found.arms} arms x {found.members} members x {found.draws} draws x "
        f"{found.replicates} replicates",
        *(f"  {label.path}: {label.long_name}" for label in axis_labels(scenario)),
        f"outcomes: {', '.join(scenario.outcomes)}",
        f"results: {readable(found.numbers)} before compression, about {readable(found.disk)} on disk in "
        f"{found.files} files{_free(found.free_disk)}",
        f"memory: about {readable(found.memory)} at most{_free(found.free_memory)}",
        f"blocks: {found.blocks} of {found.block} cases, the unit of writing and resuming",
    ]
    if found.seconds is not None and found.seconds_per_case is not None:
        lines.append(
            f"time: about {duration(found.seconds)} with {crew} ({found.seconds_per_case:.2g} s per case), "
            "from a few small cases just timed"
        )
    return "\n".join(lines)


def _free(amount: int | None) -> str:
    from retrowalk.engine.sweeps.machine import readable

    return "" if amount is None else f" ({readable(amount)} free)"


def run_sweep(
    scenario: Scenario,
    output: str,
    *,
    source: str,
    json_progress: bool,
    **options: Any,  # noqa: ANN401  arguments of `retrowalk.sweep`
) -> None:
    """Run the sweep with progress; a first signal ends it after the cases in hand, a second at once.

    Raises
    ------
    InterruptedRunError
        When a signal ended it, with the command that continues it.
    RunError
        When it failed, with that command too.
    """
    from retrowalk.cli.guard import InterruptedRunError
    from retrowalk.cli.progress import SweepProgress, form
    from retrowalk.cli.signals import two_steps
    from retrowalk.engine.runs import StoppedError, fill_store
    from retrowalk.errors import RunError

    again = "the same command with the same input" if source == "-" else _same_command()
    kept = f"retrowalk: interrupted; finished cases are kept. Go on with: {again}"
    try:
        with SweepProgress(form(as_json=json_progress)) as progress, two_steps(kept, progress.tidy) as stop:
            fill_store(scenario, store=output, progress=progress, stop=stop, **options)
    except (StoppedError, KeyboardInterrupt):
        raise InterruptedRunError(kept) from None
    except RunError as error:
        raise RunError(f"{error}. Go on with: {again}") from error


def _same_command() -> str:
    words = [word for word in sys.argv[1:] if word != "--overwrite"]
    return shlex.join(["retrowalk", *words])


def finished(output: str) -> bool:
    """Whether a finished sweep lies there."""
    from retrowalk.engine.store import status
    from retrowalk.errors import InputError

    try:
        return status(output).state == "finished"
    except InputError:
        return False
