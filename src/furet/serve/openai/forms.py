"""Tools that a model may call, and forms that its answer must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from furet.errors import BadRequest
from furet.serve.fields import Strict
from furet.serve.limits import MAX_TOOLS

ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:-]{1,128}$")]
Schema = dict[str, Any]
Description = Annotated[str, Field(max_length=1 << 16)]


class FunctionFields(Strict):
    """What a tool is.

    parameters  JSON schema of the arguments, an object; none: it takes none
    strict      whether the arguments always follow the schema, which must then be one that can be honoured
    """

    name: ToolName
    description: Description | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class Tool(Strict):
    """A tool that may be called."""

    type: Literal["function"]
    function: FunctionFields


class NamedFunction(Strict):
    """The name of a function."""

    name: ToolName


class NamedTool(Strict):
    """The one tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class TextFormat(Strict):
    """Any text."""

    type: Literal["text"]


class JsonObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchema(Strict):
    """A schema, which holds whether it is called strict or not; name and description are labels of it."""

    name: ToolName
    description: Description | None = None
    schema_: Annotated[Schema | None, Field(alias="schema")] = None
    strict: bool | None = None


class JsonSchemaFormat(Strict):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS)]
ToolChoice = Literal["none", "auto", "required"]
ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


def plain_tool(function: FunctionFields) -> dict[str, Any]:
    """A tool as a job has it."""
    parameters = function.parameters or {"type": "object", "properties": {}}
    plain = {"name": function.name, "description": function.description or "", "parameters": parameters}
    return plain | ({"strict": True} if function.strict else {})


def checked_choice(
    choice: str | None, named: str | None, tools: Sequence[Mapping[str, Any]]
) -> str | dict[str, str]:
    """The choice of tools as a job has it; raises BadRequest for two tools of one name, and for none to choose."""
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"tools: the name {twice!r} is there twice")
    if named is not None:
        if named not in names:
            raise BadRequest(f"tool_choice: got {named!r}, which is none of the tools")
        return {"name": named}
    if choice == "required" and not names:
        raise BadRequest("tool_choice: got 'required', and there are no tools")
    return choice or "auto"


def schema_of(format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None) -> Schema | None:
    """The JSON schema that an answer must follow, or None."""
    if isinstance(format, JsonSchemaFormat):
        if format.json_schema.schema_ is None:
            raise BadRequest("response_format.json_schema.schema: missing")
        return format.json_schema.schema_
    return {"type": "object"} if isinstance(format, JsonObjectFormat) else None
