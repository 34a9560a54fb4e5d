"""A vocabulary as flat arrays: what text is cut into, what merges with what, the bytes each token stands for.

Symbols are what merging works on: the V tokens, then the P single characters that occur inside tokens without
being tokens themselves (SentencePiece only). As everything is a plain array or a plain value, a vocabulary is
written to disk and read back without building anything: see `cache`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from furet.errors import ModelFileError
from furet.text.merge import MergeTable, merge_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ABSENT = 0xFFFFFFFF  # stands for "no such token" in arrays of ids
MAX_TOKENS = 1 << 20
MAX_MERGES = 1 << 20
MAX_HOLES = 1 << 14
MAX_TEXT = 16 << 20  # characters of all tokens together


Kind = Literal["byte-level", "sentencepiece", "unigram", "wordpiece", "world", "library"]


class TokenType(IntEnum):
    """What a token is for; the value is its code in `tokenizer.ggml.token_type`."""

    UNDEFINED = 0
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Rules:
    """What a vocabulary says beyond its tables.

    kind            how text becomes tokens: see `encoder`
    pre             value of `tokenizer.ggml.pre`, for byte-level
    space_prefix    a space is put before the text, and taken away again when decoding
    space_starts    no token has a space after another character, so words can be merged one at a time
    squeeze         runs of spaces count as one, those at either end as none
    compose         text is brought into Unicode's composed form (NFC) first
    float32_sums    scores add up in float32, for unigram
    lowercase       text is brought into lower case first, for wordpiece
    strip_accents   accents are left out, for wordpiece
    stop_ids        tokens that end generation, ascending
    """

    kind: Kind
    pre: str = ""
    bos_id: int | None = None
    eos_id: int | None = None
    unk_id: int | None = None
    add_bos: bool = False
    add_eos: bool = False
    space_prefix: bool = False
    space_starts: bool = False
    squeeze: bool = False
    compose: bool = False
    float32_sums: bool = False
    lowercase: bool = False
    strip_accents: bool = False
    stop_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The tables. V tokens, P further symbols.

    text            bytes the tokens decode to, one after another; of special tokens, their name
    starts          [V + 1] where each token's bytes begin in `text`; the last is the length of `text`
    types           [V] a TokenType each
    codes, symbols  [n] byte values or code points, ascending, and the symbol each begins as
    byte_ids        [256] token standing for each byte, or ABSENT
    words           [w] ids of normal tokens in the order of their bytes, where whole words count; else empty
    merges          over V + P symbols
    scores          [V] log probabilities, for unigram; else empty
    charsmap        SentencePiece's table of normalisation as bytes, where there is one; else empty
    """

    rules: Rules
    text: bytes
    starts: NDArray[np.uint32]
    types: NDArray[np.uint8]
    codes: NDArray[np.uint32]
    symbols: NDArray[np.uint32]
    byte_ids: NDArray[np.uint32]
    words: NDArray[np.uint32]
    merges: MergeTable
    scores: NDArray[np.float32]
    charsmap: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """V, the number of tokens."""
        return len(self.types)

    @cached_property
    def _starts(self) -> memoryview:
        return self.starts.data

    def token_bytes(self, token: int) -> bytes:
        """The bytes that `token`, an id below V, decodes to; of a special token, its name in UTF-8."""
        return self.text[self._starts[token] : self._starts[token + 1]]

    def find_word(self, word: bytes) -> int | None:
        """The id of the normal token with exactly these bytes; only where `words` was built."""
        low, high = 0, len(self.words)
        while low < high:
            middle = (low + high) // 2
            token = int(self.words[middle])
            found = self.token_bytes(token)
            if found == word:
                return token
            low, high = (middle + 1, high) if found < word else (low, middle)
        return None

    def of_types(self, *types: TokenType) -> list[int]:
        """Ids of all tokens of these types, ascending."""
        import numpy as np

        found: list[int] = np.flatnonzero(np.isin(self.types, types)).tolist()
        return found


def unmerged(
    rules: Rules,
    texts: list[bytes],
    types: NDArray[np.uint8],
    *,
    scores: NDArray[np.float32] | None = None,
    charsmap: NDArray[np.uint8] | None = None,
    byte_ids: Iterable[int] = (ABSENT,) * 256,
) -> Vocabulary:
    """A vocabulary of a kind that merges nothing; `texts` are the bytes of each token."""
    import numpy as np

    none = np.empty(0, np.uint32)
    return Vocabulary(
        rules,
        *token_texts(texts),
        types=types,
        codes=none,
        symbols=none,
        byte_ids=np.array(list(byte_ids), np.uint32),
        words=none,
        merges=merge_table(np.empty((0, 4), np.int64), len(texts)),
        scores=np.empty(0, np.float32) if scores is None else scores,
        charsmap=np.empty(0, np.uint8) if charsmap is None else charsmap,
    )


def check_highest(token: int, named: int, field: str) -> None:
    """Raise ModelFileError where an id is so high that a small file would make a long list of unused tokens."""
    if token >= 2 * named + MAX_HOLES:
        raise ModelFileError(f"a token has the id {token}, but only {named} are named", field=field)


def token_texts(texts: list[bytes]) -> tuple[bytes, NDArray[np.uint32]]:
    """`text` and `starts` of a Vocabulary, from the bytes of each token."""
    import numpy as np

    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return b"".join(texts), np.concatenate([[0], ends]).astype(np.uint32)


def is_sound(vocabulary: Vocabulary) -> bool:
    """Whether every index in the tables stays inside them, so that no lookup can fail."""
    v, rules, merges = vocabulary, vocabulary.rules, vocabulary.merges
    symbol_count = len(merges.starts) - 1
    named = [
        token for token in (rules.bos_id, rules.eos_id, rules.unk_id, *rules.stop_ids) if token is not None
    ]
    return (
        0 < v.size <= MAX_TOKENS
        and len(v.starts) == v.size + 1
        and symbol_count >= v.size
        and len(v.byte_ids) == 256
        and len(v.codes) == len(v.symbols)
        and len(v.scores) in ((v.size,) if rules.kind == "unigram" else (0, v.size))
        and len(merges.rights) == len(merges.ranks) == len(merges.results)
        and _climbs(v.starts, len(v.text))
        and _climbs(merges.starts, len(merges.rights))
        and _below(v.symbols, symbol_count)
        and _below(v.byte_ids[v.byte_ids != ABSENT], v.size)
        and _below(v.words, v.size)
        and _below(merges.results, v.size)
        and all(0 <= token < v.size for token in named)
    )


def _climbs(offsets: NDArray[np.uint32], end: int) -> bool:
    return bool(offsets[0] == 0 and offsets[-1] == end and (offsets[1:] >= offsets[:-1]).all())


def _below(indices: NDArray[np.uint32], limit: int) -> bool:
    return not len(indices) or int(indices.max()) < limit
