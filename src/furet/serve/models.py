"""The models of a server, by name: what there is, what is in memory, what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from time import time
from typing import Any

from furet.engine.memory import Budget, budget, readable
from furet.engine.plan import CHUNK, settings
from furet.errors import BadRequest, Busy, FuretError
from furet.files import store
from furet.ops.cached import CacheType
from furet.serve import names, pulling
from furet.serve.jobs import QUICK, Job, Reply, Result
from furet.serve.limits import OWN
from furet.serve.names import Listed
from furet.serve.pulling import PullProgress
from furet.serve.tenants import Tenant, Tenants

MOST_PULLS = 4
MOST_HEADERS = 2  # that are read from the hub at once
MOST_NAMES = 1000  # that are remembered


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    pid         of its process; 0 while that is being started
    bytes       that it may take, by its plan
    context     tokens of prompt and answer together
    since       when it was asked for first, in seconds since 1970
    last_used   when a request of it began or ended last
    running     requests that are being answered
    waiting     requests that wait for others to end, or for the model to be loaded
    expires     when it leaves unless it is used again; None: when others need the room
    """

    name: str
    pid: int
    bytes: int
    context: int
    since: float
    last_used: float
    running: int
    waiting: int
    pinned: bool
    expires: float | None = None


class Models:
    """Every model that this server may run, and those that it has in memory. Used in one asyncio loop.

    memory      for all of them and the server itself; None: what the machine leaves now
    threads, context, sequences, kv     of each, as for `furet.load`
    keep        models that `start` loads and pins; these may also be paths
    draft       a smaller model that guesses what the one to keep will say; there is one then
    keep_alive  seconds without a request after which a model is unloaded, unless `let_stay` says otherwise; None: never
    offline     True: download nothing
    budget      what that leaves for models
    raises      NotFound, BadRequest
    """

    def __init__(
        self,
        *,
        memory: str | int | None = None,
        threads: int | None = None,
        context: int | None = None,
        sequences: int = 8,
        kv: CacheType = "f16",
        keep: Sequence[str] = (),
        draft: str | None = None,
        keep_alive: float | None = None,
        offline: bool = False,
    ) -> None:
        require_one(keep, draft)
        found = budget(memory)
        wanted = settings(context, sequences, CHUNK, threads, kv=kv)
        self.budget = Budget(max(0, found.bytes - OWN), f"{found.source} less {readable(OWN)} for the server")
        self._keep = [names.named(ref) for ref in keep]
        self._draft = None if draft is None else names.named(draft)
        drafts = {} if self._draft is None else {self._keep[0].path: self._draft.path}
        self._tenants = Tenants(self.budget, wanted, keep_alive, drafts)
        given = zip(keep, self._keep, strict=True)
        self._given = {name: each for ref, each in given for name in (ref, each.ref, each.alias) if name}
        self._offline = offline or None
        self._known: dict[str, Listed] = {}  # by names that were asked for; of use while they are in memory
        self._pulls = 0
        self._hub = ThreadPoolExecutor(MOST_HEADERS)  # it may be slow, and all else needs the loop's threads

    async def start(self) -> None:
        """Load the models to keep, and pin them. Raises the FuretErrors of the first that cannot be."""
        for model in self._keep:
            await self.pin(model.ref, True)

    async def find(self, name: str) -> Listed:
        """The model that a request names; without a look at the disk while it is in memory. Raises NotFound."""
        known = self._known.get(name)
        if known is None or known.path not in self._tenants.here:
            known = await asyncio.to_thread(names.find, name, self._given)
            if len(self._known) >= MOST_NAMES:
                self._known.clear()
            self._known[name] = known
        return known

    async def run(self, model: str, job: Job) -> AsyncGenerator[Reply, None]:
        """The replies to a job; the model is loaded first where it is not. Leaving the generator cancels the job.

        raises  NotFound, Busy, DoesNotFit, WorkerDied, and what the job raises
        """
        using = self._tenants.using(await self.find(model), quick=isinstance(job, QUICK))
        async with using as worker, aclosing(worker.run(job)) as replies:
            async for reply in replies:
                yield reply

    async def result(self, model: str, job: Job) -> Any:
        """The value of a job that gives one `Result`; raises as `run`."""
        async with aclosing(self.run(model, job)) as replies:
            async for reply in replies:
                if isinstance(reply, Result):
                    return reply.value
        raise BadRequest(f"{type(job).__name__}: an answer is no single result", "read it with `run`")

    def installed(self) -> list[Listed]:
        """The models on this machine that may be asked for."""
        return list({each.path: each for each in (*names.installed(), *self._keep)}.values())

    def loaded(self) -> list[Loaded]:
        """The models in memory, and those on their way there or out."""
        return [_loaded(tenant) for tenant in (*self._tenants.here.values(), *self._tenants.gone)]

    async def load(self, model: str) -> None:
        """Bring a model into memory. Raises as `run`."""
        async with self._tenants.using(await self.find(model)):
            pass

    async def unload(self, model: str) -> None:
        """Have a model leave memory, pinned or not, once its requests have ended; returns when it has."""
        found = await self.find(model)
        self._tenants.pin(found.path, False)
        if tenant := self._tenants.here.get(found.path):
            self._tenants.retire(tenant)
            await tenant.left.wait()

    async def let_stay(self, model: str, seconds: float) -> None:
        """Have a model that is in memory leave it after so long without a request, unless it is pinned.

        With 0 it leaves at once, and this returns when it has; or, while it answers, when it has done so.
        """
        found = await self.find(model)
        if tenant := self._tenants.here.get(found.path):
            self._tenants.let_stay(tenant, seconds)
            if tenant in self._tenants.gone:
                await tenant.left.wait()

    async def pin(self, model: str, on: bool) -> None:
        """Load a model and keep it in memory; or let it go when others need the room."""
        found = await self.find(model)
        if on:
            async with self._tenants.using(found):
                self._tenants.pin(found.path, True)
        else:
            self._tenants.pin(found.path, False)

    async def pull(self, ref: str) -> AsyncGenerator[PullProgress, None]:
        """Download a model; leaving the generator stops that. Raises BadRequest, NotFound, DownloadFailed, Busy."""
        ref = names.to_fetch(ref)
        if self._pulls >= MOST_PULLS:
            raise Busy(f"{self._pulls} models are being downloaded, as many as may", "wait for one of them")
        self._pulls += 1
        async with aclosing(pulling.pull(ref, self._offline, self._pulled)) as progress:
            async for each in progress:
                yield each

    def _pulled(self) -> None:
        self._pulls -= 1

    async def delete(self, ref: str) -> None:
        """Delete a model from the store. Raises NotFound; Busy while it answers, is pinned, or guesses for another."""
        model = await self.find(ref)
        if self._draft is not None and model.path == self._draft.path:
            raise Busy(f"{model.name} guesses for {self._keep[0].name}", "start the server without --draft")
        if tenant := self._tenants.here.get(model.path):
            if tenant.users or tenant.pinned:
                raise Busy(f"{model.name} {'is answering' if tenant.users else 'is pinned'}", "stop that first")
            await self.unload(ref)
        await asyncio.to_thread(store.remove, model.ref)

    async def plan(self, ref: str, context: int | None = None) -> dict[str, Any]:
        """The memory that a model would take, here or on the hub. Raises as `furet.plan`."""
        threads = None  # the loop's
        try:
            where = (await self.find(ref)).path
        except FuretError:
            if self._offline:
                raise
            where, threads = names.to_fetch(ref), self._hub
        found = await asyncio.get_running_loop().run_in_executor(threads, self._tenants.plan, where, context)
        return {
            "model": ref,
            "rows": dict(found.rows),
            "total": found.total,
            "budget": found.budget,
            "budget_source": found.budget_source,
            "fits": found.fits,
            "kv": found.kv,
            "context": found.context,
            "sequences": found.sequences,
            "largest_context": found.largest_context,
            "trained_context": found.trained_context,
            "notes": list(found.notes),
        }

    async def close(self) -> None:
        """End all processes, and with WorkerDied what they were doing."""
        self._hub.shutdown(wait=False, cancel_futures=True)
        await self._tenants.close()


def require_one(models: Sequence[str], draft: str | None) -> None:
    """Raise BadRequest unless a draft has the one model whose words it guesses."""
    if draft is not None and len(models) != 1:
        raise BadRequest(
            f"draft: got {len(models)} models to load, wanted the one that it guesses for",
            "name one: furet serve MODEL --draft SMALLER; others are loaded when they are asked for",
        )


def _loaded(tenant: Tenant) -> Loaded:
    worker = tenant.worker
    running = worker.running if worker is not None else 0
    idle = None if tenant.pinned else tenant.keep_alive
    return Loaded(
        name=tenant.model.name,
        pid=worker.pid if worker is not None else 0,
        bytes=tenant.bytes,
        context=tenant.context,
        since=tenant.since,
        last_used=tenant.used,
        running=running,
        waiting=max(0, tenant.users - running),
        pinned=tenant.pinned,
        expires=None if idle is None else idle + (time() if tenant.users else tenant.used),
    )
