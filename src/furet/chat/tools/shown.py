"""The text of an answer with the names of some control tokens in it, which otherwise are not shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.engine.answer import Piece
    from furet.text.tokenizer import Tokenizer


class Shown:
    """Puts names where the tokens are, also when text before them is held back, since it may begin a stop string.

    names       of the tokens that are to be shown
    continuing  as in `Tokenizer.detokenizer`
    """

    def __init__(self, names: Mapping[int, str], tokenizer: Tokenizer, *, continuing: bool) -> None:
        self._names = names
        self._detokenizer = tokenizer.detokenizer(continuing=continuing)
        self._made = 0  # characters that the tokens so far stand for
        self._given = 0
        self._waiting: deque[tuple[int, str]] = deque()  # names, and the characters before each

    def text(self, piece: Piece) -> str:
        """The text of a piece."""
        if not self._names:
            return piece.text
        if piece.token is not None:
            if piece.token in self._names:
                self._waiting.append((self._made, self._names[piece.token]))
            self._made += len(self._detokenizer.push(piece.token))
        parts, left = [], piece.text
        while self._waiting and self._waiting[0][0] <= self._given + len(left):
            place, name = self._waiting.popleft()
            before, left = left[: place - self._given], left[place - self._given :]
            parts += [before, name]
            self._given = place
        self._given += len(left)
        return "".join([*parts, left])
