"""Stop strings in a text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Passes text through until one of the strings appears; the string itself and what follows are dropped.

    Held back is only what could still become a stop string: the longest end of the text that begins one.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        assert all(strings), "an empty stop string stops everything"
        self._strings = tuple(strings)
        self._held = ""
        self.stop: str | None = None  # the one that was found

    @property
    def found(self) -> bool:
        """Whether the text ends here."""
        return self.stop is not None

    def push(self, text: str) -> str:
        """Add a piece; returns what may be shown now. When `found` turns true, that was the last."""
        if self.found or not self._strings:
            return "" if self.found else text
        text = self._held + text
        # The first to be complete wins, so that the answer does not depend on where the pieces were cut.
        found = [(at + len(string), at, string) for string in self._strings if (at := text.find(string)) >= 0]
        if found:
            _, at, self.stop = min(found)
            self._held = ""
            return text[:at]
        keep = max(overlap(text, string) for string in self._strings)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """The text ends here; returns what was held back."""
        held, self._held = self._held, ""
        return held


def overlap(text: str, string: str) -> int:
    """Length of the longest end of the text that is a beginning of the string, short of all of it."""
    for length in range(min(len(text), len(string) - 1), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
