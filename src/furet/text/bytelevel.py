"""Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM2): words are bytes, and the file lists the merges in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from furet.errors import ModelFileError
from furet.text.merge import LONE, merge_table, remembering
from furet.text.metadata import Metadata, strings
from furet.text.pretokenizers import find_pretokenizer, splitter
from furet.text.tokens import TokenList
from furet.text.vocabulary import ABSENT, MAX_MERGES, Rules, Vocabulary, token_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MERGES = "tokenizer.ggml.merges"


def byte_level_encoder(vocabulary: Vocabulary) -> Callable[[str], list[int]]:
    """A function from plain text to tokens; bytes that the vocabulary lacks are left out."""
    cut = splitter(find_pretokenizer(vocabulary.rules.pre))
    known = dict(zip(vocabulary.codes.tolist(), vocabulary.symbols.tolist(), strict=True))
    symbols = [known.get(byte, LONE) for byte in range(256)]

    def merge(word: str) -> tuple[int, ...]:
        data = word.encode()
        token = vocabulary.find_word(data)
        if token is not None:
            return (token,)
        parts = [symbols[byte] for byte in data]
        vocabulary.merges.merge(parts)
        return tuple(part for part in parts if part >= 0)

    merged = remembering(merge)
    return lambda text: [token for word, _ in cut(text) for token in merged(word)]


def byte_level_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The tables of a byte-level vocabulary; a merge of or into an unknown token is a ModelFileError."""
    import numpy as np

    merges = merge_table(_pairs(metadata, tokens.ids), len(tokens))
    alphabet = byte_alphabet()
    codes = {code: byte for byte, code in enumerate(alphabet)}
    to_byte = defaultdict(lambda: 0xFFFF, codes)

    def decoded(text: str) -> bytes:
        try:
            return text.translate(to_byte).encode("latin-1")
        except UnicodeEncodeError:  # not written in the byte alphabet, so it stands for itself
            return text.encode()

    texts = tokens.decoded(decoded)
    normal = tokens.normal()
    byte_ids = np.full(256, ABSENT, np.uint32)
    for token in normal:
        if len(tokens.texts[token]) == 1 and (byte := codes.get(ord(tokens.texts[token]))) is not None:
            byte_ids[byte] = token
    known = np.flatnonzero(byte_ids != ABSENT).astype(np.uint32)
    whole_words = find_pretokenizer(rules.pre).whole_words
    return Vocabulary(
        rules,
        *token_texts(texts),
        types=tokens.types,
        codes=known,
        symbols=byte_ids[known],
        byte_ids=byte_ids,
        words=np.array(sorted(normal, key=texts.__getitem__) if whole_words else [], np.uint32),
        merges=merges,
    )


def byte_alphabet() -> list[int]:
    """The code point by which tokens write each byte: itself if it prints, else the next from 256 on."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(256, 512))
    return [byte if byte in prints else next(hidden) for byte in range(256)]


def _pairs(metadata: Metadata, ids: dict[str, int]) -> NDArray[np.int64]:
    """The merges as `merge_table` takes them."""
    import numpy as np

    merges = strings(metadata, MERGES)
    if len(merges) > MAX_MERGES:
        raise ModelFileError(f"{len(merges)} merges; a vocabulary has at most {MAX_MERGES}", field=MERGES)
    return np.fromiter(_rows(merges, ids), np.int64, 4 * len(merges)).reshape(-1, 4)


def _rows(merges: list[str], ids: dict[str, int]) -> Iterator[int]:
    """Left, right, rank and result of each merge, one after another."""
    for rank, merge in enumerate(merges):
        left, _, right = merge.partition(" ")
        try:
            yield from (ids[left], ids[right], rank, ids[left + right])
        except KeyError as error:
            raise ModelFileError(
                f"element {rank} is {merge[:80]!r}, but {error.args[0][:80]!r} is not in the vocabulary",
                field=MERGES,
            ) from None
