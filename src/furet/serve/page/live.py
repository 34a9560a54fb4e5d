"""Routes of the page: what it needs to begin, and the stream of what happens from then on.

The stream's events: `message` and `frame` of the chat that the page shows, `path` when its branch was changed
elsewhere; `chat` and `gone` of any chat; `models` and `pulls`. Whoever comes says which message it shows as the
last, and, where that is being written, how many of its blocks are final there: it is sent the rest.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

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
    live = _Live(models, store, answers, board, pulls)

    @router.get("/start")
    async def start() -> dict[str, Any]:
        return await live.beginning()

    @router.get("/events")
    async def events(
        request: Request,
        chat: Annotated[str, Query(max_length=64)] = "",
        last: Annotated[str, Query(max_length=64)] = "",
        have: Annotated[int, Query(ge=0, le=1 << 30)] = 0,
    ) -> Response:
        def failed(failure: Any) -> bytes:
            return sse.frame(shaped(request.url.path, failure), "failed")

        return sse.stream(request, live.followed(chat, last, have), failed)

    @router.get("/chats/{chat}/usage")
    async def usage(chat: str) -> dict[str, Any]:
        return await live.usage(chat)

    return router


@dataclass(frozen=True)
class _Live:
    """What is so now, and what happens next."""

    models: Models
    store: Store
    answers: Answers
    board: Board
    pulls: Pulls

    async def beginning(self) -> dict[str, Any]:
        """All that the page needs to begin."""
        from furet.chat.presets import PRESETS

        listed = self.board.listed
        page = await asyncio.to_thread(self.store.chats, limit=50)
        presets = await asyncio.to_thread(self.store.presets)
        return {
            **await library(self.models),
            "chats": [chat_view(chat, self.answers.answering(chat.id)) for chat in page.chats],
            "next": page.next,
            "listed": listed,
            "presets": [preset_view(preset) for preset in presets],
            "formats": [{"name": each.name, "about": each.about} for each in PRESETS],
            "samplers": SAMPLERS,
            "pulls": self.pulls.view(),
            "suggested": SUGGESTED,
        }

    async def followed(self, chat: str, last: str, have: int) -> sse.Frames:
        """The stream of events, for a page that shows a chat, or none."""
        with self.board.page(chat) as page:
            now = await library(self.models)
            for kind, data in await self._missed(chat, last, have):
                yield sse.frame(data, kind)
            yield sse.frame({"chats": self.answers.chats(), "listed": self.board.listed}, "answering")
            yield sse.frame(now, "models")
            yield sse.frame(self.pulls.view(), "pulls")
            async for event in self._awaited(page, now["memory"]):
                yield event

    async def _missed(self, chat: str, last: str, have: int) -> list[tuple[str, Any]]:
        """What the page does not know of the chat that it shows, whose last message it says to be `last`."""
        if not chat:
            return []
        conversation = await asyncio.to_thread(self.store.open, chat)
        messages = conversation.messages
        missed: list[tuple[str, Any]] = [("chat", chat_view(conversation.chat, self.answers.answering(chat)))]
        if (messages[-1].id if messages else "") != last:
            return [*missed, ("path", {"id": chat})]
        running = self.answers.running(chat)
        if running is not None and running.message.id == last:
            return [*missed, ("frame", running.frame(have))]
        shown = conversation.siblings.get(last, ())
        if messages:  # it may have ended meanwhile
            missed.append(("message", await asyncio.to_thread(message_view, messages[-1], shown)))
        return missed

    async def _awaited(self, page: Page, memory: dict[str, int]) -> sse.Frames:
        """What happens, until the page has fallen behind; now and then a look at what is loaded."""
        loop = asyncio.get_running_loop()
        look = loop.time() + LOOK
        while True:
            try:
                event = await asyncio.wait_for(page.events.get(), max(0.01, look - loop.time()))
            except asyncio.TimeoutError:
                event = b""
            if event is None:
                return
            if event:
                yield event
            if loop.time() >= look:
                look = loop.time() + LOOK
                if (found := memory_view(self.models)) != memory:
                    memory = found
                    yield sse.frame(await library(self.models), "models")

    async def usage(self, chat: str) -> dict[str, Any]:
        """How much of the context a chat takes; nulls while its model is not loaded."""
        from furet.chat.store import view_for

        conversation = await asyncio.to_thread(self.store.open, chat)
        found = conversation.chat
        member = found.members[0] if found.members else None
        model = found.model or (member.model if member else "")
        context = next((each.context for each in self.models.loaded() if each.name == model and each.pid), None)
        if context is None or self.answers.answering(chat):
            return {"context": None, "tokens": None}
        messages = view_for(conversation, member)
        if not messages:
            return {"context": context, "tokens": 0}
        counted = await self.models.result(model, CountTokens(messages, preset=found.preset))
        return {"context": context, "tokens": counted["tokens"]}
