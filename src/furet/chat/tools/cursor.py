"""Walking through a text that is still being written.

Every step is a generator: it gives None where it needs to see more, and goes on when there is more. What it decides
depends on characters alone, never on where pieces were cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from typing import TypeVar

from furet.chat.events import CallArguments, CallBegan, Text

T = TypeVar("T")
Found = Text | CallBegan | CallArguments
Steps = Generator[Found | None, None, T]
"""Gives events, and None where it waits for more text."""

SPACES = " \t\r\n"
_SPACE = re.compile(f"[{SPACES}]")
_TURN = re.compile(r'["\\{}\[\]]')


class Cursor:
    """A text as far as it has come, and a place in it."""

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.ended = False

    def forget(self) -> None:
        """Drop the text before the place."""
        self.text, self.at = self.text[self.at :], 0

    def more(self) -> Steps[bool]:
        """Wait for more text; False when there is none."""
        size = len(self.text)
        while len(self.text) == size and not self.ended:
            yield None
        return len(self.text) > size

    def sees(self, text: str) -> Steps[bool]:
        """Whether this is what comes next."""
        while len(left := self.text[self.at : self.at + len(text)]) < len(text) and text.startswith(left):
            if not (yield from self.more()):
                return False
        return left == text

    def passes(self, text: str) -> Steps[bool]:
        """Pass a text if it is what comes next, spaces before it or not; otherwise stay."""
        begin = self.at
        yield from self.spaces()
        if (yield from self.sees(text)):
            self.at += len(text)
            return True
        self.at = begin
        return False

    def matching(self, pattern: re.Pattern[str]) -> Steps[str]:
        """Pass all characters that match, one by one."""
        begin = self.at
        while True:
            while self.at < len(self.text) and pattern.match(self.text[self.at]):
                self.at += 1
            if self.at < len(self.text) or not (yield from self.more()):
                return self.text[begin : self.at]

    def spaces(self) -> Steps[str]:
        """Pass spaces and line ends."""
        return (yield from self.matching(_SPACE))

    def string(self) -> Steps[str | None]:
        """Pass a JSON text, spaces before it or not; None when there is none."""
        yield from self.spaces()
        raw = (yield from self._balanced()) if (yield from self.sees('"')) else None
        try:
            return None if raw is None else str(json.loads(raw))
        except ValueError:
            return None

    def object(self) -> Steps[str | None]:
        """Pass a JSON object, spaces before it or not; None when there is none.

        Line ends inside of its texts, which JSON wants escaped, are made good: models forget it when they write code.
        """
        yield from self.spaces()
        raw = (yield from self._balanced()) if (yield from self.sees("{")) else None
        try:
            if raw is None:
                return None
            value = json.loads(raw, strict=False, parse_constant=_refuse)
            return raw if raw.isprintable() else json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            return None

    def _balanced(self) -> Steps[str | None]:
        """Pass what a bracket or a quotation mark begins, up to where it is closed."""
        begin, depth = self.at, Depth()
        while True:
            self.at = depth.end(self.text, self.at)
            if depth.closed:
                return self.text[begin : self.at]
            if not (yield from self.more()):
                return None


class Depth:
    """Brackets and quotation marks of JSON that are open."""

    def __init__(self) -> None:
        self.closed = False
        self._open = 0
        self._quoted = False
        self._escaped = False

    def end(self, text: str, at: int) -> int:
        """Go on through a text from a place; returns the place behind what closes the first, or the text's end."""
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            match = _TURN.search(text, at)
            if match is None:
                return len(text)
            at = match.end()
            self._turn(match[0])
            if not self._open and not self._quoted:
                self.closed = True
                return at
        return at

    def _turn(self, character: str) -> None:
        if self._quoted:
            self._escaped = character == "\\"
            self._quoted = character != '"'
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._open += 1
        elif character in "}]":
            self._open -= 1


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")
