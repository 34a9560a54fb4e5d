"""Routes of the page: chats, their messages and answers, search, presets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response

from furet.chat.store import ChatFields, Conversation, Member, Message
from furet.errors import BadRequest
from furet.serve.page import bodies
from furet.serve.page.views import chat_view, hit_view, message_view, page_of, preset_view

if TYPE_CHECKING:
    from furet.chat.store import Store
    from furet.serve.page.answers import Answers
    from furet.serve.page.board import Board

PAGE = 40  # messages
off = asyncio.to_thread  # the store waits for the disk


def routes(store: Store, answers: Answers, board: Board) -> APIRouter:
    """All of them, over one store."""
    router = APIRouter(prefix="/ui/api")
    talks = _Talks(store, answers, board)
    _chats(router, store, answers, board, talks)
    _messages(router, store, answers, board, talks)
    _branches(router, store, answers, talks)
    _presets(router, store)
    return router


@dataclass(frozen=True)
class _Talks:
    """Chats with their messages, as several routes give them."""

    store: Store
    answers: Answers
    board: Board

    async def opened(self, chat: str) -> dict[str, Any]:
        """A chat with its last messages."""
        number = self.board.told
        return {**await self._shown(await off(self.store.open, chat)), "number": number}

    async def branched(self, conversation: Conversation) -> dict[str, Any]:
        """The chat after its path has changed; other pages that show it are told to look again."""
        self.board.tell("path", {"id": conversation.chat.id}, conversation.chat.id)
        number = self.board.told
        return {**await self._shown(conversation), "number": number}

    @asynccontextmanager
    async def at_rest(self, message: str) -> AsyncIterator[Message]:
        """A message of a chat in which nobody is answering, nor begins to."""
        found = await off(self.store.message, message)
        async with self.answers.rest(found.chat):
            yield found

    async def _shown(self, conversation: Conversation) -> dict[str, Any]:
        """A chat and its last messages, rendered in a thread: they may be long, and nobody else is to wait for them."""
        chat, answers = conversation.chat, self.answers
        page = await off(page_of, conversation, None, PAGE)
        shown, running = page["messages"], answers.running(chat.id)
        if running and shown and shown[-1]["id"] == running.message.id:
            shown[-1] = {**running.view(), **running.so_far()}
        return {"chat": chat_view(chat, answers.answering(chat.id)), **page}


def _chats(router: APIRouter, store: Store, answers: Answers, board: Board, talks: _Talks) -> None:
    @router.get("/chats")
    async def list_chats(
        model: Annotated[str | None, Query(max_length=512)] = None,
        groups: bool = False,
        archived: bool = False,
        after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        page = await off(store.chats, model=model, groups=groups, archived=archived, after=after, limit=limit)
        return {"chats": [chat_view(chat, answers.answering(chat.id)) for chat in page.chats], "next": page.next}

    @router.post("/chats", status_code=201)
    async def new_chat(body: bodies.NewChat) -> dict[str, Any]:
        fields: ChatFields = {"title": body.title}
        if body.preset is not None:
            preset = await off(store.preset, body.preset)
            fields |= {"system": preset.system, "settings": preset.settings, "preset": preset.format}
        if body.members:
            fields["members"] = [Member(each.name, each.model, each.system) for each in body.members]
        chat = await off(store.new_chat, body.model, **fields)
        board.tell("chat", chat_view(chat))
        return chat_view(chat)

    @router.get("/chats/{chat}")
    async def open_chat(chat: str) -> dict[str, Any]:
        return await talks.opened(chat)

    @router.patch("/chats/{chat}")
    async def change_chat(chat: str, body: bodies.ChangeChat) -> dict[str, Any]:
        given = body.model_dump(exclude_unset=True)
        if "format" in given:
            given["preset"] = given.pop("format")
        for name in ("title", "settings", "pinned", "archived", "turns"):
            if name in given and given[name] is None:
                raise BadRequest(f"{name}: got null")
        changed = chat_view(await off(store.change, chat, **given), answers.answering(chat))
        board.tell("chat", changed)
        return changed

    @router.delete("/chats/{chat}", status_code=204)
    async def delete_chat(chat: str) -> Response:
        await answers.stop(chat)
        await off(store.delete, chat)
        board.tell("gone", {"id": chat})
        return Response(status_code=204)

    @router.get("/search")
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=200)],
        limit: Annotated[int, Query(ge=1, le=100)] = 40,
    ) -> dict[str, Any]:
        return {"hits": [hit_view(hit) for hit in await off(store.search, q, limit=limit)]}


def _messages(router: APIRouter, store: Store, answers: Answers, board: Board, talks: _Talks) -> None:
    @router.get("/chats/{chat}/messages")
    async def older(
        chat: str,
        before: Annotated[str, Query(max_length=64)],
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> dict[str, Any]:
        return await off(lambda: page_of(store.open(chat), before, limit))

    @router.post("/chats/{chat}/say", status_code=201)
    async def say(chat: str, body: bodies.Say) -> dict[str, Any]:
        async with answers.rest(chat):
            message = await off(store.say, chat, body.text)
            conversation = await off(store.open, chat)
            answers.start(chat)
        view = message_view(message, conversation.siblings.get(message.id, ()))
        board.tell("message", view, chat)
        return {"message": view, "chat": chat_view(conversation.chat, answering=True)}

    @router.post("/chats/{chat}/stop", status_code=204)
    async def stop(chat: str) -> Response:
        await answers.stop(chat)
        return Response(status_code=204)

    @router.post("/messages/{message}/again")
    async def again(message: str) -> dict[str, Any]:
        async with talks.at_rest(message) as old:
            if old.role != "assistant":
                raise BadRequest("message: only answers can be made anew", "edit it instead")
            answers.start(old.chat, again=old)
        return {}

    @router.post("/messages/{message}/onward")
    async def onward(message: str) -> dict[str, Any]:
        async with talks.at_rest(message) as old:
            conversation = await off(store.open, old.chat)
            if conversation.chat.leaf != old.id or old.role != "assistant" or not old.content:
                raise BadRequest("message: only the last answer, with some text, can be gone on with")
            answers.start(old.chat, onward=old)
        return {}


def _branches(router: APIRouter, store: Store, answers: Answers, talks: _Talks) -> None:
    @router.post("/messages/{message}/edit")
    async def edit(message: str, body: bodies.Edit) -> dict[str, Any]:
        async with talks.at_rest(message) as old:
            new = await off(store.edit, old.id, body.text)
            conversation = await off(store.open, old.chat)
            if new.role == "user":
                answers.start(old.chat)
        return await talks.branched(conversation)

    @router.post("/messages/{message}/select")
    async def select(message: str) -> dict[str, Any]:
        found = await off(store.message, message)
        conversation = await off(store.open, found.chat)
        if any(each.id == message for each in conversation.messages):
            return await talks.opened(found.chat)  # nothing changes, so somebody may be answering there
        async with talks.at_rest(message):
            conversation = await off(store.select, message)
        return await talks.branched(conversation)

    @router.delete("/messages/{message}")
    async def remove(message: str) -> dict[str, Any]:
        async with talks.at_rest(message) as found:
            conversation = await off(store.remove, found.id)
        return await talks.branched(conversation)


def _presets(router: APIRouter, store: Store) -> None:
    @router.get("/presets")
    async def presets() -> dict[str, Any]:
        return {"presets": [preset_view(preset) for preset in await off(store.presets)]}

    @router.post("/presets", status_code=201)
    async def save(body: bodies.SavePreset) -> dict[str, Any]:
        saved = await off(
            lambda: store.save_preset(
                body.name, system=body.system, settings=body.settings, format=body.format, preset=body.id
            )
        )
        return preset_view(saved)

    @router.delete("/presets/{preset}", status_code=204)
    async def delete(preset: str) -> Response:
        await off(store.delete_preset, preset)
        return Response(status_code=204)
