"""A model in a process that is started again whenever it dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic

from furet.errors import Busy, FuretError, WorkerDied
from furet.serve import process, wire
from furet.serve.jobs import QUICK, Job, Reply

STEADY = 30.0  # seconds of life after which a death is the first again, as it is after an answer
FIRST_PAUSE = 1.0  # seconds before a second start in a row, doubled for each after it
LONGEST_PAUSE = 60.0
PATIENCE = 5.0  # seconds that a request waits for the next start; when it takes longer, it is told so
WAITING = 256  # requests that may wait for a slot

log = logging.getLogger("furet.worker")


class Queue:
    """Slots for jobs, and those who wait for one, first come first served.

    waiting     of these, how many
    """

    def __init__(self, slots: int, most_waiting: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._most_waiting = most_waiting
        self.waiting = 0

    @property
    def full(self) -> bool:
        """Whether nobody else may wait."""
        return self._slots.locked() and self.waiting >= self._most_waiting

    async def enter(self) -> None:
        """Take a slot when it is one's turn."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """Give the slot back."""
        self._slots.release()


class Worker:
    """One model, its process, and those who wait for it. Used in one asyncio loop.

    name    what people call the model
    load    how it is loaded; `slots` of it are the jobs that may run at once
    failed  why the model cannot be started again, once that is so; nothing else helps then but to load it anew
    """

    def __init__(self, load: wire.Load, name: str, most_waiting: int = WAITING) -> None:
        self.name = name
        self.load = load
        self.failed: FuretError | None = None
        self._slow = Queue(load.slots, most_waiting)
        self._quick = Queue(wire.QUICK_SLOTS, most_waiting)
        self._process: process.Process | None = None
        self._ready = asyncio.Event()  # there is a process to ask, or none will come
        self._next_start = 0.0
        self._deaths = 0
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process is not None and self._ready.is_set() else 0

    @property
    def running(self) -> int:
        """Jobs that the process has not ended yet."""
        return 0 if self._process is None else self._process.running

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return self._slow.waiting + self._quick.waiting

    async def start(self) -> None:
        """Load the model. Raises the FuretErrors of `furet.load`; WorkerDied when the process dies of it."""
        self._process = await process.start(self.load, self.name)
        for note in self._process.ready.notes:
            log.warning("%s: %s", self.name, note)
        self._ready.set()
        self._watch = asyncio.create_task(self._keep())

    async def run(self, job: Job) -> AsyncGenerator[Reply, None]:
        """The replies to a job, when it is its turn; leaving the generator cancels it.

        raises  FuretErrors of the job; Busy when too many wait; WorkerDied when the process dies meanwhile, or dies
                again and again
        """
        queue = self._quick if isinstance(job, QUICK) else self._slow
        if queue.full:
            says = f"{self.name}: {self.running} requests are running and {self.waiting} are waiting"
            raise Busy(says, "ask again later")
        await queue.enter()
        try:
            alive = await self._alive()
        except BaseException:
            queue.leave()
            raise
        async with aclosing(alive.run(job, queue.leave)) as replies:
            async for reply in replies:
                yield reply

    async def close(self) -> None:
        """End the process, and with WorkerDied what it was doing."""
        self.failed = self.failed or WorkerDied(f"{self.name} was unloaded", "ask again, and it is loaded again")
        self._ready.set()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._process is not None:
            await self._process.close()

    async def _alive(self) -> process.Process:
        """The process, waited for while it is started again."""
        if self.failed is None and self._process is not None and self._process.ended.done():
            self._ready.clear()  # the supervising task has not had its turn yet
        pause = self._next_start - monotonic()
        if not self._ready.is_set() and pause > PATIENCE:
            raise WorkerDied(
                f"{self.name}: its process has died {self._deaths} times in a row; the next start is in {pause:.0f} s",
                "the server's log says how it died; a smaller context or fewer sequences may help",
            )
        await self._ready.wait()
        if self.failed is not None:
            raise self.failed
        assert self._process is not None
        return self._process

    async def _keep(self) -> None:
        """Start the process again whenever it dies: at once, then after longer and longer pauses."""
        assert self._process is not None
        began = monotonic()
        while self.failed is None:
            how = await asyncio.shield(self._process.ended)
            self._ready.clear()
            steady = self._process.answered or monotonic() - began > STEADY
            self._deaths = 1 if steady else self._deaths + 1
            began = await self._again(how)
        self._ready.set()

    async def _again(self, how: str) -> float:
        """Start the process anew, until that succeeds or cannot; when it did."""
        while True:
            pause = 0.0 if self._deaths == 1 else min(FIRST_PAUSE * 2 ** min(self._deaths - 2, 10), LONGEST_PAUSE)
            self._next_start = monotonic() + pause
            when = f"in {pause:.0f} s, after {self._deaths} deaths in a row" if pause else "now"
            log.error("%s: the process %s; it is started again %s", self.name, how, when)
            await asyncio.sleep(pause)
            try:
                self._process = await process.start(self.load, self.name)
                self._ready.set()
                return monotonic()
            except WorkerDied as error:
                how = error.message.removeprefix(f"{self.name}: its process ")
                self._deaths += 1
            except FuretError as error:
                log.error("%s: cannot be started again: %s", self.name, error.message)
                self.failed = error
                return monotonic()
