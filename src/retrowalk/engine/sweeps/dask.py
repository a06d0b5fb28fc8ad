"""Start Dask workers on this machine or reach those of a cluster."""

from __future__ import annotations

import importlib.util
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from retrowalk.errors import MissingExtraError, RunError

if TYPE_CHECKING:
    from distributed import Client

#: Dask gives a task up after 3 workers died on it; workers of a cluster may come and go all day.
ALLOWED_FAILURES = 1000

#: Seconds to find a scheduler.
PATIENCE = 20


def require() -> None:
    """Say how to install Dask where it is missing.

    Raises
    ------
    MissingExtraError
        With the command.
    """
    if importlib.util.find_spec("distributed") is None:
        raise MissingExtraError(
            "workers and schedulers need Dask, which is not installed; "
            "install it with: pip install 'retrowalk[dask]'"
        )


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """Processes on this machine, one thread each, reachable from this machine only."""
    import dask
    from distributed import Client, LocalCluster

    _hush()
    with (
        dask.config.set(
            {"distributed.scheduler.allowed-failures": ALLOWED_FAILURES, "distributed.admin.log-length": 100}
        ),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(_plugin())
        yield client


def _plugin() -> Any:  # noqa: ANN401  a plugin of Dask, which is not imported before it is needed
    from distributed import WorkerPlugin

    class KeepOn(WorkerPlugin):  # type: ignore[misc]  # Dask is half typed
        """Ctrl-C in a terminal reaches every process; only the one that leads the sweep is to decide."""

        name = "retrowalk-keep-on"

        def setup(self, worker: object) -> None:
            # A worker that does not run in its process's main thread never hears of signals.
            with suppress(ValueError):
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    return KeepOn()


def _hush() -> None:
    """Keep Dask from logging tracebacks about lost connections: what matters becomes an error of ours."""
    names = ("distributed", "tornado", *logging.root.manager.loggerDict)
    for name in names:
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def remote_client(address: str) -> Iterator[Client]:
    """Reach a scheduler that is running.

    Raises
    ------
    RunError
        When there is none at the address.
    """
    from distributed import Client

    _hush()
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
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
