"""Routes of the page: what it needs to begin, and the stream of what happens from then on.

The stream's events: `message` and `frame` of the chat that the page shows, `path` when its branch was changed
elsewhere; `chat` and `gone` of any chat; `models` and `pulls`. Whoever comes again says which answer it saw being
written, and how many blocks of it are final there: it is sent the rest.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from furet.errors import NotFound
from furet.serve import sse
from furet.serve.errors import shaped
from furet.serve.jobs import CountTokens
from furet.serve.page.library import Pulls, library
from furet.serve.page.samplers import SAMPLERS
from furet.serve.page.views import chat_view, memory_view, message_view, preset_view

if TYPE_CHECKING:
    from furet.chat.store import Store
    from furet.serve.models import Models
    from furet.serve.page.answers import Answers
    from furet.serve.page.board import Board, Page

LOOK = 1.5  # seconds between two looks at what is loaded
SUGGESTED = "smollm2"


def routes(models: Models, store: Store, answers: Answers, board: Board, pulls: Pulls) -> APIRouter:
    """Both, and the use of a chat's context."""
    router = APIRouter(prefix="/ui/api")

    @router.get("/start")
    async def start() -> dict[str, Any]:
        from furet.chat.presets import PRESETS

        page = await asyncio.to_thread(store.chats, limit=50)
        presets = await asyncio.to_thread(store.presets)
        return {
            **await library(models),
            "chats": [chat_view(chat, answers.answering(chat.id)) for chat in page.chats],
            "next": page.next,
            "presets": [preset_view(preset) for preset in presets],
            "formats": [{"name": each.name, "about": each.about} for each in PRESETS],
            "samplers": SAMPLERS,
            "pulls": pulls.view(),
            "suggested": SUGGESTED,
        }

    @router.get("/events")
    async def events(
        request: Request,
        chat: Annotated[str, Query(max_length=64)] = "",
        message: Annotated[str, Query(max_length=64)] = "",
        have: Annotated[int, Query(ge=0, le=1 << 30)] = 0,
    ) -> Response:
        def failed(failure: Any) -> bytes:
            return sse.frame(shaped(request.url.path, failure), "failed")

        return await sse.stream(request, _followed(chat, message, have), failed)

    async def _followed(chat: str, message: str, have: int) -> sse.Frames:
        with board.page(chat) as page:
            now = await library(models)
            for kind, data in await _missed(chat, message, have):
                yield sse.frame(data, kind)
            yield sse.frame({**now}, "models")
            yield sse.frame(pulls.view(), "pulls")
            async for event in _awaited(page, now["memory"]):
                yield event

    async def _missed(chat: str, message: str, have: int) -> list[tuple[str, Any]]:
        """What the page does not know of the chat that it shows."""
        missed: list[tuple[str, Any]] = []
        running = answers.running(chat)
        if message and (running is None or running.message.id != message):  # it came to its end meanwhile
            try:
                conversation = await asyncio.to_thread(store.open, chat)
                ended = await asyncio.to_thread(store.message, message)
                missed.append(("message", message_view(ended, conversation.siblings.get(message, ()))))
            except NotFound:
                missed.append(("path", {"id": chat}))
            running = answers.running(chat)
            have = 0
        if running is not None:
            if running.message.id != message:
                missed.append(("message", running.view()))
                have = 0
            missed.append(("frame", running.frame(have)))
        return missed

    async def _awaited(page: Page, memory: dict[str, int]) -> sse.Frames:
        """What happens, until the page has fallen behind; now and then a look at what is loaded."""
        while True:
            try:
                event = await asyncio.wait_for(page.events.get(), LOOK)
            except asyncio.TimeoutError:
                if (found := memory_view(models)) != memory:
                    memory = found
                    yield sse.frame(await library(models), "models")
                continue
            if event is None:
                return
            yield event

    @router.get("/chats/{chat}/usage")
    async def usage(chat: str) -> dict[str, Any]:
        """How much of the context the chat takes; nulls while its model is not loaded."""
        from furet.chat.store import view_for

        conversation = await asyncio.to_thread(store.open, chat)
        found = conversation.chat
        member = found.members[0] if found.members else None
        model = found.model or (member.model if member else "")
        context = next((each.context for each in models.loaded() if each.name == model and each.pid), None)
        if context is None or answers.answering(chat):
            return {"context": None, "tokens": None}
        messages = view_for(conversation, member)
        counted = await models.result(model, CountTokens(messages, preset=found.preset)) if messages else {"tokens": 0}
        return {"context": context, "tokens": counted["tokens"]}

    return router
