"""What becomes of a conversation that is longer than the context.

    refuse  nothing: the engine says so, with both counts
    drop    the oldest turns are forgotten; system messages stay, and a tool's result stays with its call
    shift   the oldest tokens behind the system message are forgotten, wherever that cuts

Each forgets more than it must, so that the next messages find room: whatever is forgotten changes the beginning, and
all that follows must be computed again. Both depend on the conversation alone, and forget the same when it has grown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from furet.chat.messages import Message
from furet.errors import BadRequest

Overflow = Literal["refuse", "drop", "shift"]
Encode = Callable[[Sequence[Message]], list[int]]
Count = Callable[[str], int]

ROOM = 256  # tokens kept free for an answer, or a quarter of the context when that is less


@dataclass(frozen=True)
class Fitted:
    """A prompt, and what is not in it.

    forgotten   messages that the model no longer sees, or tokens
    note        says so to people; empty when nothing is forgotten
    """

    prompt: list[int]
    forgotten: int = 0
    note: str = ""


def room_of(max_tokens: int | None, context: int) -> int:
    """Tokens to be kept free for an answer."""
    return min(ROOM if max_tokens is None else max_tokens, context // 4)


def check_policy(policy: object) -> None:
    """Raise BadRequest for what is no policy."""
    if policy not in get_args(Overflow):
        raise BadRequest(f"overflow: got {policy!r:.60}, wanted one of {', '.join(get_args(Overflow))}")


def drop_turns(messages: Sequence[Message], encode: Encode, count: Count, context: int, room: int) -> Fitted:
    """The prompt of all messages, or of the system's and the latest turns. The last turn stays, however long it is."""
    prompt = encode(messages)
    turns = _turns(messages)
    if len(prompt) + room <= context or len(turns) < 2:
        return Fitted(prompt)
    fixed = len(encode([*_system(messages), Message("user", "")]))
    said = [[count(_text(message)) for message in turn] for turn in turns]
    around = -(-(len(prompt) - fixed - sum(map(sum, said))) // sum(map(len, said)))  # what is written around a message
    likely = _first_kept([sum(sizes) + around * len(sizes) for sizes in said], fixed, context, room)

    def kept(first: int) -> list[int]:
        latest = {id(message) for turn in turns[first:] for message in turn}
        return encode([message for message in messages if message.role == "system" or id(message) in latest])

    places = range(max(likely, 1), len(turns))
    at = bisect_left(places, True, key=lambda first: len(kept(first)) + room <= context)
    first = places[min(at, len(places) - 1)]
    forgotten = sum(map(len, turns[:first]))
    note = f"the context is full: the model no longer sees the first {forgotten} messages"
    return Fitted(kept(first), forgotten, note)


def shift_tokens(prompt: list[int], messages: Sequence[Message], encode: Encode, context: int, room: int) -> Fitted:
    """The prompt of the messages, less tokens behind the system's when it is too long."""
    excess = len(prompt) + room - context
    if excess <= 0:
        return Fitted(prompt)
    head = _common(prompt, encode([*_system(messages), Message("user", "")]))
    chunk = max(1, context // 4)
    forgotten = -(-excess // chunk) * chunk
    if head + forgotten >= len(prompt):
        forgotten = excess
    if head + forgotten >= len(prompt):
        return Fitted(prompt)  # the system message alone fills the context
    note = f"the context is full: the model no longer sees the first {forgotten} tokens behind the system message"
    return Fitted(prompt[:head] + prompt[head + forgotten :], forgotten, note)


def _system(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message.role == "system"]


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages but the system's, a turn each: what the user says, and all up to where the user speaks again."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "system":
            continue
        if not turns or (message.role == "user" and turns[-1][-1].role != "user"):
            turns.append([])
        turns[-1].append(message)
    return turns


def _first_kept(sizes: Sequence[int], fixed: int, context: int, room: int) -> int:
    """The first turn to be kept, when half of the context was freed whenever it was full.

    sizes   tokens of the turns
    fixed   tokens of what is always kept
    """
    first, total = 0, fixed
    for last, size in enumerate(sizes):
        total += size
        if total + room > context:
            while first < last and total > context // 2:
                total -= sizes[first]
                first += 1
    return first


def _text(message: Message) -> str:
    """About all that a template writes of a message."""
    return " ".join([message.content, *(f"{call.id} {call.name} {call.arguments}" for call in message.calls)])


def _common(some: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return next((at for at, (a, b) in enumerate(zip(some, other, strict=False)) if a != b), min(len(some), len(other)))
