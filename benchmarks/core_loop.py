"""The core loop: summaries and trajectories of one arm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from retrowalk.simulation.core_work import CoreWork, core_work


class CoreLoop:
    """Eight outcomes, 84 days, three visits a week."""

    params = ([1_024, 10_240, 102_400], [1, 2])
    param_names = ("members", "threads")
    work: CoreWork

    def setup(self, members: int, threads: int) -> None:
        self.work = core_work(members)
        self.pool = ThreadPoolExecutor(threads)
        self.work.summarize(self.pool)
        self.work.superpose(self.pool)
        self.work.follow(self.pool)

    def teardown(self, members: int, threads: int) -> None:
        self.pool.shutdown()

    def time_summaries(self, members: int, threads: int) -> None:
        self.work.summarize(self.pool)

    def time_superposed_summaries(self, members: int, threads: int) -> None:
        self.work.superpose(self.pool)

    def time_trajectories(self, members: int, threads: int) -> None:
        self.work.follow(self.pool)


class LongProgramme:
    """Days of the programme against time."""

    params = ([6, 26, 104],)
    param_names = ("weeks",)

    def setup(self, weeks: int) -> None:
        self.work = core_work(1_024, weeks=weeks, curves=False)
        self.work.summarize()

    def time_summaries(self, weeks: int) -> None:
        self.work.summarize()
