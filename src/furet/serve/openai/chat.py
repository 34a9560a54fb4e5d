"""/v1/chat/completions: the next message of a conversation, whole or as it is made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from furet.chat.events import Began, CallArguments, CallBegan, Ended, Event, Text
from furet.serve import sse
from furet.serve.errors import Failure, shaped
from furet.serve.jobs import AnswerChat, Continue
from furet.serve.openai.answers import Answer, Spelling, events, fingerprint, gathered, new_id, seeded, usage_of
from furet.serve.openai.chat_request import ChatRequest

if TYPE_CHECKING:
    from furet.serve.models import Models

PATH = "/v1/chat/completions"


def router(models: Models) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post(PATH)
    async def chat(body: ChatRequest, request: Request) -> Response:
        """The next message of a conversation."""
        jobs = seeded(body.job(), body.n or 1)
        if body.stream:
            return sse.stream(request, _chunks(models, body, jobs), failed_frame)
        return JSONResponse(await sse.whole(request, _completion(models, body, jobs)))

    return routes


def failed_frame(failure: Failure) -> bytes:
    """What a stream that has begun says of a failure."""
    return sse.frame(shaped(PATH, failure))


def finish_reason(ended: Ended) -> str:
    """How an answer ended, in the words of the API."""
    return "stop" if ended.reason == "cancelled" else ended.reason


async def _completion(models: Models, body: ChatRequest, jobs: Sequence[AnswerChat | Continue]) -> dict[str, Any]:
    """All answers, whole."""
    answers = await gathered(models, body.model, jobs)
    spelling = Spelling(models, body.model)
    choices = [
        {
            "index": place,
            "message": _message(answer),
            "logprobs": _logprobs(await spelling.shown(answer.logprobs)) if body.logprobs else None,
            "finish_reason": finish_reason(answer.ended),
        }
        for place, answer in enumerate(answers)
    ]
    ended = [answer.ended for answer in answers]
    return {**_head(body, "chat.completion"), "choices": choices, "usage": usage_of(ended, ended[:1])}


async def _chunks(
    models: Models, body: ChatRequest, jobs: Sequence[AnswerChat | Continue]
) -> AsyncGenerator[bytes, None]:
    """The answers as they are made, then the usage if it is wanted."""
    with_usage = body.stream_options is not None and body.stream_options.include_usage
    head = _head(body, "chat.completion.chunk") | ({"usage": None} if with_usage else {})
    spelling = Spelling(models, body.model)
    ended: dict[int, Ended] = {}
    async with aclosing(events(models, body.model, jobs)) as arriving:
        async for place, event in arriving:
            if isinstance(event, Ended):
                ended[place] = event
            delta = _delta(event)
            if delta is None:
                continue
            choice = {"index": place, "delta": delta, "logprobs": None, "finish_reason": None}
            if isinstance(event, Ended):
                choice["finish_reason"] = finish_reason(event)
            if isinstance(event, Text) and event.logprobs:
                choice["logprobs"] = _logprobs(await spelling.shown(event.logprobs))
            yield sse.frame({**head, "choices": [choice]})
    if with_usage:
        yield sse.frame({**head, "choices": [], "usage": usage_of(list(ended.values()), [ended[0]])})
    yield sse.DONE


def _delta(event: Event) -> dict[str, Any] | None:
    """What an event adds to the message; None where it adds nothing that is shown."""
    if isinstance(event, Began):
        return {"role": "assistant", "content": ""}
    if isinstance(event, Text):
        return {"content": event.text} if event.text or event.logprobs else None
    if isinstance(event, CallBegan):
        function = {"name": event.name, "arguments": ""}
        return {"tool_calls": [{"index": event.index, "id": event.id, "type": "function", "function": function}]}
    if isinstance(event, CallArguments):
        return {"tool_calls": [{"index": event.index, "function": {"arguments": event.text}}]}
    return {}


def _message(answer: Answer) -> dict[str, Any]:
    """The whole message."""
    text = "".join(answer.text)
    content = text if text or not answer.calls else None
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in answer.calls
        ]
    return message


def _logprobs(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": content, "refusal": None}


def _head(body: ChatRequest, kind: str) -> dict[str, Any]:
    return {
        "id": new_id("chatcmpl-"),
        "object": kind,
        "created": int(time()),
        "model": body.model,
        "system_fingerprint": fingerprint(),
    }
