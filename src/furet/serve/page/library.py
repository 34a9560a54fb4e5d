"""Routes of the page: the models on this machine, their memory, and downloads, which go on without the page."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response

from furet.errors import BadRequest, FuretError
from furet.serve import names
from furet.serve.page import bodies
from furet.serve.page.views import memory_view, models_view

if TYPE_CHECKING:
    from furet.serve.models import Models
    from furet.serve.page.board import Board

MAX_PULLS = 4
MAX_FAILED = 16  # downloads that failed and of which nobody has taken note


class Pulls:
    """The downloads that are going on, and those that failed until somebody has read why."""

    def __init__(self, models: Models, board: Board) -> None:
        self._models, self._board = models, board
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, dict[str, Any]] = {}

    def view(self) -> list[dict[str, Any]]:
        """All of them: ref, label, done, total, error."""
        return list(self._told.values())

    def start(self, ref: str) -> None:
        """Begin a download; one that is going on already goes on. BadRequest for what may not be fetched."""
        names.to_fetch(ref)
        if ref in self._tasks:
            return
        if len(self._tasks) >= MAX_PULLS:
            raise BadRequest(f"{MAX_PULLS} downloads are going on", "wait for one of them to end")
        self._tell(ref, {"done": 0, "total": None})
        self._tasks[ref] = asyncio.create_task(self._pull(ref))

    async def stop(self, ref: str) -> None:
        """End a download, what was fetched stays; or forget why one failed."""
        if task := self._tasks.get(ref):
            task.cancel()
            await asyncio.wait({task})
        self._told.pop(ref, None)
        self._board.tell("pulls", self.view())

    async def close(self) -> None:
        """End all of them."""
        for ref in list(self._tasks):
            await self.stop(ref)

    async def _pull(self, ref: str) -> None:
        try:
            async for progress in self._models.pull(ref):
                step = asdict(progress) if is_dataclass(progress) else dict(progress)
                self._tell(ref, {"done": step.get("done", 0), "total": step.get("total")})
            self._told.pop(ref, None)
            self._board.tell("pulls", self.view())
            self._board.tell("models", await library(self._models))
        except FuretError as error:
            self._tell(ref, {"error": f"{error.message}\n{error.hint}" if error.hint else error.message})
        finally:
            self._tasks.pop(ref, None)

    def _tell(self, ref: str, progress: dict[str, Any]) -> None:
        self._told[ref] = {"ref": ref, "done": 0, "total": None, "error": None, **progress}
        failed = [each for each, told in self._told.items() if told["error"]]
        for oldest in failed[:-MAX_FAILED]:
            del self._told[oldest]
        self._board.tell("pulls", self.view())


async def library(models: Models) -> dict[str, Any]:
    """The models on this machine, and the memory of those that are loaded."""
    return {"models": await asyncio.to_thread(models_view, models), "memory": memory_view(models)}


def routes(models: Models, pulls: Pulls, board: Board) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/ui/api/models")

    async def changed() -> Response:
        board.tell("models", await library(models))
        return Response(status_code=204)

    @router.get("")
    async def listed() -> dict[str, Any]:
        return {**await library(models), "pulls": pulls.view()}

    @router.post("/plan")
    async def plan(body: bodies.PlanModel) -> dict[str, Any]:
        found = await models.plan(body.ref, body.context)
        rows = found["rows"]
        pairs = rows.items() if isinstance(rows, dict) else rows
        return {**found, "rows": [list(pair) for pair in pairs]}

    @router.post("/pull", status_code=202)
    async def pull(body: bodies.NamedModel) -> dict[str, Any]:
        pulls.start(body.ref)
        return {"pulls": pulls.view()}

    @router.post("/pull/stop", status_code=204)
    async def stop(body: bodies.NamedModel) -> Response:
        await pulls.stop(body.ref)
        return Response(status_code=204)

    @router.post("/load", status_code=204)
    async def load(body: bodies.NamedModel) -> Response:
        await models.load(body.ref)
        return await changed()

    @router.post("/unload", status_code=204)
    async def unload(body: bodies.NamedModel) -> Response:
        await models.unload(body.ref)
        return await changed()

    @router.delete("", status_code=204)
    async def delete(body: bodies.NamedModel) -> Response:
        await models.delete(body.ref)
        return await changed()

    return router
