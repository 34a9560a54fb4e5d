"""What an answer of a conversation is made of, as it arrives: text, calls of tools, and how it ended.

In this order: `Began`, then any number of `Text`, `CallBegan` and `CallArguments`, then `Ended`. An answer that fails
raises instead. Every field is plain data, so that an event can cross the border of a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from furet.sample.token_logprob import TokenLogprob

Reason = Literal["stop", "length", "cancelled", "tool_calls"]


@dataclass(frozen=True)
class Began:
    """The prompt has been read; the first token is about to come.

    prompt_tokens   how many the prompt has
    cached_tokens   of these, how many were held already and not computed
    seed            with it, the same answer again
    notes           what was decided on the caller's behalf, for people
    """

    prompt_tokens: int
    cached_tokens: int = 0
    seed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Text:
    """A piece of the answer's text.

    text        whole characters; may be empty while a character or a stop string is incomplete
    tokens      ids that this piece is made of
    logprobs    of these tokens, when asked for
    """

    text: str
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class CallBegan:
    """The model calls a tool.

    index   0 for the first call of the answer
    id      names the call in the tool's message that answers it
    name    of the tool, one of those that were offered
    """

    index: int
    id: str
    name: str


@dataclass(frozen=True)
class CallArguments:
    """More of the JSON text of a call's arguments; all pieces of one call together are one JSON object."""

    index: int
    text: str


@dataclass(frozen=True)
class Ended:
    """The answer is complete.

    reason          stop: the model or a stop string ended it; length: max_tokens or the context did; tool_calls: the
                    model waits for what its calls give
    stop            the stop string that was found, if it was one
    prompt_tokens, cached_tokens, seed      as in `Began`
    answer_tokens   of the answer, whatever became of them
    prefill_seconds, decode_seconds         where the time went
    guessed_tokens  of the answer's, how many were guessed and found right
    """

    reason: Reason
    stop: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0
    seed: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    guessed_tokens: int = 0


Event = Began | Text | CallBegan | CallArguments | Ended
