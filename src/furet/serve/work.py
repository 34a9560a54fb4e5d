"""A job done with a model, in the process that holds it: replies one by one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import fields
from threading import Event as Flag
from typing import Any

from furet.chat.events import Began, Ended, Event, Text
from furet.chat.model import Model
from furet.engine.answer import Completion, Piece
from furet.engine.request import Request
from furet.errors import BadRequest
from furet.sample.draws import fresh_seed
from furet.serve.jobs import (
    AnswerChat,
    Continue,
    CountTokens,
    Detokenize,
    Embed,
    Job,
    Reply,
    Result,
    Tokenize,
)

Begun = Callable[[Callable[[], None]], None]
"""Called with what cancels the job from any thread, once that is possible."""

_OPTIONS = frozenset(field.name for field in fields(Request))


def replies(model: Model, job: Job, begun: Begun) -> Generator[Reply, None, None]:
    """What a job gives; raises FuretErrors. To be read and closed on one thread."""
    match job:
        case AnswerChat():
            yield from _answered(model, job, begun)
        case Continue():
            yield from _continued(model, job, begun)
        case Embed():
            yield Result(_embedded(model, job, begun))
        case Tokenize():
            yield Result(_tokenized(model, job))
        case Detokenize():
            yield Result(_detokenized(model, job))
        case CountTokens():
            from furet.chat.answering import count

            counted = count(model, job.messages, tools=job.tools, resume=job.resume, preset=job.preset)
            yield Result({"tokens": counted})


def _answered(model: Model, job: AnswerChat, begun: Begun) -> Iterator[Event]:
    from furet.chat.answering import answer
    from furet.serve import keeping

    if job.keep:
        keeping.begins(model, job.keep)
    made = answer(
        model,
        job.messages,
        tools=job.tools,
        tool_choice=job.tool_choice,
        parallel=job.parallel,
        options=_options(job.options),
        overflow=job.overflow,
        resume=job.resume,
        preset=job.preset,
    )
    with closing(made):
        begun(made.cancel)
        yield from made
        if job.keep:
            keeping.ended(model, job.keep, made.tokens)


def _continued(model: Model, job: Continue, begun: Begun) -> Iterator[Event]:
    """The answer to a prompt without any template."""
    options = _options(job.options)
    seed = fresh_seed() if options.get("seed") is None else options["seed"]
    request = Request(**{**options, "seed": seed})
    prompt = model.tokens(job.prompt)
    stream = model.answer(prompt, request)
    with closing(stream):
        begun(stream.cancel)
        first = next(stream, None)
        yield Began(len(prompt), stream.timings.cached_tokens, seed)
        if first is not None:
            yield _text(first)
            yield from map(_text, stream)
    yield _ended(stream.completion)


def _text(piece: Piece) -> Text:
    tokens = () if piece.token is None else (piece.token,)
    return Text(piece.text, tokens, () if piece.logprob is None else (piece.logprob,))


def _ended(done: Completion) -> Ended:
    took = done.timings
    return Ended(
        done.finish_reason,
        done.stop,
        prompt_tokens=done.prompt_tokens,
        cached_tokens=took.cached_tokens,
        answer_tokens=len(done.tokens),
        seed=done.seed,
        prefill_seconds=took.prefill_seconds,
        decode_seconds=took.decode_seconds,
        guessed_tokens=took.guessed_tokens,
    )


def _embedded(model: Model, job: Embed, begun: Begun) -> dict[str, Any]:
    """Vectors of all texts; as it counts for nobody when it is cancelled, the rest is then left out."""
    cancelled = Flag()
    begun(cancelled.set)
    vectors, count = [], 0
    for text in job.texts:
        if cancelled.is_set():
            break
        tokens = model.tokens(text)
        vectors.append(model.embed(tokens, truncate=job.truncate).tolist())
        count += min(len(tokens), model.context)
    return {"vectors": vectors, "tokens": count}


def _tokenized(model: Model, job: Tokenize) -> dict[str, Any]:
    tokens = model.tokenizer.encode(job.text, parse_special=job.parse_special, add_special=job.add_special)
    found: dict[str, Any] = {"tokens": tokens}
    if job.pieces:
        found["pieces"] = [model.tokenizer.token_bytes(token).decode("utf-8", "replace") for token in tokens]
    return found


def _detokenized(model: Model, job: Detokenize) -> dict[str, Any]:
    found: dict[str, Any] = {"text": model.tokenizer.decode(job.tokens, skip_special=False)}
    if job.bytes:
        found["bytes"] = [list(model.tokenizer.token_bytes(token)) for token in job.tokens]
    return found


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `Request`; the token ids of logit_bias are numbers again, which JSON has made texts of."""
    if unknown := sorted(given.keys() - _OPTIONS):
        raise BadRequest(f"options: there is no {unknown[0]!r:.60}", "`furet.engine.Request` has the names")
    options = dict(given)
    if isinstance(biases := options.get("logit_bias"), Mapping):
        options["logit_bias"] = {_token(token): bias for token, bias in biases.items()}
    return options


def _token(text: Any) -> Any:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16 else text
