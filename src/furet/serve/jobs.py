"""What a model's process can be asked for. Plain data; what the values mean is checked where the model is.

A job that answers gives the events of `furet.chat.events`; the others give one `Result`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from furet.chat.events import Event

Overflow = Literal["refuse", "drop", "shift"]


@dataclass(frozen=True)
class AnswerChat:
    """The next message of a conversation.

    messages    as OpenAI writes them, contents as plain text:
                {"role": "system" | "user", "content": str}
                {"role": "assistant", "content": str, "tool_calls": [{"id", "name", "arguments": JSON text}]}
                {"role": "tool", "content": str, "tool_call_id": str}
    tools       what the model may call: [{"name": str, "description": str, "parameters": JSON schema}]
    tool_choice "auto", "none", "required", or the name of a tool in {"name": ...}
    parallel    whether one answer may hold several calls
    options     fields of `furet.engine.Request`
    overflow    when the conversation is longer than the context. refuse: an error with both counts; drop: forget the
                oldest turns, never the system message; shift: forget the oldest tokens behind it
    resume      go on with the last message, which is the assistant's, instead of beginning a new one
    preset      how the conversation is written; None: by the model's own template
    keep        id of the conversation in the store, where what was computed of it is to be kept between processes
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, str] = "auto"
    parallel: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    overflow: Overflow = "refuse"
    resume: bool = False
    preset: str | None = None
    keep: str | None = None


@dataclass(frozen=True)
class Continue:
    """What follows a text, or token ids; no template is applied. options as in `AnswerChat`."""

    prompt: str | Sequence[int]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Embed:
    """Vectors of texts, each a text or token ids: {"vectors": [[float]], "tokens": int}."""

    texts: Sequence[str | Sequence[int]]
    truncate: bool = False


@dataclass(frozen=True)
class Tokenize:
    """The tokens of a text, {"tokens": [int]}; with `pieces` also {"pieces": [str]}."""

    text: str
    add_special: bool = True
    parse_special: bool = True
    pieces: bool = False


@dataclass(frozen=True)
class Detokenize:
    """The text of tokens: {"text": str}; with `bytes` also {"bytes": [[int]]}, those of each token alone."""

    tokens: Sequence[int]
    bytes: bool = False


@dataclass(frozen=True)
class CountTokens:
    """How many tokens a conversation's prompt has: {"tokens": int}. Fields as in `AnswerChat`."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    resume: bool = False
    preset: str | None = None


@dataclass(frozen=True)
class Result:
    """What a job gave that makes no answer."""

    value: Any


QUICK = (Tokenize, Detokenize, CountTokens)
"""Jobs that take no step of the model. They never wait for answers, some of which wait for them."""

Job = AnswerChat | Continue | Embed | Tokenize | Detokenize | CountTokens
Reply = Event | Result
