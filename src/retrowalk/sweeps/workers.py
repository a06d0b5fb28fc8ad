"""Compute the missing blocks of a sweep, on threads of this process or on Dask workers.

Each worker, of this machine or of a cluster, writes its own files, and only small records come back. Who
computes changes no number.
"""

from __future__ import annotations

import importlib.util
import logging
import queue
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from retrowalk.errors import InputError, MissingExtraError, RetrowalkError, RunError
from retrowalk.scenario import Scenario, cases, scenario_from_json
from retrowalk.simulation.compute import Progress, compute
from retrowalk.simulation.provenance import digests
from retrowalk.store import BlockRecord, BlockWriter, Writer, differing

if TYPE_CHECKING:
    from distributed import Client, Future

#: Processes on one machine; more is a mistake in the number.
MOST_WORKERS = 1024
#: Dask gives a task up after 3 workers died on it; workers of a cluster may come and go all day.
ALLOWED_FAILURES = 1000
#: Blocks given to each worker beyond the one in work, so that it never waits for the next.
AHEAD = 1
#: Times that one block may lose its worker before the block itself is to blame.
LOSSES = 50
#: Seconds without the scheduler after which it counts as lost.
LOST_AFTER = 10.0
#: Seconds between two looks at how many workers there are.
COUNT_EVERY = 2.0


@dataclass
class Job:
    """One sweep on its way into a store that this process alone writes.

    `stop` is called between blocks: once it returns True no further block is begun. `progress` gets
    (cases in the store, cases in all).
    """

    writer: Writer
    scenario: Scenario
    stop: Callable[[], bool]
    progress: Progress | None
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


#: Computes the missing blocks of a job; returns early when the job is to stop.
ComputeBlocks = Callable[[Job], None]


def check_choice(
    threads: int | None, client: Client | None, workers: int | None, scheduler: str | None
) -> None:
    """Refuse a contradiction, or Dask that is needed and not installed, before anything is started."""
    choices = {"client": client, "workers": workers, "scheduler": scheduler}
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: give one of them, not {len(given)}")
    if given and threads is not None:
        raise InputError(f"threads and {given[0]}: workers have one thread each; leave threads out")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise InputError(f"workers: {workers} processes cannot be started; use 1 to {MOST_WORKERS}")
    needed = ["distributed", "cryptography"] if workers is not None else ["distributed"]
    if given and not all(importlib.util.find_spec(name) for name in needed):
        raise MissingExtraError(
            "workers and schedulers need Dask, which is not installed; "
            "install it with: pip install 'retrowalk[dask]'"
        )


@contextmanager
def start_workers(
    threads: int | None, client: Client | None, workers: int | None, scheduler: str | None
) -> Iterator[ComputeBlocks]:
    """Start or reach those who compute, for as long as the sweep runs."""
    if workers is not None:
        with local_client(workers) as started:
            yield partial(_compute_on_workers, client=started)
    elif scheduler is not None:
        with _remote_client(scheduler) as reached:
            yield partial(_compute_on_workers, client=reached)
    elif client is not None:
        yield partial(_compute_on_workers, client=client)
    else:
        yield partial(_compute_on_threads, threads=threads)


def _compute_on_threads(job: Job, threads: int | None) -> None:
    layout = job.writer.layout
    for number in job.writer.missing():
        if job.stop():
            return
        part, count = layout.cases_of(number), layout.size_of(number)
        chosen = cases(job.scenario, part.start, part.stop)
        result = compute(chosen, job.scenario, count=count, threads=threads)
        job.finish(job.writer.blocks.write(number, result))


def _compute_on_workers(job: Job, client: Client) -> None:
    blocks = _BlocksInFlight(job, client)
    try:
        blocks.run()
    finally:
        blocks.abandon()


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """Processes on this machine, one thread each.

    A Dask scheduler runs whatever code reaches it, and any user of this machine could connect. Connections
    are therefore encrypted with certificates made for this run alone, which only these processes hold.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    _silence()
    settings = {
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        "distributed.admin.log-length": 100,
    }
    with dask.config.set(settings):
        with _interrupts_held_back():
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", protocol="tls://",
                security=Security.temporary(), dashboard_address=None, silence_logs=logging.CRITICAL,
            )  # fmt: skip
        with cluster, Client(cluster) as client:
            # Where signals cannot be held back, on Windows, workers are told to leave Ctrl-C to us.
            client.run(_ignore_interrupts)
            yield client


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C, which reaches every process of a terminal, from those that are started meanwhile.

    Processes and threads inherit which signals are blocked. An interrupt of this process is delivered at the
    end, so that workers are never left half started.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started by the first process of its own accord, it would unblock signals in the thread that starts it.
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts() -> None:
    # Workers of other schedulers may run outside their process's main thread, which alone may say so.
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _silence() -> None:
    """Keep Dask from logging tracebacks about lost connections: what matters becomes an error of ours."""
    for name in ("distributed", "tornado", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _remote_client(address: str) -> Iterator[Client]:
    """Reach a scheduler that is running."""
    from distributed import Client

    _silence()
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise RunError(
            f"{address}: no Dask scheduler answers ({reason}); start one with `dask scheduler`"
        ) from None
    try:
        yield client
    finally:
        # A scheduler that is gone would be waited for.
        client.close(timeout=2)


def run_block(text: str, blocks: BlockWriter, number: int) -> BlockRecord:
    """What a worker does: compute one block and write its files.

    `text` is the canonical JSON of the whole scenario. Raises `RunError` when this worker would compute other
    results, or does not see the store.
    """
    scenario, own = _read(text)
    if names := differing(own, blocks.layout.digests):
        raise RunError(
            f"a worker would compute other results ({', '.join(names)}); install the same retrowalk"
        )
    blocks.check_reachable()
    part = blocks.layout.cases_of(number)
    chosen, count = cases(scenario, part.start, part.stop), blocks.layout.size_of(number)
    return blocks.write(number, compute(chosen, scenario, count=count, threads=1))


@lru_cache(maxsize=2)
def _read(text: str) -> tuple[Scenario, dict[str, str]]:
    scenario = scenario_from_json(text)
    return scenario, digests(scenario)


class _BlocksInFlight:
    """Keeps every worker busy with few blocks at a time."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job, self.client = job, client
        self.text = job.scenario.canonical_json()
        self.run_id = uuid.uuid4().hex[:8]
        self.waiting = job.writer.missing()[::-1]
        self.in_flight: dict[int, Future] = {}
        self.losses: dict[int, int] = {}
        self.finished: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()
        self.seen = time.monotonic()
        self.threads, self.count_at = 1, 0.0

    def run(self) -> None:
        while self.waiting or self.in_flight:
            if self.job.stop():
                self.waiting.clear()
                self._drop_unbegun()
                if not self.in_flight:
                    return
            self._submit()
            try:
                number, future = self.finished.get(timeout=0.2)
            except queue.Empty:
                self._check_scheduler()
                continue
            if self.in_flight.get(number) is future:
                del self.in_flight[number]
                self._take(number, future)

    def _submit(self) -> None:
        if self.client.status != "running":
            return
        free = (1 + AHEAD) * max(1, self._threads()) - len(self.in_flight)
        for _ in range(min(free, len(self.waiting))):
            number = self.waiting.pop()
            key = f"retrowalk-{self.run_id}-{number}-{self.losses.get(number, 0)}"
            future = self.client.submit(run_block, self.text, self.job.writer.blocks, number,
                                        key=key, pure=False, retries=0)  # fmt: skip
            self.in_flight[number] = future
            future.add_done_callback(lambda done, number=number: self.finished.put((number, done)))

    def _threads(self) -> int:
        """Threads of all workers, counted now and then: workers may join and leave."""
        if time.monotonic() >= self.count_at:
            self.count_at = time.monotonic() + COUNT_EVERY
            with suppress(OSError, TimeoutError):
                self.threads = sum(self.client.nthreads().values())
        return self.threads

    def _take(self, number: int, future: Future) -> None:
        """Record a finished block, or compute again what was lost with its worker."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        error = future.exception() if future.status == "error" else None
        if isinstance(error, RetrowalkError):
            raise error
        if future.status == "cancelled" or isinstance(error, (KilledWorker, CancelledError, CommClosedError)):
            self._check_scheduler()
            if self.job.stop():
                return
            self.losses[number] = self.losses.get(number, 0) + 1
            if self.losses[number] > LOSSES:
                raise RunError(
                    f"block {number} lost its worker {LOSSES} times; workers may have too little memory, or "
                    "time, for it"
                )
            self.waiting.append(number)
        elif error is None:
            self.job.finish(future.result())
        else:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise RunError(f"block {number} failed on a worker: {type(error).__name__}: {reason}") from error

    def _check_scheduler(self) -> None:
        if self.client.status == "running":
            self.seen = time.monotonic()
        elif self.client.status == "closed" or time.monotonic() - self.seen > LOST_AFTER:
            address = self.client.scheduler.address if self.client.scheduler is not None else ""
            raise RunError(f"the Dask scheduler {address} is lost; finished cases are kept")
        else:
            time.sleep(0.2)

    def _drop_unbegun(self) -> None:
        """Cancel the blocks that no worker has begun: those beyond one per thread."""
        if not self.in_flight:
            return
        begun: set[str] = set()
        with suppress(OSError, TimeoutError, ValueError):
            calls: dict[str, dict[str, Any]] = self.client.call_stack() or {}
            begun = {str(key) for stacks in calls.values() for key in stacks}
        alone = self._threads() == 0
        for number, future in list(self.in_flight.items()):
            if alone or (begun and future.key not in begun):
                del self.in_flight[number]
                future.cancel()

    def abandon(self) -> None:
        """Leave nothing behind on a cluster that goes on living."""
        if self.in_flight and self.client.status == "running":
            self.client.cancel(list(self.in_flight.values()), force=True)
        self.in_flight.clear()
