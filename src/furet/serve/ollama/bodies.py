"""What Ollama's clients send, field by field. A field that is not named here is refused by its name.

Fields that furet knows of but cannot honour are named, so that the refusal can say why: see `refuse`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from furet.errors import BadRequest
from furet.serve.fields import Name, Strict
from furet.serve.limits import MAX_MESSAGES, MAX_NAME, MAX_TOOLS

MAX_CALLS = 128  # of tools, in one message
MAX_TEXTS = 2048  # of one request for embeddings
MAX_ALTERNATIVES = 20  # to each token

Model = Annotated[str, Field(max_length=MAX_NAME)]
Alternatives = Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)]
KeepAlive = int | float | Annotated[str, Field(max_length=64)]


class Function(Strict):
    """A call of a tool; the arguments are an object, not its text. Clients in Go send none as null."""

    name: Name
    arguments: dict[str, Any] | None = None
    description: str | None = None
    index: int | None = None


class Call(Strict):
    """One call of an assistant's message; clients that know no ids leave `id` out."""

    function: Function
    id: Annotated[str, Field(max_length=256)] | None = None
    type: Literal["function"] | None = None


class Message(Strict):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: Annotated[list[Call], Field(max_length=MAX_CALLS)] | None = None
    tool_name: Name | None = None
    tool_call_id: Name | None = None
    thinking: str | None = None
    images: list[Any] | None = None


class Declaration(Strict):
    """What a tool is called, what it does and what it takes."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Strict):
    """A tool that the model may call."""

    function: Declaration
    type: Literal["function"] | None = None


class Answering(Strict):
    """What /api/chat and /api/generate have in common."""

    model: Name
    stream: bool | None = None
    options: dict[str, Any] | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    keep_alive: KeepAlive | None = None
    think: bool | Literal["low", "medium", "high"] | None = None
    logprobs: bool | None = None
    top_logprobs: Alternatives | None = None
    truncate: bool | None = None
    shift: bool | None = None
    debug_render_only: Annotated[bool | None, Field(alias="_debug_render_only")] = None


class Chat(Answering):
    """POST /api/chat. Clients in Go send no messages as null."""

    messages: Annotated[list[Message], Field(max_length=MAX_MESSAGES)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None


class Generate(Answering):
    """POST /api/generate."""

    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None
    template: str | None = None
    suffix: str | None = None
    context: list[int] | None = None
    images: list[Any] | None = None


def _as_list(texts: Any) -> Any:
    """One text stands for a list of one."""
    return [texts] if isinstance(texts, str) else texts


_Texts = Annotated[list[str], Field(max_length=MAX_TEXTS)]


class Embed(Strict):
    """POST /api/embed."""

    model: Name
    input: Annotated[_Texts, BeforeValidator(_as_list, json_schema_input_type=str | _Texts)]
    truncate: bool | None = None
    options: dict[str, Any] | None = None
    keep_alive: KeepAlive | None = None
    dimensions: Annotated[int, Field(ge=1, le=1 << 20)] | None = None


class Embedding(Strict):
    """POST /api/embeddings, the older form: one text, one vector."""

    model: Name
    prompt: str
    options: dict[str, Any] | None = None
    keep_alive: KeepAlive | None = None


class Named(Strict):
    """DELETE /api/delete; older clients write `name`. Those in Go send what is not given as an empty text."""

    model: Model | None = None
    name: Model | None = None


class Show(Named):
    """POST /api/show."""

    verbose: bool | None = None
    system: str | None = None
    template: str | None = None
    options: dict[str, Any] | None = None


class Pull(Named):
    """POST /api/pull."""

    stream: bool | None = None
    insecure: bool | None = None
    username: str | None = None
    password: str | None = None


def named(body: Named) -> str:
    """The model that a body means; BadRequest when it names none, or two."""
    if bool(body.model) == bool(body.name):
        raise BadRequest("model: wanted the name of one model")
    return body.model or body.name or ""


def refuse(body: BaseModel, place: str = "", **reasons: str) -> None:
    """Raise BadRequest for the first of these fields that asks for something, with the reason why it cannot be had."""
    for field, why in reasons.items():
        if getattr(body, field):
            raise BadRequest(f"{place}{field}: not supported", why)
