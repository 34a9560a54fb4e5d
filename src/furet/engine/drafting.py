"""Guesses of a second, smaller model: what it would say next is verified by the model itself, several tokens a step.

It goes on greedily, in a cache of its own for every answer. Whether its time pays is judged where all guesses are, in
`furet.engine.ahead`; an answer is the same with it and without it.
Source: Leviathan et al., "Fast inference from transformers via speculative decoding", arXiv:2211.17192; tokens here are
not accepted by chance but compared with those that were chosen anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from furet.engine.backend import Backend, Run
from furet.engine.paged import PagedCaches
from furet.engine.whole import WholeCaches
from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.engine.held import Held
    from furet.text.tokenizer import Tokenizer

READ = 64  # tokens that it reads before one step, of a beginning or of what came without its guesses
AT_ONCE = 8  # tokens that it reads where it goes on to guess: what a step of its model may have verified
MOST_UNSHARED = 1024  # tokens at the end of the longer vocabulary: what pads it to a round size


class Drafter:
    """The second model, and room for as many sequences as the first one has. Of the thread that steps.

    context     tokens of a sequence
    vocab       of the first model
    """

    def __init__(self, backend: Backend, context: int, sequences: int, vocab: int) -> None:
        self.backend = backend
        self.context = context
        self.vocab = vocab
        self.caches = (PagedCaches if backend.paged else WholeCaches)(backend, context, sequences)
        self.out = np.empty((1, backend.vocab), dtype=np.float32)


class Drafts:
    """The guesses of one answer."""

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter
        self._held: Held | None = None
        self._fed: list[int] = []  # tokens that are in the cache
        self._sure = 0  # of these, those that are the answer's
        self._last: tuple[int, list[int]] = (0, [])  # how many tokens there were, and the guesses

    def guess(self, tokens: list[int], count: int) -> list[int]:
        """So many tokens that may follow; none where there is no room, or while it reads what came before."""
        if count <= 0:
            return []
        if self._last[0] == len(tokens):  # a step that was to verify them had no room
            return self._last[1][:count]
        held = self._prepared(tokens, count)
        if held is None:
            return []
        behind = tokens[held.length :]
        if len(behind) > AT_ONCE:  # a step of its own, so that the time of guesses is that of guesses
            self._step(held, behind[:-1][:READ], 0)
            self._settle(held)
            return []
        guessed = [self._step(held, behind, 1)]
        self._settle(held)
        while len(guessed) < count:
            guessed.append(self._step(held, guessed[-1:], 1))
        self._last = len(tokens), guessed
        return guessed

    def close(self) -> None:
        """Let go of the cache; harmless when done already."""
        if self._held is not None:
            self._held.close()
            self._held, self._last = None, (0, [])

    def _prepared(self, tokens: list[int], count: int) -> Held | None:
        """The cache without what was guessed wrongly, and with room for what comes."""
        unknown = max(tokens[self._sure :]) >= self._drafter.backend.vocab
        if unknown or len(tokens) + count - 1 > self._drafter.context:
            self.close()
            return None
        if self._held is None:
            self._held = self._drafter.caches.open(tokens)
            if self._held is None:
                return None
            self._fed = tokens[: self._held.length]
            self._sure = self._held.length
        while self._sure < min(len(self._fed), len(tokens) - 1) and self._fed[self._sure] == tokens[self._sure]:
            self._sure += 1
        self._held.truncate(self._sure)
        del self._fed[self._sure :]
        if not self._held.reserve(len(tokens) - self._sure + count - 1):
            self.close()
            return None
        return self._held

    def _step(self, held: Held, tokens: list[int], rows: int) -> int:
        """Read these tokens; the one that is to follow, if it is wanted."""
        out = self._drafter.out[:rows]
        most = self._drafter.backend.max_tokens
        for at in range(0, len(tokens), most):
            part = tokens[at : at + most]
            last = at + most >= len(tokens)
            self._drafter.backend.step([Run(part, held.cache, rows if last else 0)], out if last else out[:0])
            held.appended(part)
            self._fed += part
        return int(out[0, : self._drafter.vocab].argmax()) if rows else -1

    def _settle(self, held: Held) -> None:
        """All that was read so far is of the answer."""
        self._sure = len(self._fed)
        held.share()


def require_same_tokens(wanted: Tokenizer, found: Tokenizer) -> None:
    """Raise BadRequest, with the first difference, unless both models mean the same by a token."""
    sizes = wanted.vocab_size, found.vocab_size
    for token in range(min(sizes)):
        texts = wanted.token_bytes(token), found.token_bytes(token)
        if texts[0] != texts[1]:
            raise BadRequest(
                f"draft: token {token} is {texts[1]!r:.60} of it and {texts[0]!r:.60} of the model",
                "take a smaller model of the same family",
            )
    if max(sizes) - min(sizes) > MOST_UNSHARED:
        raise BadRequest(f"draft: it has {sizes[1]} tokens, the model has {sizes[0]}", "take one of the same family")
