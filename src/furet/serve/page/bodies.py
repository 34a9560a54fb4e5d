"""What the page may send: strict, bounded, and no field too many."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from furet.chat.store.checks import MAX_MEMBER

MAX_SAID = 200_000  # characters of a message
ModelName = Annotated[str, Field(min_length=1, max_length=512)]
System = Annotated[str, Field(max_length=100_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Body(BaseModel):
    """A body of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)


class MemberBody(Body):
    """A model in a group chat."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_MEMBER)]
    model: ModelName
    system: System | None = None


class NewChat(Body):
    """A chat with a model, or with several."""

    model: ModelName | None = None
    members: Annotated[list[MemberBody], Field(max_length=8)] = []
    title: Annotated[str, Field(max_length=200)] = ""
    preset: Name | None = None


class ChangeChat(Body):
    """What is given, changes."""

    title: Annotated[str, Field(max_length=200)] | None = None
    model: ModelName | None = None
    system: System | None = None
    format: Annotated[str, Field(max_length=100)] | None = None
    settings: dict[str, Any] | None = None
    pinned: bool | None = None
    archived: bool | None = None
    turns: Literal["in_turn", "mention"] | None = None


class Say(Body):
    """What a person says."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_SAID)]


class Edit(Body):
    """Another wording, as a branch."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_SAID)]


class SavePreset(Body):
    """Settings by name; with `id`, in place of those."""

    name: Name
    system: System | None = None
    settings: dict[str, Any] = {}
    format: Annotated[str, Field(max_length=100)] | None = None
    id: Name | None = None


class NamedModel(Body):
    """A model by its reference."""

    ref: ModelName


class PlanModel(Body):
    """A model whose memory is to be planned."""

    ref: ModelName
    context: Annotated[int, Field(ge=1, le=1 << 30)] | None = None


class ImportFile(Body):
    """A file with conversations, in base64: an export of furet, ChatGPT, Claude or LLMFarm, or such a zip archive."""

    name: Annotated[str, Field(max_length=300)] = "the file"
    data: Annotated[str, Field(min_length=1, max_length=30 << 20)]
