"""The blocks of one sweep that are still to be computed, and computing them in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from retrowalk.scenario import Scenario, cases
from retrowalk.simulation.compute import Progress, compute
from retrowalk.store import BlockRecord, Writer


def never() -> bool:
    """For sweeps that nobody asks to stop."""
    return False


@dataclass
class Job:
    """One sweep on its way into a store.

    Attributes
    ----------
    writer : Writer
        Of the store, held by this process alone.
    scenario : Scenario
        With its sweep.
    stop : callable
        Called between blocks; once it returns True no further block is begun.
    progress : callable, optional
        Called with (cases in the store, cases in all).
    """

    writer: Writer
    scenario: Scenario
    stop: Callable[[], bool] = never
    progress: Progress | None = None
    done: int = field(init=False)
    computed: int = field(init=False, default=0)
    started: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        layout = self.writer.layout
        self.done = sum(layout.size_of(number) for number in self.writer.finished())
        self.report()

    def report(self) -> None:
        """Report the cases that are in the store: what is computed and not recorded would be lost."""
        if self.progress:
            self.progress(self.done, self.writer.layout.cases)

    def finish(self, record: BlockRecord) -> None:
        """Record a block whose files are durable."""
        self.writer.record(record)
        size = self.writer.layout.size_of(record.block)
        self.done += size
        self.computed += size
        self.report()

    def close(self) -> None:
        """Note how fast it went, beside the results and not in them."""
        if self.computed:
            self.writer.note_speed(self.computed, time.monotonic() - self.started)


@dataclass(frozen=True, slots=True)
class LocalThreads:
    """Threads of this process; as many as there are processors by default."""

    threads: int | None = None

    def compute(self, job: Job) -> None:
        """Compute the missing blocks one after the other; returns early when the job is to stop."""
        layout = job.writer.layout
        for number in job.writer.missing():
            if job.stop():
                return
            part = layout.cases_of(number)
            chosen, count = cases(job.scenario, part.start, part.stop), layout.size_of(number)
            result = compute(chosen, job.scenario, count=count, threads=self.threads)
            job.finish(job.writer.blocks.write(number, result))
