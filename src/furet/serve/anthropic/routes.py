"""/v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from furet.engine.request import Request as EngineRequest
from furet.serve.anthropic import bodies, replies, turns
from furet.serve.errors import Failure, shaped
from furet.serve.jobs import AnswerChat, CountTokens
from furet.serve.sse import frame, stream, whole

if TYPE_CHECKING:
    from furet.serve.models import Models

PATH = "/v1/messages"
PING = frame({"type": "ping"}, "ping")


def router(models: Models) -> APIRouter:
    """The routes of Anthropic's Messages API."""
    routes = APIRouter(tags=["anthropic"])

    @routes.post(PATH)
    async def create(body: bodies.Create, request: Request) -> Response:
        """The next message of a conversation."""
        job = _job(body)
        events = replies.events(body.model, models, job, body.max_tokens)
        if body.stream:
            return stream(request, _framed(events), _failed, comment=PING)
        return JSONResponse(await whole(request, replies.message(events)))

    @routes.post(f"{PATH}/count_tokens")
    async def count_tokens(body: bodies.Prompt, request: Request) -> Response:
        """How many tokens the prompt of a message has."""
        offer = turns.offered(body)
        messages = turns.conversation(body)
        tools = offer.tools if offer.choice != "none" else ()
        job = CountTokens(messages, tools, resume=turns.unfinished(messages))
        value = await whole(request, models.result(body.model, job))
        return JSONResponse({"input_tokens": value["tokens"]})

    return routes


def _job(body: bodies.Create) -> AnswerChat:
    """What the model is asked for; raises BadRequest for what it cannot be."""
    offer = turns.offered(body)
    messages = turns.conversation(body)
    options = turns.request_options(body)
    EngineRequest(**options)
    return AnswerChat(
        messages,
        tools=offer.tools,
        tool_choice=offer.choice,
        parallel=offer.parallel,
        options=options,
        resume=turns.resumes(messages),
    )


async def _framed(events: AsyncGenerator[replies.Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for event in events:
            yield frame(event, event["type"])


def _failed(failure: Failure) -> bytes:
    """The last event of a stream that fails on the way."""
    return frame(shaped(PATH, failure), "error")
