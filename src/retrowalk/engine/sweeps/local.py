"""Compute blocks one after the other in this process, each on all threads."""

from __future__ import annotations

from retrowalk.engine.compute import compute
from retrowalk.engine.sweeps.job import Job
from retrowalk.scenario import cases


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
