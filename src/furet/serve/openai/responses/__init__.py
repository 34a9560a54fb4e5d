"""/v1/responses: the next turn of a conversation that the server remembers.

    request     what it takes
    writing     the events and the object that it gives
    kept        responses that later ones may refer to
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from furet.errors import BadRequest
from furet.serve import sse
from furet.serve.jobs import AnswerChat
from furet.serve.openai.answers import Spelling, events
from furet.serve.openai.responses.kept import Responses
from furet.serve.openai.responses.request import ResponseRequest
from furet.serve.openai.responses.writing import Writer, framed

if TYPE_CHECKING:
    from furet.serve.models import Models


def router(models: Models) -> APIRouter:
    """The routes; what they remember is theirs."""
    routes = APIRouter(tags=["OpenAI"])
    kept = Responses()

    @routes.post("/v1/responses")
    async def respond(body: ResponseRequest, request: Request) -> Response:
        """The next turn of a conversation."""
        messages = [*_before(kept, body.previous_response_id), *body.messages()]
        job = body.job(messages)
        writer = Writer(body, Spelling(models, body.model))
        written = _written(models, body, job, writer)
        written = _keeping(written, kept, writer, messages) if body.store is not False else written
        if body.stream:
            return sse.stream(request, _frames(written), writer.failed)
        await sse.whole(request, _read(written))
        return JSONResponse(writer.response)

    @routes.get("/v1/responses/{id}")
    async def retrieve(id: str) -> dict[str, Any]:
        """A response that is still remembered."""
        if (found := kept.get(id)) is None:
            raise HTTPException(404, f"no response {id:.80}: it was not stored, or is forgotten")
        return found.response

    @routes.delete("/v1/responses/{id}")
    async def delete(id: str) -> dict[str, Any]:
        """Forget a response."""
        if not kept.forget(id):
            raise HTTPException(404, f"no response {id:.80}: it was not stored, or is forgotten")
        return {"id": id, "object": "response", "deleted": True}

    return routes


def _before(kept: Responses, id: str | None) -> list[dict[str, Any]]:
    """The conversation that a request goes on with."""
    if id is None:
        return []
    if (found := kept.get(id)) is None:
        raise BadRequest(
            f"previous_response_id: no response {id:.80}",
            "responses are kept in memory, the oldest forgotten first: send the whole conversation as input",
        )
    return found.messages


async def _written(
    models: Models, body: ResponseRequest, job: AnswerChat, writer: Writer
) -> AsyncGenerator[dict[str, Any], None]:
    """The events of a response."""
    async with aclosing(events(models, body.model, [job])) as arriving:
        async for _, event in arriving:
            for each in await writer.add(event):
                yield each


async def _keeping(
    written: AsyncGenerator[dict[str, Any], None], kept: Responses, writer: Writer, messages: list[dict[str, Any]]
) -> AsyncGenerator[dict[str, Any], None]:
    """The same; a response that is complete is remembered before its last event goes out."""
    async with aclosing(written):
        async for each in written:
            if each["type"] in ("response.completed", "response.incomplete"):
                kept.keep(writer.response, [*messages, writer.message()])
            yield each


async def _frames(written: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(written):
        async for each in written:
            yield framed(each)


async def _read(written: AsyncGenerator[dict[str, Any], None]) -> None:
    async with aclosing(written):
        async for _ in written:
            pass
