"""A tool that a model may call, and which of them it may or must."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from furet.chat.messages import MAX_DEPTH, deeper
from furet.errors import BadRequest
from furet.sample.schema import blamed, schema_grammar

MAX_TOOLS = 128
MAX_DESCRIPTION = 16 << 10  # characters
MAX_SCHEMAS = 256 << 10  # characters of all schemas together
NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
SAYS_MORE = {  # keys by which a schema is not silent about properties that it does not name
    "additionalProperties", "patternProperties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const",
}  # fmt: skip
FIELDS = {"name", "description", "parameters", "strict"}


@dataclass(frozen=True)
class Tool:
    """A tool.

    parameters  JSON schema of its arguments, which are an object
    strict      a schema that cannot be enforced is an error, also where the model need not call
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False

    @property
    def function(self) -> dict[str, Any]:
        """As chat templates expect it, by Hugging Face's conventions."""
        parameters = self.parameters or {"type": "object", "properties": {}}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class Offer:
    """The tools that a model is shown.

    must        it has to call one
    only        of these names alone
    parallel    one answer may hold several calls
    """

    tools: tuple[Tool, ...] = ()
    must: bool = False
    only: frozenset[str] = frozenset()
    parallel: bool = True

    @property
    def callable(self) -> tuple[Tool, ...]:
        """The tools that may be called."""
        return tuple(tool for tool in self.tools if not self.only or tool.name in self.only)


def read_offer(tools: Sequence[Mapping[str, Any]], choice: object, parallel: bool) -> Offer:
    """What `furet.serve.jobs.AnswerChat` says of tools, checked; BadRequest names the field at fault.

    choice  "auto", "none", "required", or {"name": ...}
    """
    read = read_tools(tools)
    names = [tool.name for tool in read]
    if not isinstance(parallel, bool):
        raise BadRequest(f"parallel: got {parallel!r:.60}, wanted true or false")
    match choice:
        case "none":
            return Offer()
        case "auto":
            return Offer(read, parallel=parallel)
        case "required":
            if not read:
                raise BadRequest("tool_choice: required, but there are no tools", "give tools, or choose auto")
            return Offer(read, True, parallel=parallel)
        case {"name": str(name), **rest} if not rest:
            if name not in names:
                known = ", ".join(names) or "none"
                raise BadRequest(f"tool_choice: no tool {name!r:.80}", f"the tools are: {known:.300}")
            return Offer(read, True, frozenset((name,)), parallel=parallel)
    wanted = 'auto, none, required or {"name": ...}'
    raise BadRequest(f"tool_choice: got {choice!r:.80}, wanted {wanted}")


def read_tools(given: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """Tools as {"name", "description", "parameters"}; BadRequest names the one at fault, and its field."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or len(given) > MAX_TOOLS:
        raise BadRequest(f"tools: got {given!r:.60}, wanted a list of at most {MAX_TOOLS}")
    found: dict[str, Tool] = {}
    for place, tool in enumerate(given):
        read = _tool(tool, f"tools[{place}]")
        if read.name in found:
            raise BadRequest(f"tools[{place}].name: {read.name!r} is the name of two tools")
        found[read.name] = read
    size = sum(len(json.dumps(tool.parameters)) for tool in found.values())
    if size > MAX_SCHEMAS:
        raise BadRequest(f"tools: their schemas have {size} characters, wanted at most {MAX_SCHEMAS}")
    return tuple(found.values())


def _tool(given: object, where: str) -> Tool:
    if not isinstance(given, Mapping):
        raise BadRequest(f"{where}: got {given!r:.60}, wanted an object with name, description and parameters")
    for key in given:
        if key not in FIELDS:
            raise BadRequest(f"{where}.{key!s:.60}: no field of a tool")
    name, description = given.get("name"), given.get("description") or ""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadRequest(f"{where}.name: got {name!r:.60}, wanted 1 to 128 letters, digits, or any of _ . -")
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        raise BadRequest(f"{where}.description: wanted a text of at most {MAX_DESCRIPTION} characters")
    parameters = given.get("parameters")
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping):
        raise BadRequest(f"{where}.parameters: got {parameters!r:.60}, wanted a JSON schema of an object")
    strict = given.get("strict") or False
    if not isinstance(strict, bool):
        raise BadRequest(f"{where}.strict: got {strict!r:.60}, wanted true or false")
    return Tool(name, description, _as_json(parameters, where), strict)


def _as_json(schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A schema as JSON has it; BadRequest for one that is none, or no object's."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(schema, allow_nan=False))
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"{where}.parameters: not JSON: {error}"[:300]) from None
    if deeper(found, MAX_DEPTH):
        raise BadRequest(f"{where}.parameters: nested more than {MAX_DEPTH} levels deep")
    if found.get("type", "object") != "object":
        raise BadRequest(f"{where}.parameters.type: got {found['type']!r:.60}, wanted 'object'")
    return found


def arguments_grammar(tool: Tool) -> dict[str, Any]:
    """The JSON schema for llguidance that makes a call's arguments; BadRequest names the path that it cannot honour.

    Where the schema is silent about properties that it does not name, there are none: nobody could use them.
    """
    from llguidance import LLMatcher

    schema = {"type": "object", **tool.parameters}
    if not SAYS_MORE & set(schema):
        schema |= {"properties": schema.get("properties", {}), "additionalProperties": False}

    def fails(grammar: str) -> str:
        failed, messages = LLMatcher.validate_grammar_with_warnings(grammar)
        return "; ".join(messages) if failed or messages else ""

    try:
        grammar = schema_grammar(schema)
        if message := fails(grammar):
            raise BadRequest(f"cannot be honoured at {blamed(schema, fails):.200}: {' '.join(message.split()):.300}")
    except BadRequest as error:
        said = error.message.removeprefix("json_schema: ")
        raise BadRequest(f"tools: the parameters of {tool.name!r}: {said}", error.hint) from None
    made: dict[str, Any] = json.loads(grammar)["grammars"][0]["json_schema"]
    return made
