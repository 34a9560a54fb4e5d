"""What the store hands out: plain, frozen records. Times are seconds since 1970; ids are opaque texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypedDict

Role = Literal["system", "user", "assistant", "tool"]
State = Literal["complete", "streaming", "stopped", "failed"]
Turns = Literal["in_turn", "mention"]

CURRENT: Final = ""
"""As a parent: the message that the chat has come to."""


@dataclass(frozen=True)
class Member:
    """A model that takes part in a group chat.

    name        unique in its chat; what "@name" calls it by, and what stands before its messages for the others
    model       reference of the model
    system      what this member is told before the conversation; None: what the chat says
    preset      how the conversation is written for it; None: by the model's own template
    settings    fields of `furet.engine.Request`, before those of the chat
    """

    name: str
    model: str
    system: str | None = None
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chat:
    """A chat, without its messages.

    model       reference of the model that answers; None in a group chat
    system      what the model is told before the conversation
    preset      name of the prompt format; None: the model's own template
    settings    fields of `furet.engine.Request`
    turns       of a group: whether members answer in turn, or only when called by "@name"
    leaf        the message that it has come to; the way back from it is what is shown. None: nothing was said
    preview     the beginning of that message
    """

    id: str
    title: str
    model: str | None
    system: str | None
    preset: str | None
    settings: Mapping[str, Any]
    icon: str
    colour: str
    pinned: bool
    archived: bool
    turns: Turns
    members: tuple[Member, ...]
    leaf: str | None
    preview: str
    created: float
    updated: float

    @property
    def group(self) -> bool:
        """Whether several models take part."""
        return bool(self.members)


class ChatFields(TypedDict, total=False):
    """What may be said of a chat besides its model; see `Chat`."""

    title: str
    system: str | None
    preset: str | None
    settings: Mapping[str, Any]
    icon: str
    colour: str
    pinned: bool
    archived: bool
    turns: Turns
    members: Sequence[Member]


class ChatChanges(ChatFields, total=False):
    """What may be changed of a chat."""

    model: str | None


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Counts:
    """What an answer took; fields as in `furet.chat.events.Ended`. Zero and None where nobody knows."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    seed: int | None = None
    reason: str | None = None

    @property
    def rate(self) -> float:
        """Tokens of the answer per second; 0 when unknown."""
        return self.answer_tokens / self.decode_seconds if self.decode_seconds else 0.0

    def plus(self, later: Counts) -> Counts:
        """Of an answer that was gone on with: its tokens and seconds together, its end as it is now."""
        tokens = self.answer_tokens + later.answer_tokens
        seconds = self.decode_seconds + later.decode_seconds
        now = replace(self, seed=later.seed, reason=later.reason) if self.answer_tokens else later
        return replace(now, answer_tokens=tokens, decode_seconds=seconds)


@dataclass(frozen=True)
class Message:
    """A message in the tree of a chat.

    parent          the message it follows; None: it is a beginning
    speaker         the member that said it, in a group chat
    model           the model that said it; None for what people and tools say
    tool_calls      what the model called
    tool_call_id    of a tool's message: the call that it answers
    state           streaming: it is being made; stopped: by a person, or because the process died; failed: see error
    """

    id: str
    chat: str
    parent: str | None
    role: Role
    content: str
    speaker: str | None = None
    model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    state: State = "complete"
    error: str | None = None
    counts: Counts = Counts()
    created: float = 0.0


@dataclass(frozen=True)
class Conversation:
    """A chat as it is shown.

    messages    the way from a beginning to the chat's leaf
    siblings    of each of these that has any: the ids of all messages in its place, itself included, oldest first
    """

    chat: Chat
    messages: tuple[Message, ...]
    siblings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatPage:
    """A page of the list of chats; `next` is the `after` of the page that follows, None: there is none."""

    chats: tuple[Chat, ...]
    next: str | None


@dataclass(frozen=True)
class Contact:
    """A model with which there are chats; `model` None stands for the group chats."""

    model: str | None
    chats: int
    updated: float


@dataclass(frozen=True)
class Hit:
    """What a search found: a message, or a chat by its title.

    message     None: it is the title that was found
    snippet     the text around the first place that was found; line breaks are spaces
    marks       (begin, end) of what was found in it, in characters (code points)
    score       higher is better
    """

    chat: str
    title: str
    model: str | None
    message: str | None
    role: Role | None
    created: float
    snippet: str
    marks: tuple[tuple[int, int], ...]
    score: float


@dataclass(frozen=True)
class ChatPreset:
    """Settings by name, for new chats.

    system      what the model is told
    settings    fields of `furet.engine.Request`
    format      name of the prompt format (`furet.chat.presets`); None: the model's own template
    built_in    it came with furet and stays as it is
    """

    id: str
    name: str
    system: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    built_in: bool = False
