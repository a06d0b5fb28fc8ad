"""Who computes: this process, processes on this machine, or a cluster. The numbers are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrowalk.engine.sweeps import local
from retrowalk.engine.sweeps.job import Job
from retrowalk.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

#: Processes on one machine; more is a mistake in the number.
MOST_WORKERS = 1024


@dataclass(frozen=True, slots=True)
class Crew:
    """Threads of this process, or Dask workers of one thread each."""

    threads: int | None = None
    client: Client | None = None

    def fill(self, job: Job) -> None:
        """Compute the missing blocks of a job; returns early when the job asks to stop."""
        if self.client is None:
            local.fill(job, self.threads)
            return
        from retrowalk.engine.sweeps import cluster

        cluster.fill(job, self.client)


def check_crew(
    threads: int | None, client: Client | None, workers: int | None, scheduler: str | None
) -> None:
    """Refuse a contradiction before anything is started.

    Raises
    ------
    InputError
        When several of client, workers and scheduler are given, or one of them with threads.
    MissingExtraError
        When Dask is needed and not installed.
    """
    choices = {"client": client, "workers": workers, "scheduler": scheduler}
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: give one of them, not {len(given)}")
    if given and threads is not None:
        raise InputError(f"threads and {given[0]}: workers have one thread each; leave threads out")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise InputError(f"workers: {workers} processes cannot be started; use 1 to {MOST_WORKERS}")
    if given:
        from retrowalk.engine.sweeps.dask import require

        require()


@contextmanager
def gathered(
    threads: int | None, client: Client | None, workers: int | None, scheduler: str | None
) -> Iterator[Crew]:
    """Start or reach the workers for as long as the sweep runs."""
    from retrowalk.engine.sweeps import dask

    if workers is not None:
        with dask.local_client(workers) as started:
            yield Crew(client=started)
    elif scheduler is not None:
        with dask.remote_client(scheduler) as reached:
            yield Crew(client=reached)
    else:
        yield Crew(threads, client)
