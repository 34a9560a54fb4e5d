"""The options that give an answer a form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from furet.cli.arguments import Group, Option
from furet.errors import BadRequest

_MOST = 1 << 20  # bytes of a file; the engine's own bounds are lower
FormOptions = Annotated[
    dict[str, Any],
    Group(
        "form of the answer (one of these)",
        json_schema=Annotated[
            str | None,
            Option("-j", "--json-schema", help="JSON of this schema, given as text or as a file", metavar="SCHEMA"),
        ],
        regex=Annotated[str | None, Option("--regex", help="a text that matches this as a whole", metavar="REGEX")],
        choices=Annotated[
            list[str] | None, Option("--choice", help="one of these texts; may be repeated", metavar="TEXT")
        ],
        grammar=Annotated[
            str | None,
            Option("--grammar", "--grammar-file", help="a GBNF or Lark grammar, as text or file", metavar="GRAMMAR"),
        ],
    ),
]


def form_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The form as the engine takes it. Raises BadRequest for a file that cannot be read."""
    form = dict(given)
    if "json_schema" in form and not form["json_schema"].lstrip().startswith(("{", "true", "false")):
        form["json_schema"] = _read("--json-schema", form["json_schema"])
    if "grammar" in form and "::=" not in form["grammar"] and "start:" not in form["grammar"]:
        form["grammar"] = _read("--grammar", form["grammar"])
    return form


def _read(option: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise BadRequest(f"{option}: {path} has more than {_MOST} bytes")
        return data.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise BadRequest(f"{option}: got {path!r:.100}, which is no such text, and no file: {reason}") from None
