"""What may be written into the store. Everything here raises BadRequest naming the field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from furet.chat.store.records import Counts, Member, State, ToolCall, Turns
from furet.errors import BadRequest

MAX_CONTENT = 16 << 20  # characters of a message
MAX_SYSTEM = 1 << 20
MAX_NAME = 200  # of titles, models and presets
MAX_MEMBER = 40  # of the name of a member, which is written out to call it
MAX_ICON = 32
MAX_SETTINGS = 256 << 10  # characters of JSON
MAX_MEMBERS = 16
MAX_CALLS = 128
MAX_ARGUMENTS = 1 << 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def text(name: str, value: object, most: int) -> str:
    """A text of at most so many characters, which can be written as UTF-8."""
    if not isinstance(value, str):
        raise BadRequest(f"{name}: got {value!r:.60}, wanted a text")
    if len(value) > most:
        raise BadRequest(f"{name}: got {len(value)} characters, wanted at most {most}")
    if _SURROGATE.search(value):
        raise BadRequest(f"{name}: half a surrogate pair, which is no character")
    return value


def line(name: str, value: object, most: int = MAX_NAME, *, least: int = 0) -> str:
    """A text on one line, without control characters and white space around it."""
    found = text(name, value, most).strip()
    if _CONTROL.search(found):
        raise BadRequest(f"{name}: got {found!r:.60}, wanted a single line")
    if len(found) < least:
        raise BadRequest(f"{name}: wanted a text, got an empty one")
    return found


def shortened(text: str, most: int = MAX_NAME) -> str:
    """A text made a line of that may stand where `line` is wanted."""
    found = " ".join(_CONTROL.sub(" ", text).split())
    return found if len(found) <= most else f"{found[: most - 1].rstrip()}…"


def flag(name: str, value: object) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise BadRequest(f"{name}: got {value!r:.60}, wanted true or false")
    return value


def colour(name: str, value: object) -> str:
    """A colour, "#rrggbb" in lower case, or nothing."""
    found = line(name, value).lower()
    if found and not _COLOUR.fullmatch(found):
        raise BadRequest(f"{name}: got {found!r:.60}, wanted #rrggbb")
    return found


def choice(name: str, value: object, choices: Any) -> str:
    """One of the texts of a `Literal`."""
    wanted = get_args(choices)
    if value not in wanted:
        raise BadRequest(f"{name}: got {value!r:.60}, wanted one of {', '.join(wanted)}")
    return str(value)


def preset(name: str, value: object) -> str:
    """The canonical name of a prompt format; never a file's, as the value may come from a web page."""
    from furet.chat.formats import find_preset

    try:
        return find_preset(line(name, value, least=1)).name
    except BadRequest as error:
        raise BadRequest(f"{name}: {error.message}", error.hint) from None


def settings(name: str, value: object) -> str:
    """Fields of `furet.engine.Request` as JSON text."""
    if not isinstance(value, Mapping):
        raise BadRequest(f"{name}: got {value!r:.60}, wanted an object")
    if not value:
        return "{}"
    from furet.engine.request import Options, Request

    unknown = [key for key in value if key not in Options.__annotations__]
    if unknown:
        raise BadRequest(f"{name}: there is no setting {unknown[0]!r:.60}")
    document = json_text(name, value, MAX_SETTINGS)
    try:
        Request(**settings_of(document))
    except BadRequest as error:
        raise BadRequest(f"{name}: {error.message}", error.hint) from None
    except TypeError as error:
        raise BadRequest(f"{name}: a value of the wrong type: {error}") from None
    return document


def settings_of(document: str) -> dict[str, Any]:
    """Settings from their JSON text; token ids, which JSON makes texts, are numbers again."""
    found: dict[str, Any] = json.loads(document)
    biases = found.get("logit_bias")
    if isinstance(biases, dict):
        found["logit_bias"] = {int(key) if key.isdecimal() else key: bias for key, bias in biases.items()}
    return found


def json_text(name: str, value: object, most: int) -> str:
    """A value as JSON text of at most so many characters."""
    try:
        return text(name, json.dumps(value, allow_nan=False, ensure_ascii=False, default=_plain), most)
    except (TypeError, ValueError, RecursionError):
        raise BadRequest(f"{name}: wanted values that JSON can hold") from None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def members(name: str, value: object) -> list[Member]:
    """The members of a group, names unique."""
    if not isinstance(value, Sequence) or len(value) > MAX_MEMBERS or not all(isinstance(m, Member) for m in value):
        raise BadRequest(f"{name}: wanted at most {MAX_MEMBERS} members")
    taken: set[str] = set()
    for member in value:
        key = line(f"{name}: name", member.name, MAX_MEMBER, least=1).casefold()
        if key in taken:
            raise BadRequest(f"{name}: two are called {member.name!r}, wanted names that differ")
        taken.add(key)
    return list(value)


def turns(name: str, value: object) -> str:
    """How members of a group take turns."""
    return choice(name, value, Turns)


def ended(state: object, error: object) -> None:
    """How an answer ended, and the error of one that failed."""
    found = choice("state", state, State)
    if found == "streaming":
        raise BadRequest("state: an answer that ended is complete, stopped or failed")
    if (found == "failed") != (error is not None):
        raise BadRequest("error: belongs to answers that failed, and to no others")
    if error is not None:
        text("error", error, MAX_ARGUMENTS)


def tool_calls(calls: Sequence[ToolCall]) -> str:
    """Calls of tools as JSON text."""
    if not calls:
        return "[]"
    if len(calls) > MAX_CALLS:
        raise BadRequest(f"tool_calls: got {len(calls)}, wanted at most {MAX_CALLS}")
    rows = [
        {
            "id": line("tool_calls: id", call.id, least=1),
            "name": line("tool_calls: name", call.name, least=1),
            "arguments": text("tool_calls: arguments", call.arguments, MAX_ARGUMENTS),
        }
        for call in calls
    ]
    return json.dumps(rows, ensure_ascii=False)


def counts(value: Counts) -> str:
    """What an answer took, as JSON text without what is unknown."""
    if value == Counts():
        return "{}"
    return json_text("counts", {key: each for key, each in vars(value).items() if each}, MAX_SETTINGS)
