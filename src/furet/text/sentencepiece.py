"""SentencePiece BPE (Llama 1 and 2, Mistral): neighbours merge if that makes a token, the best score first.

The file lists no pairs. But the pairs that can ever meet are the ways of cutting a token into two known
symbols, so they are listed once, ranked by the score of what they make. Hugging Face's form of the same
tokenizers lists the pairs; where a file has them, they count, for between equal scores the two may differ.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from furet.errors import ModelFileError
from furet.text.bytelevel import MERGES, listed_pairs
from furet.text.charsmap import charsmap, normalizer
from furet.text.merge import GONE, LONE, merge_table, remembering
from furet.text.metadata import Metadata, numbers
from furet.text.rules import SPACE
from furet.text.tokens import TOKENS, TokenList
from furet.text.vocabulary import ABSENT, MAX_MERGES, Rules, Vocabulary, token_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCORES = "tokenizer.ggml.scores"
MAX_PIECE = 1024  # characters of a token, which is looked at in every way of cutting it
_WORDS = re.compile(f"{SPACE}*[^{SPACE}]+|{SPACE}+")


def sentencepiece_encoder(vocabulary: Vocabulary) -> Callable[[str, bool], list[int]]:
    """A function from plain text to tokens; characters that are not among them become bytes, or unknown.

    Its second argument says whether the text begins something.
    """
    symbols = dict(zip(vocabulary.codes.tolist(), vocabulary.symbols.tolist(), strict=True))
    byte_ids, unk_id = vocabulary.byte_ids.tolist(), vocabulary.rules.unk_id

    def spelt(character: str) -> list[int]:
        tokens = [byte_ids[byte] for byte in character.encode()]
        if ABSENT not in tokens:
            return tokens
        return [] if unk_id is None else [unk_id]

    def merge(word: str) -> tuple[int, ...]:
        parts = [symbols.get(code, LONE) for code in map(ord, word)]
        vocabulary.merges.merge(parts)
        tokens: list[int] = []
        for character, part in zip(word, parts, strict=True):
            if 0 <= part < vocabulary.size:
                tokens.append(part)
            elif part != GONE:
                tokens += spelt(character)
        return tuple(tokens)

    merged = remembering(merge)
    normalised = normalizer(vocabulary)
    one_unknown = unk_id is not None and ABSENT in byte_ids

    def encode(text: str, begins: bool) -> list[int]:
        text = normalised(text, begins).replace(" ", SPACE)
        words = _WORDS.findall(text) if vocabulary.rules.space_starts else [text]
        tokens = [token for word in words for token in merged(word)]
        return without_repeats(tokens, unk_id) if one_unknown else tokens

    return encode


def without_repeats(tokens: list[int], token: int | None) -> list[int]:
    """`tokens` with each run of `token` cut down to one: what is unknown is unknown as a whole."""
    return [found for found, before in zip(tokens, [None, *tokens], strict=False) if not found == before == token]


def sentencepiece_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The tables of a SentencePiece vocabulary; missing or unusable scores are a ModelFileError."""
    import numpy as np

    # Only normal tokens come from merging: typed text must never turn into a control token.
    symbols = {tokens.texts[token]: token for token in tokens.normal()}
    characters = set().union(*symbols) - symbols.keys()
    symbols.update((character, len(tokens) + place) for place, character in enumerate(sorted(characters)))
    single = sorted((ord(text), symbol) for text, symbol in symbols.items() if len(text) == 1)
    codes, starts = np.array(single, np.uint32).reshape(-1, 2).T
    return Vocabulary(
        rules,
        *token_texts(tokens.decoded(lambda text: text.replace(SPACE, " ").encode())),
        types=tokens.types,
        codes=codes,
        symbols=starts,
        byte_ids=np.array([tokens.ids.get(f"<0x{byte:02X}>", ABSENT) for byte in range(256)], np.uint32),
        words=np.empty(0, np.uint32),
        merges=merge_table(_pairs(metadata, tokens, symbols), len(tokens) + len(characters)),
        scores=np.empty(0, np.float32),
        charsmap=charsmap(metadata),
    )


def _pairs(metadata: Metadata, tokens: TokenList, symbols: dict[str, int]) -> NDArray[np.int64]:
    """The merges as `merge_table` takes them: those that the file lists, else all that its scores allow."""
    import numpy as np

    if MERGES in metadata:
        return listed_pairs(metadata, symbols)
    pieces = [tokens.texts[token] for token in tokens.normal()]
    return _scored_pairs(pieces, symbols, numbers(metadata, SCORES, len(tokens), np.float32))


def _scored_pairs(
    pieces: list[str], symbols: dict[str, int], scores: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Every way of making one of `pieces` from two symbols, as `merge_table` takes them."""
    import numpy as np

    ranks = np.unique(-scores, return_inverse=True)[1].tolist()
    pairs = array("q")
    for piece in pieces:
        if len(piece) > MAX_PIECE:
            raise ModelFileError(
                f"{piece[:40]!r}... has {len(piece)} characters; at most {MAX_PIECE}", field=TOKENS
            )
        result = symbols[piece]
        for cut in range(1, len(piece)):
            left, right = symbols.get(piece[:cut]), symbols.get(piece[cut:])
            if left is not None and right is not None:
                pairs.extend((left, right, ranks[result], result))
        if len(pairs) > 4 * MAX_MERGES:
            raise ModelFileError(f"tokens can be made in more than {MAX_MERGES} ways", field=TOKENS)
    return np.array(pairs, np.int64).reshape(-1, 4)
