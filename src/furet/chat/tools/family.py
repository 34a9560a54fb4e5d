"""How a family of models writes calls of tools, and which family a chat template is of."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from furet.chat.tools.cursor import Steps
from furet.chat.tools.reading import Reading
from furet.errors import BadRequest


@dataclass(frozen=True)
class Family:
    """A way of writing calls: one after the other they are

        opening, then for each call: head, arguments, tail; `between` stands between them, and `closing` behind all

    name        of the family
    asked_by    whether a chat template, which knows tools, asks for calls written so
    read        reads calls out of an answer
    head        what stands before a call's arguments, by the name of the tool
    marks       texts that are control tokens in some vocabularies, and then would not be shown
    bare        calls begin a line without an opening
    single      an answer holds one call
    short_ids   a call's id has nine letters and digits
    """

    name: str
    asked_by: Callable[[str], bool]
    read: Callable[[Reading], Steps[None]]
    head: Callable[[str], str]
    tail: str = "}"
    opening: str = ""
    between: str = "\n"
    closing: str = ""
    marks: tuple[str, ...] = ()
    bare: bool = False
    single: bool = False
    short_ids: bool = False

    def new_id(self) -> str:
        """The id of a call, unlike all others."""
        if self.short_ids:
            return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))
        return f"call_{secrets.token_hex(12)}"

    def known_id(self, id: str) -> str:
        """An id that others have made, as the family's templates take it; equal ones stay equal."""
        if not self.short_ids or re.fullmatch("[A-Za-z0-9]{9}", id):
            return id
        return hashlib.sha256(id.encode(errors="replace")).hexdigest()[:9]


def families() -> Mapping[str, Family]:
    """All of them by name; the last one is for templates that ask for none of the others."""
    from furet.chat.tools import hermes, llama3, mistral, plain

    known = (hermes.HERMES, mistral.NAMED, mistral.LISTED, llama3.LLAMA3, plain.PLAIN)
    return {family.name: family for family in known}


def find_family(template: str, name: str | None = None) -> Family:
    """The family that a chat template asks for, or the one named; BadRequest when there is none of that name.

    A template that does not mention `tools`, or asks for calls in none of the known ways, gets `plain`.
    """
    known = families()
    if name is not None:
        if name not in known:
            raise BadRequest(f"no family of tool calls {name!r:.60}", f"there are: {', '.join(known)}")
        return known[name]
    return next(family for family in known.values() if family.asked_by(template))
