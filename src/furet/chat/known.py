"""The tokens of answers given lately, by their text: when an answer comes back in a conversation, it becomes these."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.engine.answer import Completion
    from furet.text.tokenizer import Tokenizer

MAX_TOKENS = 1 << 18  # of all together


def exact_tokens(completion: Completion, tokenizer: Tokenizer, *, continuing: bool = False) -> tuple[int, ...]:
    """The tokens of an answer; none when they stand for more than its text, as where a stop string was cut off."""
    same = tokenizer.decode(completion.tokens, continuing=continuing) == completion.text
    return tuple(completion.tokens) if same else ()


class KnownAnswers:
    """Forgets the oldest first. Safe from any thread, and from a stream that is collected while one is in here."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._tokens: OrderedDict[str, array[int]] = OrderedDict()
        self._count = 0

    def keep(self, text: str, tokens: Sequence[int]) -> None:
        """Know the tokens of an answer."""
        if not text or not 0 < len(tokens) <= MAX_TOKENS:
            return
        kept = array("i", tokens)  # whatever allocates may run the collector, and so this very method
        with self._lock:
            more = len(kept) - len(self._tokens.pop(text, ()))
            self._tokens[text] = kept
            self._count += more
            while self._count > MAX_TOKENS:
                fewer = len(self._tokens.popitem(last=False)[1])
                self._count -= fewer

    def tokens(self, text: str) -> tuple[int, ...]:
        """Those of an answer, or none when it is not known."""
        with self._lock:
            found = self._tokens.get(text, ())
        return tuple(found)  # which nobody changes
