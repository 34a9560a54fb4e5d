"""The models in memory, each in a process of its own, within one budget.

A `Tenant` comes by being planned, waiting for its turn and for room, and having its process started. It goes by being
retired: from then on it takes no new requests, and when the last one has ended, its process ends. Who needs room has
those retired that have been idle the longest, then, since nobody may wait for ever, those that are busy; they finish
first. An answer may ask its model for what its tokens stand for, and waits until it is told: so quick jobs are let in
as long as one is being made. Everything happens in one asyncio loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from time import time

from furet.engine.memory import Budget, readable
from furet.engine.plan import Plan, Settings, draft_bytes, make_plan, require_fit
from furet.errors import Busy, DoesNotFit
from furet.serve.names import Listed
from furet.serve.supervise import WAITING, Worker
from furet.serve.wire import Load

SLOTS_FOR_A_SEQUENCE = 4  # jobs that may run for each sequence: one whose reader is slow leaves its own to others
MOST_SLOTS = 128
MOST_LOADS = 32  # models that may wait for room


class Tenant:
    """A model in memory, or on its way there or out of it.

    keep_alive  seconds without a request after which it is retired; None: never
    worker      its process, once that is started
    bytes       of memory that are reserved for it
    context     tokens of prompt and answer together
    users       requests, running and waiting
    guests      of these, quick ones that were let in after it was retired
    pinned      whether it stays when others need room
    since, used when it was asked for first, and when a request began or ended last, in seconds since 1970
    left        set when its memory is free again
    """

    def __init__(self, model: Listed, keep_alive: float | None) -> None:
        self.model = model
        self.keep_alive = keep_alive
        self.worker: Worker | None = None
        self.bytes = 0
        self.context = 0
        self.users = self.guests = 0
        self.pinned = False
        self.since = self.used = time()
        self.left = asyncio.Event()
        self.may_look = asyncio.Event()  # for room
        self.loading: asyncio.Task[None]
        self.leaving: asyncio.Task[None] | None = None
        self.expiry: asyncio.TimerHandle | None = None

    def stay(self) -> None:
        """It does not expire."""
        if self.expiry is not None:
            self.expiry.cancel()


class Tenants:
    """Who is in memory.

    budget      bytes for all
    settings    how each is loaded
    keep_alive  of each, until `let_stay` says otherwise
    drafts      by the path of a model that of a smaller one, which guesses what it will say
    here        those that take requests, by path
    gone        those that take none any more, but memory
    kept        paths of those that stay when others need room, also where they have to be loaded anew
    """

    def __init__(
        self, budget: Budget, settings: Settings, keep_alive: float | None, drafts: Mapping[str, str] = {}
    ) -> None:
        self.budget = budget
        self.settings = settings
        self.keep_alive = keep_alive
        self.drafts = drafts
        self.here: dict[str, Tenant] = {}
        self.gone: set[Tenant] = set()
        self.kept: set[str] = set()
        self._queue: deque[Tenant] = deque()  # wait for room, first come first served
        self._closed = False

    @asynccontextmanager
    async def using(self, model: Listed, *, quick: bool = False) -> AsyncIterator[Worker]:
        """The worker of a model, which is loaded where it is not, and stays until the end of the block.

        quick   that may be one that is being left, as long as it makes an answer
        raises  DoesNotFit, Busy, WorkerDied, and what loading raises
        """
        if self._closed:
            raise Busy("the server is ending")
        tenant = self.here.get(model.path)
        if tenant is not None and tenant.worker is not None and tenant.worker.failed is not None:
            self.retire(tenant)
            tenant = None
        if quick and (tenant is None or tenant.worker is None):
            tenant = self._answering(model.path) or tenant
        if tenant is None:
            tenant = self._enter(model)
        if tenant.worker is None and tenant.users >= MOST_SLOTS + WAITING:  # later the worker counts them
            raise Busy(f"{model.name}: {tenant.users} requests wait for the model to be loaded", "ask again later")
        guest = tenant in self.gone
        tenant.users += 1
        tenant.guests += guest
        tenant.used = time()
        tenant.stay()
        try:
            await self._loaded(tenant)
            assert tenant.worker is not None
            yield tenant.worker
        finally:
            tenant.users -= 1
            tenant.guests -= guest
            tenant.used = time()
            if not tenant.users:
                self.released(tenant)

    def pin(self, path: str, on: bool) -> None:
        """Keep a model in memory, or let it go when others need the room."""
        (self.kept.add if on else self.kept.discard)(path)
        if tenant := self.here.get(path):
            tenant.pinned = on
            if not tenant.users:
                self.released(tenant)

    def let_stay(self, tenant: Tenant, seconds: float) -> None:
        """Let one that is not pinned stay for so long without a request; 0: not at all."""
        if tenant.pinned:
            return
        tenant.keep_alive = seconds
        if not seconds and not tenant.users:
            self.retire(tenant)
        elif not tenant.users:
            self.released(tenant)

    def released(self, tenant: Tenant) -> None:
        """Nobody uses it, or pins it: it may make room, go, expire, or need not be loaded any more."""
        if tenant in self.gone or not tenant.loading.done():
            self.retire(tenant)
        elif tenant is self.here.get(tenant.model.path) and tenant.keep_alive is not None and not tenant.pinned:
            tenant.stay()
            later = asyncio.get_running_loop().call_later
            tenant.expiry = later(tenant.keep_alive, self._expire, tenant)
        self._look()

    def retire(self, tenant: Tenant) -> None:
        """No new requests from now on; when there are no old ones either, the process ends."""
        if self.here.get(tenant.model.path) is tenant:
            del self.here[tenant.model.path]
        self.gone.add(tenant)
        if not tenant.users and tenant.leaving is None:
            tenant.leaving = asyncio.create_task(self._leave(tenant))

    def plan(self, where: str, context: int | None = None) -> Plan:
        """The plan of a model as it would be loaded, with its draft; reads their headers. Raises as `furet.plan`."""
        from dataclasses import replace

        from furet.engine.headers import header
        from furet.families import read_model

        with ExitStack() as opened:
            found = opened.enter_context(header(where))
            model = read_model(found, where)
            wanted = self.settings if context is None else replace(self.settings, context=context)
            if context is None and wanted.context is not None:  # what any may have, not what each must be able to
                wanted = replace(wanted, context=min(wanted.context, model.config.context))
            draft = None
            if path := self.drafts.get(where):
                second = opened.enter_context(header(path))
                draft = partial(draft_bytes, second, read_model(second, path), wanted)
            return make_plan(found, model, wanted, self.budget, draft)

    async def close(self) -> None:
        """End all processes, and with WorkerDied what they were doing."""
        self._closed = True
        tenants = {*self.here.values(), *self.gone}
        await asyncio.gather(*map(self._leave, tenants))
        self.here.clear()

    def _answering(self, path: str) -> Tenant | None:
        """One that was retired and still makes answers: these may wait for it, and it may not be there anew before
        they end. One that cannot be started again is better than none, as it tells them so.
        """
        found = [each for each in self.gone if each.model.path == path and each.worker and each.users > each.guests]
        return min(found, key=lambda each: each.worker is None or each.worker.failed is not None, default=None)

    def _enter(self, model: Listed) -> Tenant:
        tenant = self.here[model.path] = Tenant(model, self.keep_alive)
        tenant.pinned = model.path in self.kept
        tenant.loading = asyncio.create_task(self._load(tenant))
        tenant.loading.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits
        return tenant

    async def _loaded(self, tenant: Tenant) -> None:
        try:
            await asyncio.shield(tenant.loading)
        except asyncio.CancelledError:
            if self._closed and tenant.loading.cancelled():
                raise Busy("the server is ending") from None
            raise

    def _expire(self, tenant: Tenant) -> None:
        if not tenant.users and not tenant.pinned:
            self.retire(tenant)

    async def _load(self, tenant: Tenant) -> None:
        """Plan it, wait for room, start its process."""
        name, path, settings = tenant.model.name, tenant.model.path, self.settings
        try:
            plan = await asyncio.to_thread(self.plan, path)
            require_fit(plan, name)
            tenant.context = plan.context
            await self._room(tenant, plan.total)
            load = Load(
                path,
                threads=settings.threads,
                memory=plan.total,
                context=plan.context,
                sequences=settings.sequences,
                kv=settings.kv,
                draft=self.drafts.get(path),
                slots=min(MOST_SLOTS, SLOTS_FOR_A_SEQUENCE * settings.sequences),
            )
            worker = Worker(load, name)
            await worker.start()
            tenant.worker = worker
        except BaseException:
            if self.here.get(path) is tenant:
                del self.here[path]
            tenant.bytes = 0
            tenant.left.set()
            self._look()
            raise

    async def _leave(self, tenant: Tenant) -> None:
        tenant.stay()
        tenant.loading.cancel()
        await asyncio.wait([tenant.loading])
        if tenant.worker is not None:
            await tenant.worker.close()
        self.gone.discard(tenant)
        tenant.left.set()
        self._look()

    async def _room(self, tenant: Tenant, wanted: int) -> None:
        """Reserve so many bytes when it is this model's turn and there is room."""
        if len(self._queue) >= MOST_LOADS:
            raise Busy(f"{len(self._queue)} models wait for memory", "ask again later")
        self._queue.append(tenant)
        try:
            while self._queue[0] is not tenant or not self._has_room(tenant, wanted):
                tenant.may_look.clear()
                await tenant.may_look.wait()
            tenant.bytes = wanted
        finally:
            self._queue.remove(tenant)
            self._look()

    def _has_room(self, tenant: Tenant, wanted: int) -> bool:
        """Whether there is room; where there is not, those go who must."""
        leaving = sum(each.bytes for each in self.gone)
        left = self.budget.bytes - leaving - sum(each.bytes for each in self.here.values())
        if left >= wanted:
            return True
        chosen = to_retire(self.here.values(), wanted - left - leaving)
        if left + leaving + sum(each.bytes for each in chosen) < wanted:
            hint = "unpin or unload one of them, or give the server more memory"
            raise DoesNotFit(self._too_much(tenant, wanted), hint)
        for each in chosen:
            self.retire(each)
        return False

    def _too_much(self, tenant: Tenant, wanted: int) -> str:
        kept = [each for each in self.here.values() if each.pinned]
        says = ", ".join(f"{each.model.name} {readable(each.bytes)}" for each in kept)
        left = self.budget.bytes - sum(each.bytes for each in kept)
        return (
            f"{tenant.model.name} needs {readable(wanted)}; {self.budget.source} is {readable(self.budget.bytes)}, "
            f"of which pinned models ({says}) leave {readable(left)}"
        )

    def _look(self) -> None:
        """There may be room for the first of those that wait."""
        if self._queue:
            self._queue[0].may_look.set()


def to_retire(tenants: Iterable[Tenant], short: int) -> list[Tenant]:
    """Those that must go for so many bytes: idle ones before busy ones, the longest unused first; never pinned ones."""
    chosen = []
    for each in sorted(tenants, key=lambda each: (each.users > 0, each.used)):
        if short > 0 and each.bytes and not each.pinned:
            chosen.append(each)
            short -= each.bytes
    return chosen
