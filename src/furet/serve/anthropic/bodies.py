"""What clients of Anthropic's Messages API send, field by field. A field that is not named here is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from furet.serve.fields import Name, Strict
from furet.serve.limits import MAX_MESSAGES, MAX_TOOLS

MAX_BLOCKS = 1024  # of one message
MAX_STOPS = 16
MAX_USER = 256  # characters of metadata.user_id

ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
Id = Annotated[str, Field(min_length=1, max_length=256)]
Share = Annotated[float, Field(ge=0, le=1)]


def _as_blocks(content: Any) -> Any:
    """Text alone stands for one block of text."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class CacheControl(Strict):
    """A wish to cache up to here. furet keeps every beginning that it has computed, so it is granted anyway."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class TextBlock(Strict):
    """A piece of text."""

    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None
    citations: Annotated[list[Any], Field(max_length=0)] | None = None


_TextBlocks = Annotated[list[TextBlock], Field(max_length=MAX_BLOCKS)]
Texts = Annotated[_TextBlocks, BeforeValidator(_as_blocks, json_schema_input_type=str | _TextBlocks)]


class Direct(Strict):
    """Who called a tool: the model, which is the only one here that does."""

    type: Literal["direct"]


class ToolUse(Strict):
    """A call that the assistant made."""

    type: Literal["tool_use"]
    id: Id
    name: ToolName
    input: dict[str, Any]
    caller: Direct | None = None
    toolset_name: None = None
    cache_control: CacheControl | None = None


class ToolResult(Strict):
    """What a call gave."""

    type: Literal["tool_result"]
    tool_use_id: Id
    content: Texts = []
    is_error: bool | None = None
    toolset_name: None = None
    cache_control: CacheControl | None = None


def _kind(block: Any) -> str:
    """The kind of a block, in words that are no names of fields: errors are told by the names on the way to them."""
    return f"a {block.get('type') if isinstance(block, dict) else getattr(block, 'type', None)} block"


Block = Annotated[
    Annotated[TextBlock, Tag("a text block")]
    | Annotated[ToolUse, Tag("a tool_use block")]
    | Annotated[ToolResult, Tag("a tool_result block")],
    Discriminator(
        _kind,
        custom_error_type="unknown_block",
        custom_error_message="Input should be a block of type text, tool_use or tool_result",
    ),
]
_Blocks = Annotated[list[Block], Field(max_length=MAX_BLOCKS)]


class Message(Strict):
    """One message; `furet.serve.anthropic.turns` knows which blocks belong to which role."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[_Blocks, BeforeValidator(_as_blocks, json_schema_input_type=str | _Blocks)]


class Tool(Strict):
    """A tool that the model may call and the client runs."""

    name: ToolName
    input_schema: dict[str, Any]
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    defer_loading: Literal[False] | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[Literal["direct"]] | None = None
    input_examples: Annotated[list[Any], Field(max_length=0)] | None = None
    cache_control: CacheControl | None = None


class Choice(Strict):
    """Whether and which tools are called: at will, some, or none."""

    type: Literal["auto", "any", "none"]
    disable_parallel_tool_use: bool | None = None


class NamedChoice(Strict):
    """One tool that is called."""

    type: Literal["tool"]
    name: ToolName
    disable_parallel_tool_use: bool | None = None


class Metadata(Strict):
    """Who asks, in the client's words; furet keeps no record of it."""

    user_id: Annotated[str, Field(max_length=MAX_USER)] | None = None


class NoThinking(Strict):
    """The one way of thinking that there is."""

    type: Literal["disabled"]


class JsonFormat(Strict):
    """An answer of JSON, of a schema."""

    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Strict):
    """The form of an answer."""

    format: JsonFormat | None = None


class Prompt(Strict):
    """POST /v1/messages/count_tokens, and what it shares with /v1/messages."""

    model: Name
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    system: Texts | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Annotated[Choice | NamedChoice, Field(discriminator="type")] | None = None
    thinking: NoThinking | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None


class Create(Prompt):
    """POST /v1/messages."""

    max_tokens: Annotated[int, Field(ge=1)]
    stream: bool | None = None
    stop_sequences: Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None
    temperature: Share | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Share | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
