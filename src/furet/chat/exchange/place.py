"""A value of a document that knows where it stands, so that an error can say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from furet.chat.store.checks import MAX_CONTENT, shortened
from furet.errors import BadRequest

Chosen = TypeVar("Chosen")

_HALF_PAIR = re.compile(r"[\ud800-\udfff]")
_LARGEST = 1e300
_LATEST = 1e11  # seconds since 1970: the year 5138


@dataclass(frozen=True)
class Place:
    """A value of a JSON document.

    value   as `json.loads` gives it
    path    such as "conversations.json: conversation 3: mapping: node 'a'"
    """

    value: Any
    path: str

    def wrong(self, wanted: str) -> BadRequest:
        """The error of a value that is something else."""
        return BadRequest(f"{self.path}: got {self.value!r:.60}, wanted {wanted}")

    def __getitem__(self, key: str) -> Place:
        """A field of an object; None where there is none."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return Place(self.value.get(key), f"{self.path}: {key}")

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def items(self) -> Iterator[Place]:
        """The elements of a list; none when there is no list."""
        if self.value is not None and not isinstance(self.value, list):
            raise self.wrong("a list")
        return (Place(each, f"{self.path} {number}") for number, each in enumerate(self.value or (), 1))

    def entries(self) -> Iterator[tuple[str, Place]]:
        """The fields of an object with their names; none when there is no object."""
        if self.value is not None and not isinstance(self.value, dict):
            raise self.wrong("an object")
        return ((key, Place(each, f"{self.path}: {key!r:.60}")) for key, each in (self.value or {}).items())

    def text(self, default: str | None = None, *, most: int = MAX_CONTENT) -> str:
        """A text; halves of surrogate pairs, which some exports have, become U+FFFD."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        if len(self.value) > most:
            raise BadRequest(f"{self.path}: got {len(self.value)} characters, wanted at most {most}")
        return _HALF_PAIR.sub("\ufffd", self.value)

    def text_or_none(self) -> str | None:
        """A text, or None where there is none."""
        return None if self.value is None else self.text()

    def line(self, default: str | None = None) -> str:
        """A text made one line of, cut where a name in the store must end."""
        return shortened(self.text(default))

    def choice(self, choices: Mapping[str, Chosen]) -> Chosen:
        """What one of several texts stands for."""
        if not isinstance(self.value, str) or self.value not in choices:
            raise self.wrong(" or ".join(choices))
        return choices[self.value]

    def number(self, default: float | None = None) -> float:
        """A number, not too large for arithmetic."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not abs(self.value) < _LARGEST:
            raise self.wrong("a number")
        return float(self.value)

    def whole(self, default: int | None = None) -> int:
        """A whole number that fits 64 bits."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int) or abs(self.value) >= 1 << 64:
            raise self.wrong("a whole number")
        return self.value

    def seconds(self, default: float) -> float:
        """A time: seconds since 1970, or a text of ISO 8601. One before 1970 stands for one that nobody knows."""
        if isinstance(self.value, str):
            try:
                when = datetime.fromisoformat(self.value.strip().replace("Z", "+00:00"))
                found = (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
            except (ValueError, OverflowError):
                raise self.wrong("a time of ISO 8601") from None
        else:
            found = self.number(default)
        if found >= _LATEST:
            raise self.wrong("a time of this age")
        return found if found >= 0 else default
