"""JSON schemas as grammars. What cannot be honoured is refused, naming its path: nothing of a schema is ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from furet.errors import BadRequest

MAX_TEXT = 128 << 10  # characters of a schema
MAX_DEPTH = 64
MAX_TRIED = 256  # parts that are looked at for the one to blame
LARGEST = 2**53 - 1
FINEST = 1e-9
FORM: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "coerce_one_of": False}

SPEAKING = {
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly",
    "writeOnly",
}
HONOURED = {
    "$ref", "$defs", "definitions", "type", "enum", "const", "anyOf", "allOf", "oneOf", "properties",
    "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties", "items",
    "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum",
    "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
}
BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
BY_PLACE = ("anyOf", "allOf", "oneOf", "prefixItems")
SINGLE = ("items", "additionalProperties")


def schema_grammar(schema: object) -> str:
    """The grammar of the documents that a schema admits, in one way of writing: `{"a": 1, "b": [2, 3]}`.

    Numbers have at most nine decimals and no exponent, and no more digits than a float64 holds where the schema does
    not bound them: a small model can go on with digits for ever.

    schema  a JSON schema, as an object, a boolean or their text
    raises  BadRequest naming the path of what cannot be honoured
    """
    from llguidance import LLMatcher

    schema = _parsed(schema)
    for path, part in _parts(schema):
        if isinstance(part, bool):
            continue
        if not isinstance(part, dict):
            raise BadRequest(f"json_schema: got {part!r:.60} at {path}, wanted a schema: an object or a boolean")
        for key in part:
            if key not in SPEAKING and key not in HONOURED:
                raise BadRequest(f"json_schema: {path}/{key:.60} cannot be honoured", "leave it out")
        _bound_digits(part)
    text = json.dumps(schema if isinstance(schema, dict) else ({} if schema else {"enum": []}))
    return str(LLMatcher.grammar_from_json_schema(text, overrides=FORM))


def blamed(schema: object, fails: Callable[[str], str]) -> str:
    """The path of the innermost part of a schema for which `fails(grammar)` says something."""
    schema = _parsed(schema)
    shared = {key: schema[key] for key in ("$defs", "definitions") if isinstance(schema, dict) and key in schema}
    found = "#"
    for path, part in islice(_parts(schema), MAX_TRIED):
        inside = isinstance(part, dict) and path.startswith(f"{found}/")
        if inside and fails(schema_grammar({**part, **shared})):
            found = path
    return found


def _parsed(schema: object) -> Any:
    """A schema as JSON has it, within the bounds."""
    try:
        text = schema if isinstance(schema, str) else json.dumps(schema, allow_nan=False)
        if len(text) > MAX_TEXT:
            raise BadRequest(f"json_schema: {len(text)} characters, wanted at most {MAX_TEXT}", "split it")
        parsed = json.loads(text, parse_constant=_refuse)
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no character
        return parsed
    except RecursionError:
        raise BadRequest(f"json_schema: nested too deeply, wanted at most {MAX_DEPTH} levels") from None
    except (TypeError, ValueError) as error:
        raise BadRequest(f"json_schema: not JSON: {error}") from None


def _bound_digits(part: dict[str, Any]) -> None:
    """Numbers of a schema in so many digits, in place."""
    types = part.get("type")
    named = types if isinstance(types, list) else [types]
    if "number" in named:
        part.setdefault("multipleOf", FINEST)
    if "number" in named or "integer" in named:
        for least, most, bound in (("minimum", "maximum", LARGEST), ("maximum", "minimum", -LARGEST)):
            exclusive = f"exclusive{most.title()}"
            other = part.get(least, part.get(f"exclusive{least.title()}", 0))
            if most not in part and exclusive not in part and isinstance(other, int | float) and abs(other) < LARGEST:
                part[most] = bound


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _parts(schema: Any, path: str = "#", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every schema in a schema, the outer ones first, each with its path."""
    if depth > MAX_DEPTH:
        raise BadRequest(f"json_schema: nested more than {MAX_DEPTH} levels deep at {path:.200}")
    yield path, schema
    if not isinstance(schema, dict):
        return
    for key in BY_NAME:
        if isinstance(named := schema.get(key), Mapping):
            for name, part in named.items():
                yield from _parts(part, f"{path}/{key}/{name}", depth + 1)
    for key in BY_PLACE:
        if isinstance(listed := schema.get(key), list):
            for place, part in enumerate(listed):
                yield from _parts(part, f"{path}/{key}/{place}", depth + 1)
    for key in SINGLE:
        if key in schema:
            yield from _parts(schema[key], f"{path}/{key}", depth + 1)
