"""What Ollama's API makes of a model: answers to conversations and prompts, and vectors of texts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from furet.errors import BadRequest, NotFound
from furet.serve.jobs import AnswerChat, Continue, Embed, Job
from furet.serve.ollama import bodies, keep, options, replies, turns
from furet.serve.sse import stream, whole

if TYPE_CHECKING:
    from furet.serve.models import Models
    from furet.serve.ollama.keep import Departures

Asking = bodies.Answering | bodies.Embed | bodies.Embedding


def router(models: Models, departures: Departures) -> APIRouter:
    """/api/chat, /api/generate, /api/embed and /api/embeddings."""
    routes = APIRouter(prefix="/api", tags=["ollama"])

    @routes.post("/chat")
    async def chat(body: bodies.Chat, request: Request) -> Response:
        """The next message of a conversation; without messages, the model is loaded or unloaded."""
        job = _chat_job(body)
        if not body.messages:
            return await _only_load(models, departures, body, replies.chat_part)
        return await _answer(request, models, departures, body, job, replies.chat_part)

    @routes.post("/generate")
    async def generate(body: bodies.Generate, request: Request) -> Response:
        """What follows a prompt; without one, the model is loaded or unloaded."""
        job = _generate_job(body)
        if not body.prompt:
            return await _only_load(models, departures, body, replies.generate_part)
        return await _answer(request, models, departures, body, job, replies.generate_part)

    @routes.post("/embed")
    async def embed(body: bodies.Embed, request: Request) -> Response:
        """Vectors of length 1, one for each text."""
        job = Embed(body.input, bool(body.truncate))
        value, clock = await whole(request, _embedded(models, departures, body, job))
        vectors = value["vectors"] if body.dimensions is None else _cut(value["vectors"], body.dimensions)
        times = {"total_duration": clock.passed(), "load_duration": clock.loading}
        return JSONResponse({"model": body.model, "embeddings": vectors, **times, "prompt_eval_count": value["tokens"]})

    @routes.post("/embeddings")
    async def embeddings(body: bodies.Embedding, request: Request) -> Response:
        """The vector of one text."""
        value, _ = await whole(request, _embedded(models, departures, body, Embed([body.prompt])))
        return JSONResponse({"embedding": value["vectors"][0]})

    return routes


def _chat_job(body: bodies.Chat) -> AnswerChat:
    return AnswerChat(
        turns.conversation(body.messages or []),
        tools=turns.offered(body.tools),
        options=_options(body),
        overflow="drop" if body.truncate else "refuse",
    )


def _generate_job(body: bodies.Generate) -> Job:
    """A prompt is a conversation of one message; a raw one is continued as it is."""
    bodies.refuse(
        body,
        template="the model's own template is used; `raw` uses none",
        suffix="no model here fills in the middle",
        context="send the conversation to /api/chat",
        images="models of text see no images",
    )
    if body.raw:
        bodies.refuse(body, system="a raw prompt has no system message", truncate="a raw prompt is never cut")
        return Continue(body.prompt or "", _options(body))
    system = [{"role": "system", "content": body.system}] if body.system else []
    messages = [*system, {"role": "user", "content": body.prompt or ""}]
    return AnswerChat(messages, options=_options(body), overflow="drop" if body.truncate else "refuse")


def _options(body: bodies.Answering) -> dict[str, Any]:
    """The options of an answer; raises BadRequest for what cannot be honoured."""
    bodies.refuse(
        body,
        think="no model here thinks before it answers",
        shift="an answer ends where the context does",
    )
    bodies.refuse(body, "_", debug_render_only="prompts are answered, not given back")
    found = {**options.request_options(body.options), **options.form(body.format)}
    if body.top_logprobs is not None and not body.logprobs:
        raise BadRequest("top_logprobs: wanted only with logprobs")
    if body.logprobs:
        found["logprobs"] = body.top_logprobs or 0
    return found


async def _answer(
    request: Request, models: Models, departures: Departures, body: bodies.Answering, job: Job, part: replies.Part
) -> Response:
    """An answer, as a stream of lines unless the client wants it whole."""
    lines = _lines(models, departures, body, job, part)
    if body.stream is False:
        return JSONResponse(replies.joined(await whole(request, replies.all_of(lines)), part))
    return stream(request, replies.all_written(lines), replies.failed, media_type=replies.NDJSON, comment=b"")


async def _lines(
    models: Models, departures: Departures, body: bodies.Answering, job: Job, part: replies.Part
) -> AsyncGenerator[replies.Line, None]:
    """Load the model, answer, and see to it that the model stays as long as it should."""
    clock = await _loaded(models, body, replies.Clock())
    try:
        async with aclosing(replies.lines(models, body.model, job, part, clock)) as lines:
            async for line in lines:
                yield line
    finally:
        with suppress(NotFound):  # it has been deleted meanwhile
            await _stay(models, departures, body)


async def _only_load(models: Models, departures: Departures, body: bodies.Answering, part: replies.Part) -> Response:
    """Load the model, or with `keep_alive` 0 unload it."""
    unload = body.keep_alive is not None and keep.seconds(body.keep_alive) == 0
    clock = replies.Clock()
    if not unload:
        clock = await _loaded(models, body, clock)
    await _stay(models, departures, body)
    reason = "unload" if unload else "load"
    line = {**replies.head(body.model), **part("", ()), "done": True, "done_reason": reason}
    return JSONResponse({**line, "total_duration": clock.passed(), "load_duration": clock.loading})


async def _embedded(
    models: Models, departures: Departures, body: bodies.Embed | bodies.Embedding, job: Embed
) -> tuple[dict[str, Any], replies.Clock]:
    """What the job gives, and when it did."""
    for name in body.options or {}:
        if name not in options.ROOM:
            raise BadRequest(f"options.{name[:60]}: not an option of embeddings")
    clock = await _loaded(models, body, replies.Clock())
    value = await models.result(body.model, job)
    await _stay(models, departures, body)
    return value, clock


async def _loaded(models: Models, body: Asking, clock: replies.Clock) -> replies.Clock:
    """Have the model in memory, with the context that was asked for."""
    wanted = options.wanted_context(body.options)
    if body.keep_alive is not None:
        keep.seconds(body.keep_alive)
    await models.load(body.model)
    if wanted is not None:
        name = (await models.find(body.model)).name
        has = max((each.context for each in models.loaded() if each.name == name), default=wanted)
        if wanted > has:
            hint = f"start the server with --context {wanted}"
            raise BadRequest(f"options.num_ctx: got {wanted}, the model is loaded with a context of {has}", hint)
    return clock.loaded()


async def _stay(models: Models, departures: Departures, body: Asking) -> None:
    """See to it that the model leaves memory when the request says so."""
    if body.keep_alive is not None:
        name = (await models.find(body.model)).name
        await departures.set(name, keep.seconds(body.keep_alive))


def _cut(vectors: list[list[float]], dimensions: int) -> list[list[float]]:
    """The first dimensions of each vector, made length 1 again."""
    found = np.array(vectors, dtype=np.float64)
    if found.size and dimensions > found.shape[1]:
        raise BadRequest(f"dimensions: got {dimensions}, the model's vectors have {found.shape[1]}")
    found = found[:, :dimensions] if found.size else found
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    cut: list[list[float]] = (found / np.maximum(lengths, 1e-12)).tolist()
    return cut
