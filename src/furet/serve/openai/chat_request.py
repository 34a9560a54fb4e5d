"""What /v1/chat/completions takes.

    honoured    model, messages, stream, stream_options.include_usage, n, stop, seed, temperature, top_p,
                presence_penalty, frequency_penalty, logit_bias, logprobs, top_logprobs, max_tokens,
                max_completion_tokens, tools with `strict`, tool_choice, parallel_tool_calls, response_format; and
                by their own names all other options of `furet.engine.request.Options`, `preset` (how the
                conversation is written) and `overflow` (when it is too long: "refuse", "drop", "shift")
    accepted    where they change nothing: user, safety_identifier, prompt_cache_key and metadata are labels of the
                caller's; store false; service_tier "auto" and "default"; modalities ["text"]; the name and
                description of a schema, and whether it is called strict: it holds in any case
    refused     everything else, by name: a field that is not known here is a 400; so are images, audio, files and
                the json_schema option under that name, which is response_format here

Where nothing is said, furet's own defaults hold; without max_tokens the answer may fill the context.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from furet.errors import BadRequest
from furet.serve.fields import EngineFields, Label, Name, Strict, options_of
from furet.serve.jobs import AnswerChat, Overflow
from furet.serve.limits import MAX_CHOICES
from furet.serve.openai.forms import (
    NamedTool,
    ResponseFormat,
    ToolChoice,
    Tools,
    checked_choice,
    plain_tool,
    schema_of,
)
from furet.serve.openai.messages import Messages, plain_messages

Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Label], Field(max_length=16)]
MostTokens = Annotated[int, Field(ge=1, le=1 << 31)]


class StreamOptions(Strict):
    """include_usage: the last chunk tells the tokens read and made."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class ChatRequest(EngineFields):
    """The next message of a conversation is wanted."""

    model: Name
    messages: Messages
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_tokens: MostTokens | None = None
    max_completion_tokens: MostTokens | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    json_schema: None = None
    preset: Label | None = None
    overflow: Overflow | None = None
    user: Label | None = None
    safety_identifier: Label | None = None
    prompt_cache_key: Label | None = None
    metadata: Metadata | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None

    @model_validator(mode="after")
    def _together(self) -> ChatRequest:
        """What fields say of each other."""
        if self.stream_options is not None and not self.stream:
            raise BadRequest("stream_options: only with stream")
        if self.top_logprobs is not None and not self.logprobs:
            raise BadRequest("top_logprobs: only with logprobs")
        both = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(both) > 1:
            raise BadRequest("max_tokens: got another value than in max_completion_tokens; give one of them")
        return self

    def job(self) -> AnswerChat:
        """What a model's process is asked for; raises BadRequest."""
        tools = [plain_tool(tool.function) for tool in self.tools or ()]
        named = self.tool_choice.function.name if isinstance(self.tool_choice, NamedTool) else None
        choice = self.tool_choice if isinstance(self.tool_choice, str) else None
        return AnswerChat(
            messages=plain_messages(self.messages),
            tools=tools,
            tool_choice=checked_choice(choice, named, tools),
            parallel=self.parallel_tool_calls is not False,
            options=self._options(),
            overflow=self.overflow or "refuse",
            preset=self.preset,
        )

    def _options(self) -> dict[str, Any]:
        options = options_of(
            self,
            ("logprobs", "max_tokens", "json_schema"),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            json_schema=schema_of(self.response_format),
        )
        return {**options, "max_tokens": self.max_completion_tokens or self.max_tokens}
