"""Answers that must have a form: a JSON schema, a regular expression, one of some texts, or a grammar.

The automaton is llguidance's, which says after every token which ones may follow. It fails closed: what cannot be
honoured is refused before anything runs, and an automaton that gives up ends the answer with an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from furet import _core
from furet.errors import BadRequest
from furet.sample.candidates import Candidates
from furet.sample.schema import blamed, schema_grammar

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

REFUSALS = 32  # of the most probable tokens, after which all are asked about
FEW = 8  # a form that forbids all but one token in so many leaves few
# Where a string may still have so many characters, all tokens of at most as many are known to be allowed. llguidance's
# own bounds, 10 and 30, leave most tokens to be tried one by one in strings of a dozen.
TEXTS = [rf'[^"\\\x00-\x1F\x7F]{{1,{most}}}' for most in (4, 8, 12, 30)] + [r'[^"\\\x00-\x1F\x7F]+']
MAX_GRAMMAR = 64 << 10  # characters
MAX_REGEX = 8 << 10
MAX_CHOICES = 1024
MAX_CHOICE = 1024  # characters


class Words(Protocol):
    """What must be known of a tokenizer."""

    vocab_size: int
    stop_ids: frozenset[int]
    bos_id: int | None
    special_ids: frozenset[int]

    def token_bytes(self, id: int) -> bytes: ...

    def encode(self, text: str, *, parse_special: bool = True, add_special: bool = True) -> list[int]: ...


class Guides:
    """Makes the guides of a model's answers; what they share is built with the first. Safe from any thread.

    words   its tokenizer
    vocab   V, the width of its logits
    """

    def __init__(self, words: Words, vocab: int) -> None:
        self._words = words
        self._vocab = vocab
        self._lock = Lock()
        self._tokenizer: LLTokenizer | None = None

    @property
    def built(self) -> bool:
        """Whether what they share is there."""
        return self._tokenizer is not None

    def guide(self, kind: str, form: Any) -> Guide:
        """A guide for one answer. Raises BadRequest for a form that cannot be honoured.

        kind    "json_schema", "regex", "choices" or "grammar"
        """
        from llguidance import LLMatcher

        tokenizer = self._built()

        def fails(grammar: str) -> str:
            failed, messages = LLMatcher.validate_grammar_with_warnings(grammar, tokenizer)
            return "; ".join(messages) if failed or messages else ""

        try:
            grammar = _grammar(kind, form)
        except ValueError as error:  # such as half a surrogate pair
            raise BadRequest(f"{kind}: {error}"[:300]) from None
        if message := fails(grammar):
            at = f" at {blamed(form, fails):.200}" if kind == "json_schema" else ""
            raise BadRequest(f"{kind}: cannot be honoured{at}: {' '.join(message.split()):.300}")
        return Guide(LLMatcher(tokenizer, grammar, log_level=0), kind, self._words.vocab_size, self._vocab)

    def _built(self) -> LLTokenizer:
        with self._lock:
            if self._tokenizer is None:
                from llguidance import LLTokenizer, TokenizerWrapper

                ends = sorted(self._words.stop_ids)
                if not ends:
                    raise BadRequest("this model has no token that ends an answer, which a constrained answer needs")
                shown = TokenizerWrapper(_Shown(self._words, ends[0]))
                self._tokenizer = LLTokenizer(shown, self._vocab, ends, TEXTS)
            return self._tokenizer


class Guide:
    """The form of one answer, as far as it has come.

    words       how many tokens there are
    vocab       V, the width of logits, which may be more
    finished    whether nothing but the end may follow
    """

    def __init__(self, matcher: LLMatcher, kind: str, words: int, vocab: int) -> None:
        self._matcher = matcher
        self._kind = kind
        self._words = words
        self._bits = np.zeros((vocab + 31) // 32, dtype=np.uint32)
        self._must: list[int] = []
        self.finished = False

    def allowed(self) -> NDArray[np.uint32]:
        """Which tokens may follow, a bit for each; until the next call. [ceil(V / 32)]

        raises  BadRequest when the automaton has given up, or knows none
        """
        # Not on a thread of its own while the model computes: what that takes from a thread of the step costs more.
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        if not self._bits.any():
            raise BadRequest(f"{self._kind}: the answer cannot go on: no token may follow")
        return self._bits

    def most_probable(self, logits: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """So many of the tokens that may follow, or all: by falling logit, then rising id. [V]

        raises  BadRequest as `allowed` does
        """
        # A model that has seen the form asked for mostly wants what may follow. To try its tokens takes a microsecond
        # each, to tell of all tokens whether they may up to 500.
        if must := self.must():
            return np.array(must[:1])
        found: list[int] = []
        tried = _core.largest(logits, count + REFUSALS).tolist()
        for place, token in enumerate(tried):
            if token < self._words and self._matcher.validate_tokens([token]):
                found.append(token)
            if len(found) == count:
                return np.array(found)
            if place - len(found) == REFUSALS:
                break
        return _core.largest(logits, count, self.allowed())

    def must(self) -> list[int]:
        """The tokens that will follow whatever the model thinks of them, as far as that is known."""
        if not self._must:
            self._must = self._matcher.compute_ff_tokens()
        return self._must

    def accept(self, token: int) -> None:
        """The token that was chosen."""
        self._matcher.consume_token(token)
        self._check()
        # The rest is kept: to tell it anew for each of many tokens would take time that grows with their square.
        self._must = self._must[1:] if self._must[:1] == [token] else []
        self.finished = bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            message = " ".join(str(self._matcher.get_error()).split())
            raise BadRequest(f"{self._kind}: the answer cannot go on: {message:.300}", "make the form simpler")


def admitted(logits: NDArray[np.float32], allowed: NDArray[np.uint32], room: NDArray[np.float32]) -> Candidates:
    """The tokens that may follow. [V], [ceil(V / 32)]

    room    where their logits are put, if they are many. [V]
    """
    few = _core.admit(logits, allowed, len(logits) // FEW, room)
    # Where most may follow, the row without the others is less work than gathering them.
    return Candidates(room) if few is None else Candidates(logits).take(few)


class _Shown:
    """A tokenizer as llguidance wants to see it."""

    def __init__(self, words: Words, end: int) -> None:
        self.eos_token_id = end
        self.bos_token_id = words.bos_id
        self.tokens = [words.token_bytes(id) for id in range(words.vocab_size)]
        self.special_token_ids = sorted(words.special_ids)
        self._words = words

    def __call__(self, text: bytes) -> list[int]:
        return self._words.encode(text.decode("utf-8", "replace"), parse_special=False, add_special=False)


def _grammar(kind: str, form: Any) -> str:
    """The form as llguidance's grammar, within the bounds."""
    from llguidance import LLMatcher

    if kind == "json_schema":
        return schema_grammar(form)
    if kind == "choices":
        _check_choices(form)
        return str(LLMatcher.grammar_from_regex("|".join(f"(?:{re.escape(text)})" for text in form)))
    most = MAX_REGEX if kind == "regex" else MAX_GRAMMAR
    if not isinstance(form, str) or not 0 < len(form) <= most:
        size = f"{len(form)} characters" if isinstance(form, str) else repr(form)[:60]
        raise BadRequest(f"{kind}: got {size}, wanted a text of 1 to {most} characters")
    if kind == "regex":
        return str(LLMatcher.grammar_from_regex(form))
    return str(LLMatcher.grammar_from_lark(_from_gbnf(form) if "::=" in form else form))


def _from_gbnf(text: str) -> str:
    from llguidance.gbnf_to_lark import gbnf_to_lark

    try:
        return str(gbnf_to_lark(text))
    except RecursionError:
        raise BadRequest("grammar: nested too deeply") from None
    except Exception as error:  # its own error, and those of Python for what it did not foresee
        raise BadRequest(f"grammar: not GBNF: {error}"[:300]) from None


def _check_choices(choices: object) -> None:
    if isinstance(choices, str | Mapping) or not isinstance(choices, Sequence) or not 0 < len(choices) <= MAX_CHOICES:
        raise BadRequest(f"choices: got {choices!r:.60}, wanted 1 to {MAX_CHOICES} texts")
    for text in choices:
        if not isinstance(text, str) or not 0 < len(text) <= MAX_CHOICE:
            raise BadRequest(f"choices: got {text!r:.60}, wanted texts of 1 to {MAX_CHOICE} characters")
