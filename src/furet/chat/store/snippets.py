"""The piece of a text around what a search has found, and where in it that stands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

BEFORE = 40  # characters before the first place
LENGTH = 200
MAX_MARKS = 32

_ACCENTS = "[\\u0300-\\u036f]*"  # that follow their letter as characters of their own


class _Folding(dict[int, int]):
    """What a character is to the index of words, character by character: in lower case, without its accents."""

    def __missing__(self, code: int) -> int:
        base = unicodedata.normalize("NFD", chr(code))[0].lower()
        self[code] = ord(base) if len(base) == 1 else code
        return self[code]


_FOLDING = _Folding()


def fold(text: str) -> str:
    """A text in lower case and without accents, as long as before."""
    return text.lower() if text.isascii() else text.translate(_FOLDING)


def pattern(phrases: Sequence[tuple[str, bool]], loose: re.Pattern[str]) -> re.Pattern[str] | None:
    """What finds any of the phrases in a folded text; None when there are none.

    phrases     each with whether its last word may be the beginning of one
    loose       finds characters that are words of their own, so that no space must stand around them
    """
    parts = []
    for phrase, beginning in phrases:
        words = re.findall(r"[^\W_]+", fold(phrase))
        if not words:
            continue
        joined = r"[\W_]+".join(_ACCENTS.join(map(re.escape, word)) for word in words)
        if loose.search(phrase):
            parts.append(joined)
        else:
            parts.append(rf"(?<![^\W_]){joined}" + ("" if beginning else rf"{_ACCENTS}(?![^\W_])"))
    return re.compile("|".join(parts)) if parts else None


def snippet(text: str, found: re.Pattern[str] | None) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The piece of the text around the first place, on one line, and all places in it."""
    folded = fold(text)
    first = found.search(folded) if found else None
    start = _start(text, first.start() if first else 0)
    piece = text[start : start + LENGTH]
    before = "…" if start else ""
    after = "…" if start + LENGTH < len(text) else ""
    shift = len(before)
    marks = []
    for match in found.finditer(folded, start, start + len(piece)) if found else ():
        marks.append((match.start() - start + shift, match.end() - start + shift))
        if len(marks) == MAX_MARKS:
            break
    return before + re.sub(r"\s", " ", piece) + after, tuple(marks)


def _start(text: str, place: int) -> int:
    """Where to begin: at a word somewhat before the place."""
    if place <= BEFORE:
        return 0
    space = text.find(" ", place - BEFORE, place)
    return space + 1 if space >= 0 else place - BEFORE
