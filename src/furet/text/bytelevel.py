"""Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM2): words are bytes, and the file lists the merges in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
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


def byte_level_encoder(vocabulary: Vocabulary) -> Callable[[str, bool], list[int]]:
    """A function from plain text to tokens; bytes that the vocabulary lacks are left out."""
    from tokenizers.normalizers import NFC

    composed = NFC().normalize_str if vocabulary.rules.compose else str
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
    return lambda text, _: [token for word, _ in cut(composed(text)) for token in merged(word)]


def byte_level_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The tables of a byte-level vocabulary; a merge of or into an unknown token is a ModelFileError."""
    import numpy as np

    merges = merge_table(listed_pairs(metadata, tokens.ids), len(tokens))
    codes = _byte_codes()
    texts = tokens.decoded(byte_text)
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
        scores=np.empty(0, np.float32),
        charsmap=np.empty(0, np.uint8),
    )


def byte_alphabet() -> list[int]:
    """The code point by which tokens write each byte: itself if it prints, else the next from 256 on."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(256, 512))
    return [byte if byte in prints else next(hidden) for byte in range(256)]


@lru_cache(1)
def _byte_codes() -> dict[int, int]:
    return {code: byte for byte, code in enumerate(byte_alphabet())}


@lru_cache(1)
def _to_byte() -> defaultdict[int, int]:
    """As above, with what is no byte for every other code point."""
    return defaultdict(lambda: 0xFFFF, _byte_codes())


def byte_text(text: str) -> bytes:
    """The bytes that a token written in the byte alphabet stands for; another one stands for itself."""
    try:
        return text.translate(_to_byte()).encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def listed_pairs(metadata: Metadata, ids: dict[str, int]) -> NDArray[np.int64]:
    """The merges as `merge_table` takes them, between the tokens and symbols that `ids` has."""
    import numpy as np

    merges = strings(metadata, MERGES)
    if len(merges) > MAX_MERGES:
        raise ModelFileError(f"{len(merges)} merges; a vocabulary has at most {MAX_MERGES}", field=MERGES)
    return np.fromiter(_rows(merges, ids), np.int64, 4 * len(merges)).reshape(-1, 4)


def _rows(merges: list[str], ids: dict[str, int]) -> Iterator[int]:
    """Left, right, rank and result of each merge, one after another."""
    for rank, merge in enumerate(merges):
        cut = merge.find(" ", 1)  # a symbol may begin with a space, where spaces are not written otherwise
        left, right = (merge[:cut], merge[cut + 1 :]) if cut > 0 else (merge, "")
        try:
            yield from (ids[left], ids[right], rank, ids[left + right])
        except KeyError as error:
            raise ModelFileError(
                f"element {rank} is {merge[:80]!r}, but {error.args[0][:80]!r} is not in the vocabulary",
                field=MERGES,
            ) from None
