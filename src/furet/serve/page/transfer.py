"""Routes of the page: conversations out of furet and into it, as files."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from furet.chat.exchange import export_json, export_markdown, import_chats
from furet.errors import BadRequest
from furet.serve.page import bodies

if TYPE_CHECKING:
    from furet.chat.store import Store
    from furet.serve.page.board import Board

MEDIA_TYPES = {"json": "application/json", "markdown": "text/markdown; charset=utf-8"}


def routes(store: Store, board: Board) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/ui/api")

    @router.get("/chats/{chat}/export")
    async def export_chat(chat: str, format: Annotated[Literal["json", "markdown"], Query()] = "json") -> Response:
        await asyncio.to_thread(store.chat, chat)  # NotFound before the answer has begun
        if format == "markdown":
            text = await asyncio.to_thread(export_markdown, store, chat)
            return Response(text, headers=_attached("markdown", "md"))
        return StreamingResponse(_encoded(export_json(store, [chat])), headers=_attached("json", "json"))

    @router.get("/export")
    async def export_all() -> Response:
        return StreamingResponse(_encoded(export_json(store)), headers=_attached("json", "json"))

    @router.post("/import", status_code=201)
    async def import_file(body: bodies.ImportFile) -> dict[str, Any]:
        try:
            data = b64decode(body.data, validate=True)
        except ValueError as error:  # also characters that are not ASCII
            raise BadRequest(f"data: not base64: {error}") from None
        name = body.name if body.name.isprintable() else "the file"
        imported = await asyncio.to_thread(import_chats, store, BytesIO(data), name=name)
        board.tell("chats", {})
        return {"chats": [{"id": chat.id, "title": chat.title} for chat in imported.chats[:50]],
                "count": len(imported.chats), "messages": imported.messages}  # fmt: skip

    return router


def _encoded(pieces: Iterable[str]) -> Iterable[bytes]:
    """The text as UTF-8; in the threads of the response, as the store waits for the disk."""
    for piece in pieces:
        yield piece.encode("utf-8", "replace")


def _attached(kind: Literal["json", "markdown"], ending: str) -> dict[str, str]:
    """Headers of a file that is kept and never shown; its name holds nothing that people or models wrote."""
    return {"content-type": MEDIA_TYPES[kind], "content-disposition": f'attachment; filename="furet-chats.{ending}"'}
