"""One request for an answer, from messages, tools and options to events: what the server asks of a model."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from furet.chat.events import Began, Ended, Event, Text
from furet.chat.formats import Format, find_format, find_preset
from furet.chat.known import exact_tokens
from furet.chat.messages import Message, read_messages
from furet.chat.overflow import Fitted, Overflow, check_policy, drop_turns, room_of, shift_tokens
from furet.chat.tools.family import Family, find_family
from furet.chat.tools.grammar import calls_grammar, special
from furet.chat.tools.plain import PLAIN, in_words
from furet.chat.tools.reading import Reader, Reading
from furet.chat.tools.shown import Shown
from furet.chat.tools.tool import Offer, read_offer, read_tools
from furet.engine.request import FORMS, Request
from furet.errors import BadRequest
from furet.sample.draws import fresh_seed

if TYPE_CHECKING:
    from furet.engine.answer import Completion, Piece
    from furet.engine.model import Model
    from furet.engine.stream import Stream

OPTIONS = frozenset(field.name for field in fields(Request))


class Answer(Iterator[Event]):
    """The events of an answer, made as they are asked for, on the thread that asks.

    Leaving it early is allowed: `close` it. `cancel` may be called from any thread and takes effect within one step.
    """

    def __init__(self, prompt: list[int], stream: Stream, events: Generator[Event, None, None]) -> None:
        self._prompt = prompt
        self._stream = stream
        self._events = events

    def __next__(self) -> Event:
        return next(self._events)

    @property
    def tokens(self) -> list[int]:
        """Those of the conversation, with the answer, once it has ended."""
        return [*self._prompt, *self._stream.completion.tokens]

    def cancel(self) -> None:
        """Make it end, with the reason "cancelled"."""
        self._stream.cancel()

    def close(self) -> None:
        """End it now, on the thread that reads it."""
        self._events.close()
        self._stream.close()


def answer(
    model: Model,
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    tool_choice: str | Mapping[str, str] = "auto",
    parallel: bool = True,
    options: Mapping[str, Any] = {},
    overflow: Overflow = "refuse",
    resume: bool = False,
    preset: str | None = None,
    family: str | None = None,
) -> Answer:
    """The next message of a conversation. What the parameters mean stands in `furet.serve.jobs.AnswerChat`.

    family  the way in which the model writes calls, by name; None: the one that its chat template asks for
    raises  BadRequest naming the field at fault; ContextOverflow; what `Model.answer` raises
    """
    check_policy(overflow)
    offer = read_offer(tools, tool_choice, parallel)
    talk = _Talk.of(model, messages, offer, preset, family)
    if resume and not _can_be_resumed(talk.messages):
        raise BadRequest("resume: the last message is not the assistant's, or ends with a call of a tool")
    request, given_stops = _request(talk, offer, model, options)
    fitted = _fitted(talk, model, request, overflow, resume=resume)
    try:
        stream = model.answer(
            fitted.prompt,
            request,
            ends=talk.format.ends,
            continuing=resume,
            finished=partial(_remember, model, talk.format, talk.messages[-1] if resume else None),
        )
    except BadRequest as error:
        if offer.tools and error.message.startswith("grammar: "):
            raise BadRequest(f"tools: {error.message.removeprefix('grammar: ')}", error.hint) from None
        raise
    notes = tuple(note for note in (talk.format.note, fitted.note) if note)
    began = Began(len(fitted.prompt), seed=request.seed or 0, notes=notes)
    calls = _reader(talk, offer, model, resume=resume)
    return Answer(fitted.prompt, stream, _events(stream, began, calls, given_stops))


def count(
    model: Model,
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    resume: bool = False,
    preset: str | None = None,
) -> int:
    """Tokens of the prompt for the next message of a conversation, or for the rest of its last one. Raises as `answer`.

    Nothing is computed.
    """
    return len(_Talk.of(model, messages, Offer(read_tools(tools)), preset, None).encode(resume=resume))


@dataclass(frozen=True)
class _Talk:
    """A conversation, and how it is written for the model."""

    messages: list[Message]
    offer: Offer
    format: Format
    family: Family

    @staticmethod
    def of(
        model: Model,
        messages: Sequence[Mapping[str, Any]],
        offer: Offer,
        preset: str | None,
        family: str | None,
    ) -> _Talk:
        if preset is not None:
            find_preset(preset)  # the name of a file is none: it may come from the net
        read = read_messages(messages)
        format = find_format(model, preset, tools=bool(offer.tools) or _has_calls(read))
        found = find_family(format.template.source, family)
        return _Talk([_known(message, format, found) for message in read], offer, format, found)

    def encode(self, messages: Sequence[Message] | None = None, *, resume: bool = False) -> list[int]:
        """The tokens of these messages, or of all."""
        said = self.messages if messages is None else messages
        if self.family is not PLAIN:
            functions = [tool.function for tool in self.offer.tools]
            return self.format.prompts.encode(said, functions, resume=resume)
        if self.offer.tools or _has_calls(said):
            said = in_words(said, self.offer.tools, system=self.format.takes_system)
        return self.format.prompts.encode(said, resume=resume)


def _known(message: Message, format: Format, family: Family) -> Message:
    """A message with what is known of it: the tokens of an answer, and ids as the family has them."""
    if message.role == "assistant" and not message.calls:
        return replace(message, tokens=format.known.tokens(message.content))
    calls = tuple(replace(call, id=family.known_id(call.id)) for call in message.calls)
    return replace(message, calls=calls, call_id=message.call_id and family.known_id(message.call_id))


def _has_calls(messages: Sequence[Message]) -> bool:
    return any(message.calls or message.role == "tool" for message in messages)


def _can_be_resumed(messages: Sequence[Message]) -> bool:
    return messages[-1].role == "assistant" and not messages[-1].calls


def _request(talk: _Talk, offer: Offer, model: Model, options: Mapping[str, Any]) -> tuple[Request, tuple[str, ...]]:
    """How the answer is made, and the caller's stop strings among those that end it."""
    for name in options:
        if name not in OPTIONS:
            close = get_close_matches(str(name), OPTIONS, 1)
            raise BadRequest(f"{name!s:.60}: no option of an answer", f"did you mean {close[0]}?" if close else "")
    merged = {"max_tokens": None, **talk.format.sampling, **options}
    if merged.get("seed") is None:
        merged["seed"] = fresh_seed()  # known from the beginning
    stops = merged.pop("stop", None) or ()
    given = (stops,) if isinstance(stops, str) else tuple(stops)
    form = next((name for name in FORMS if merged.get(name) is not None), None)
    if offer.tools:
        if form is not None:
            hint = 'leave one of them out; tool_choice "none" does that with tools'
            raise BadRequest(f"{form}: an answer that may call tools cannot have a form as well", hint)
        merged["grammar"] = calls_grammar(offer, talk.family, model.tokenizer)
    # A text that ends a turn may be a part of what has a form, as what must be a call has. Where a model may call, it
    # mostly writes text, which nothing else may end.
    stops = () if form is not None or offer.must else talk.format.stops
    return Request(**merged, stop=(*given, *stops)), given


def _fitted(talk: _Talk, model: Model, request: Request, overflow: Overflow, *, resume: bool) -> Fitted:
    encode = partial(talk.encode, resume=resume)
    room = room_of(request.max_tokens, model.context)
    if overflow == "drop":
        return drop_turns(talk.messages, encode, lambda text: _size(model, text), model.context, room)
    if overflow == "shift":
        return shift_tokens(encode(), talk.messages, talk.encode, model.context, room)
    return Fitted(encode())


def _size(model: Model, text: str) -> int:
    return len(model.tokenizer.encode(text, parse_special=False, add_special=False))


@dataclass(frozen=True)
class _Calls:
    """What reads calls out of an answer."""

    shown: Shown
    reader: Reader
    parallel: bool

    @property
    def enough(self) -> bool:
        """No other call may follow."""
        return not self.parallel and self.reader.reading.complete > 0


def _reader(talk: _Talk, offer: Offer, model: Model, *, resume: bool) -> _Calls | None:
    """What reads the answer; None when it holds no calls."""
    if not offer.tools:
        return None
    family, tokenizer = talk.family, model.tokenizer
    hidden = {token: mark for mark in family.marks if (token := special(mark, tokenizer)) is not None}
    names = {tool.name for tool in offer.callable}
    # A bare call may begin on any line, but the grammar knows of the first one alone.
    reading = Reading(names, family.new_id, certain=offer.must or not family.bare)
    return _Calls(Shown(hidden, tokenizer, continuing=resume), Reader(family.read, reading), offer.parallel)


def _events(
    stream: Stream, began: Began, calls: _Calls | None, stops: tuple[str, ...]
) -> Generator[Event, None, None]:
    """The events of an answer while it is made."""
    waiting: list[Piece] = []  # whose text has not been given out
    try:
        first = next(stream, None)
        yield replace(began, cached_tokens=stream.timings.cached_tokens)
        for piece in chain([] if first is None else [first], stream):
            if calls is None:
                yield _text(piece.text, [piece])
                continue
            waiting.append(piece)
            for event in calls.reader.push(calls.shown.text(piece)):
                yield _text(event.text, waiting) if isinstance(event, Text) else event
                waiting.clear()
            if calls.enough:
                break
        for event in calls.reader.finish() if calls is not None else ():
            yield _text(event.text, waiting) if isinstance(event, Text) else event
            waiting.clear()
    finally:
        stream.close()
    yield _ended(stream.completion, calls, stops)


def _text(text: str, pieces: Sequence[Piece]) -> Text:
    tokens = tuple(piece.token for piece in pieces if piece.token is not None)
    logprobs = tuple(piece.logprob for piece in pieces if piece.logprob is not None)
    return Text(text, tokens, logprobs)


def _ended(completion: Completion, calls: _Calls | None, stops: tuple[str, ...]) -> Ended:
    reason: Any = completion.finish_reason
    if calls is not None and calls.reader.reading.complete and (reason == "stop" or calls.enough):
        reason = "tool_calls"
    timings = completion.timings
    return Ended(
        reason=reason,
        stop=completion.stop if completion.stop in stops else None,
        prompt_tokens=completion.prompt_tokens,
        cached_tokens=timings.cached_tokens,
        answer_tokens=len(completion.tokens),
        seed=completion.seed,
        prefill_seconds=timings.prefill_seconds,
        decode_seconds=timings.decode_seconds,
        guessed_tokens=timings.guessed_tokens,
    )


def _remember(model: Model, format: Format, resumed: Message | None, completion: Completion) -> None:
    """Keep the tokens of an answer."""
    tokens = exact_tokens(completion, model.tokenizer, continuing=resumed is not None)
    if resumed is None:
        format.known.keep(completion.text, tokens)
    elif tokens and resumed.tokens:
        format.known.keep(resumed.content + completion.text, resumed.tokens + tokens)
