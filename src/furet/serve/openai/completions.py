"""/v1/completions: what follows a text; no template is applied.

    honoured    model, prompt (a text, texts, token ids, lists of token ids), stream, stream_options.include_usage, n,
                stop, seed, temperature, top_p, presence_penalty, frequency_penalty, logit_bias, logprobs, max_tokens
                (16 where nothing is said, as OpenAI has it), echo without logprobs; and by their own names all other
                options of `furet.engine.request.Options`
    accepted    user; best_of, when it is n
    refused     everything else, suffix among it
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import accumulate
from time import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, model_validator

from furet.chat.events import Began, Ended, Event, Text
from furet.errors import BadRequest
from furet.sample.token_logprob import TokenLogprob
from furet.serve import sse
from furet.serve.fields import EngineFields, Label, Name, Tokens, Words, options_of
from furet.serve.jobs import AnswerChat, Continue, Detokenize
from furet.serve.limits import MAX_CHOICES
from furet.serve.openai.answers import Spelling, events, fingerprint, gathered, new_id, seeded, usage_of
from furet.serve.openai.chat import failed_frame, finish_reason
from furet.serve.openai.chat_request import MostTokens, StreamOptions

if TYPE_CHECKING:
    from furet.serve.models import Models

MAX_TOKENS = 16
MAX_PROMPTS = 128
Many = Field(min_length=1, max_length=MAX_PROMPTS)
Jobs = Sequence[AnswerChat | Continue]


class CompletionRequest(EngineFields):
    """What follows prompts is wanted."""

    model: Name
    prompt: Words | Tokens | Annotated[list[Words], Many] | Annotated[list[Tokens], Many]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    best_of: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_tokens: MostTokens | None = None
    echo: bool | None = None
    user: Label | None = None

    @model_validator(mode="after")
    def _together(self) -> CompletionRequest:
        """What fields say of each other."""
        if self.stream_options is not None and not self.stream:
            raise BadRequest("stream_options: only with stream")
        if self.best_of not in (None, self.n or 1):
            raise BadRequest(f"best_of: got {self.best_of}, wanted as many as n: all answers are given back")
        if self.echo and self.logprobs is not None:
            raise BadRequest("echo: not together with logprobs, which are known of answers only")
        if len(self.prompts) * (self.n or 1) > MAX_PROMPTS:
            raise BadRequest(f"prompt: got {len(self.prompts)} with n {self.n}, wanted at most {MAX_PROMPTS} answers")
        return self

    @property
    def prompts(self) -> list[Any]:
        """Each a text, or token ids."""
        one = isinstance(self.prompt, str) or not self.prompt or isinstance(self.prompt[0], int)
        return [self.prompt] if one else list(self.prompt)

    def jobs(self) -> list[AnswerChat | Continue]:
        """For each prompt, n; raises BadRequest."""
        options = options_of(self, ("max_tokens",), max_tokens=self.max_tokens or MAX_TOKENS)
        return [job for prompt in self.prompts for job in seeded(Continue(prompt, options), self.n or 1)]


def router(models: Models) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/completions")
    async def completions(body: CompletionRequest, request: Request) -> Response:
        """What follows a text."""
        jobs = body.jobs()
        if body.stream:
            return sse.stream(request, _chunks(models, body, jobs), failed_frame)
        return JSONResponse(await sse.whole(request, _completion(models, body, jobs)))

    return routes


async def _completion(models: Models, body: CompletionRequest, jobs: Jobs) -> dict[str, Any]:
    """All answers, whole."""
    answers = await gathered(models, body.model, jobs)
    echoes = await _echoes(models, body)
    shown = _Logprobs(Spelling(models, body.model))
    choices = [
        {
            "index": place,
            "text": echoes[place] + "".join(answer.text),
            "logprobs": await shown.of(answer.logprobs, 0) if body.logprobs is not None else None,
            "finish_reason": finish_reason(answer.ended),
        }
        for place, answer in enumerate(answers)
    ]
    ended = [answer.ended for answer in answers]
    return {**_head(body), "choices": choices, "usage": usage_of(ended, ended[:: body.n or 1])}


async def _chunks(models: Models, body: CompletionRequest, jobs: Jobs) -> AsyncGenerator[bytes, None]:
    """The answers as they are made, then the usage if it is wanted."""
    with_usage = body.stream_options is not None and body.stream_options.include_usage
    head = _head(body) | ({"usage": None} if with_usage else {})
    echoes = await _echoes(models, body)
    shown = _Logprobs(Spelling(models, body.model))
    lengths = [0] * len(jobs)  # characters of each answer so far
    ended: dict[int, Ended] = {}
    async with aclosing(events(models, body.model, jobs)) as arriving:
        async for place, event in arriving:
            text = _text(event, echoes[place])
            if text is None:
                continue
            choice = {"index": place, "text": text, "logprobs": None, "finish_reason": None}
            if isinstance(event, Text) and event.logprobs:
                choice["logprobs"] = await shown.of(event.logprobs, lengths[place])
            if isinstance(event, Ended):
                ended[place] = event
                choice["finish_reason"] = finish_reason(event)
            lengths[place] += len(text)
            yield sse.frame({**head, "choices": [choice]})
    if with_usage:
        in_order = [ended[place] for place in range(len(jobs))]
        yield sse.frame({**head, "choices": [], "usage": usage_of(in_order, in_order[:: body.n or 1])})
    yield sse.DONE


def _text(event: Event, echo: str) -> str | None:
    """What an event adds to the text; None where it adds nothing that is shown."""
    if isinstance(event, Began):
        return echo or None
    if isinstance(event, Text):
        return event.text if event.text or event.logprobs else None
    return "" if isinstance(event, Ended) else None


async def _echoes(models: Models, body: CompletionRequest) -> list[str]:
    """What stands before each answer: its prompt, when that is wanted."""
    if not body.echo:
        return [""] * (len(body.prompts) * (body.n or 1))
    texts = [
        prompt if isinstance(prompt, str) else (await models.result(body.model, Detokenize(prompt)))["text"]
        for prompt in body.prompts
    ]
    return [text for text in texts for _ in range(body.n or 1)]


class _Logprobs:
    """Log-probabilities as this API shows them, which is not as chats do."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling

    async def of(self, logprobs: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
        """offset: characters of the answer before these tokens."""
        await self._spelling.learn(logprobs)
        tokens = [self._spelling.text(each.token) for each in logprobs]
        return {
            "tokens": tokens,
            "token_logprobs": [each.logprob for each in logprobs],
            "top_logprobs": [{self._spelling.text(token): value for token, value in each.top} for each in logprobs],
            "text_offset": list(accumulate(map(len, tokens), initial=offset))[:-1],
        }


def _head(body: CompletionRequest) -> dict[str, Any]:
    return {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": int(time()),
        "model": body.model,
        "system_fingerprint": fingerprint(),
    }
