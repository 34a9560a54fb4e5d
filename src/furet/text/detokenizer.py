"""Tokens to text, a token at a time: a character is given out once its last byte is there."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable

_decoder = getincrementaldecoder("utf-8")


class Detokenizer:
    """Turns a stream of tokens into a stream of whole characters, which join to `decode` of all the tokens.

    visible   gives a token's bytes, none for tokens that are not shown
    strip     whether one space at the very beginning belongs to the tokenizer and not to the text
    """

    def __init__(self, visible: Callable[[int], bytes], strip: bool) -> None:
        self._visible = visible
        self._strip = strip
        self._decoder = _decoder("replace")

    def push(self, token: int) -> str:
        """The characters that `token` completes; U+FFFD for bytes that can no longer become one."""
        data = self._visible(token)
        if self._strip and data:
            data, self._strip = data.removeprefix(b" "), False
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What is left when no token follows: U+FFFD for a character that was begun, else nothing."""
        return self._decoder.decode(b"", final=True)
