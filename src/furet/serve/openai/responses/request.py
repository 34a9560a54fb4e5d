"""What /v1/responses takes.

    honoured    model, input (a text, or items: messages, function_call, function_call_output), instructions,
                previous_response_id, store, stream, max_output_tokens, temperature, top_p, top_logprobs with include
                ["message.output_text.logprobs"], tools of type function with `strict`, tool_choice, text.format,
                parallel_tool_calls, truncation ("auto" forgets the oldest turns); and by their own names all other
                options of `furet.engine.request.Options`, and `preset`
    accepted    where they change nothing: user, safety_identifier, prompt_cache_key; metadata, which is given back;
                background false; service_tier "auto" and "default"; the name and description of a schema, and
                whether it is called strict: it holds in any case
    refused     everything else, by name: reasoning, prompt, conversation, built-in tools, images and files
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from furet.errors import BadRequest
from furet.serve.fields import EngineFields, Label, Name, Strict, Words, options_of
from furet.serve.jobs import AnswerChat
from furet.serve.limits import MAX_MESSAGES, MAX_TOOLS
from furet.serve.openai.chat_request import Metadata, MostTokens
from furet.serve.openai.forms import (
    FunctionFields,
    JsonObjectFormat,
    JsonSchema,
    NamedFunction,
    TextFormat,
    ToolChoice,
    checked_choice,
    plain_tool,
)
from furet.serve.openai.messages import MAX_PARTS

LOGPROBS = "message.output_text.logprobs"
Status = Literal["in_progress", "completed", "incomplete"]


class Part(Strict):
    """A part of a message's text, as it was written or as it was given back."""

    type: Literal["input_text", "output_text"]
    text: Words
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    logprobs: list[Any] | None = None
    parsed: Any = None


Parts = Words | Annotated[list[Part], Field(max_length=MAX_PARTS)]


class MessageItem(Strict):
    """A message."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Parts
    id: Name | None = None
    status: Status | None = None


class CallItem(Strict):
    """A call that the model made."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Words
    parsed_arguments: Any = None
    id: Name | None = None
    status: Status | None = None


class OutputItem(Strict):
    """What a call gave."""

    type: Literal["function_call_output"]
    call_id: Name
    output: Parts
    id: Name | None = None
    status: Status | None = None


def _kind(item: Any) -> Any:
    return item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[OutputItem, Tag("function_call_output")],
    Discriminator(_kind),
]


class FunctionTool(FunctionFields):
    """A tool that may be called."""

    type: Literal["function"]


class NamedTool(NamedFunction):
    """The one tool that must be called."""

    type: Literal["function"]


class JsonSchemaFormat(JsonSchema):
    """JSON of a schema."""

    type: Literal["json_schema"]


class TextSettings(Strict):
    """What the answer must look like."""

    format: Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")] | None = None


class StreamOptions(Strict):
    """Nothing that can be turned on."""

    include_obfuscation: Literal[False] = False


class ResponseRequest(EngineFields):
    """The next turn of a conversation is wanted."""

    model: Name
    input: Words | Annotated[list[Item], Field(min_length=1, max_length=MAX_MESSAGES)]
    instructions: Words | None = None
    previous_response_id: Name | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: MostTokens | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    include: Annotated[list[Literal["message.output_text.logprobs"]], Field(max_length=1)] | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoice | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    text: TextSettings | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    background: Literal[False] | None = None
    preset: Label | None = None
    user: Label | None = None
    safety_identifier: Label | None = None
    prompt_cache_key: Label | None = None
    service_tier: Literal["auto", "default"] | None = None
    max_tokens: None = None
    logprobs: None = None
    json_schema: None = None

    @model_validator(mode="after")
    def _together(self) -> ResponseRequest:
        """What fields say of each other."""
        if self.top_logprobs is not None and not self.include:
            raise BadRequest(f"top_logprobs: only with include [{LOGPROBS!r}]")
        if self.stream_options is not None and not self.stream:
            raise BadRequest("stream_options: only with stream")
        return self

    def messages(self) -> list[dict[str, Any]]:
        """The input as messages of a job; calls join the message of the assistant before them."""
        if isinstance(self.input, str):
            return [{"role": "user", "content": self.input}]
        found: list[dict[str, Any]] = []
        for item in self.input:
            if isinstance(item, MessageItem):
                role = "system" if item.role == "developer" else item.role
                found.append({"role": role, "content": _text(item.content)})
            elif isinstance(item, OutputItem):
                found.append({"role": "tool", "content": _text(item.output), "tool_call_id": item.call_id})
            else:
                if not found or found[-1]["role"] != "assistant":
                    found.append({"role": "assistant", "content": ""})
                call = {"id": item.call_id, "name": item.name, "arguments": item.arguments}
                found[-1].setdefault("tool_calls", []).append(call)
        return found

    def job(self, messages: list[dict[str, Any]]) -> AnswerChat:
        """What a model's process is asked for, after these messages; raises BadRequest."""
        tools = [plain_tool(tool) for tool in self.tools or ()]
        named = self.tool_choice.name if isinstance(self.tool_choice, NamedTool) else None
        choice = self.tool_choice if isinstance(self.tool_choice, str) else None
        options = options_of(
            self,
            ("max_tokens", "logprobs", "json_schema"),
            logprobs=(self.top_logprobs or 0) if self.include else None,
            json_schema=self._schema(),
        )
        system = [{"role": "system", "content": self.instructions}] if self.instructions else []
        return AnswerChat(
            messages=[*system, *messages],
            tools=tools,
            tool_choice=checked_choice(choice, named, tools),
            parallel=self.parallel_tool_calls is not False,
            options={**options, "max_tokens": self.max_output_tokens},
            overflow="drop" if self.truncation == "auto" else "refuse",
            preset=self.preset,
        )

    def _schema(self) -> dict[str, Any] | None:
        """The JSON schema that the answer must follow, or None."""
        format = self.text.format if self.text else None
        if isinstance(format, JsonSchemaFormat):
            if format.schema_ is None:
                raise BadRequest("text.format.schema: missing")
            return format.schema_
        return {"type": "object"} if isinstance(format, JsonObjectFormat) else None


def _text(content: str | list[Part]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
