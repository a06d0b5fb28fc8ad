"""The blocks of one sweep that are still to be computed, and how far it is.

Compute blocks one after the other in this process, each on all threads.
"""

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
    """What a crew works on.

    Attributes
    ----------
    writer : Writer
        Of the store, held by this process alone.
    scenario : Scenario
        With its sweep.
    stop : callable
        Asked between blocks; once it says True no further block is begun.
    progress : callable, optional
        Called with (cases done, cases in all).
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
        self.tell(0)

    def tell(self, under_way: int, _of: int = 0) -> None:
        """Report cases of a block under way beside the finished ones."""
        if self.progress:
            self.progress(self.done + under_way, self.writer.layout.cases)

    def finish(self, record: BlockRecord) -> None:
        """Record a block whose files are durable."""
        self.writer.record(record)
        size = self.writer.layout.size_of(record.block)
        self.done += size
        self.computed += size
        self.tell(0)

    def close(self) -> None:
        """Note how fast it went, beside the results and not in them."""
        if self.computed:
            self.writer.note_speed(self.computed, time.monotonic() - self.started)


def fill(job: Job, threads: int | None) -> None:
    """Compute the missing blocks; returns early when asked to stop."""
    layout = job.writer.layout
    for number in job.writer.missing():
        if job.stop():
            return
        part = layout.cases_of(number)
        chosen, count = cases(job.scenario, part.start, part.stop), layout.size_of(number)
        result = compute(chosen, job.scenario, count=count, threads=threads, progress=job.tell)
        job.finish(job.writer.blocks.write(number, result))
