"""SentencePiece Unigram (T5, XLM-R): of all ways to cut a text into pieces, the most probable one.

The pieces' log probabilities add up along a cut; the best cut of every beginning of the text is found from
those of shorter beginnings. A character that is no piece counts as unknown, ten below the least probable
piece; unknown characters in a row are one token, or their bytes where the vocabulary has those. Between cuts that
are equal on paper the rounding decides: SentencePiece keeps sums in float32, llama.cpp and Hugging Face in float64.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from furet.errors import ModelFileError
from furet.text.charsmap import charsmap, normalizer
from furet.text.metadata import Metadata, numbers
from furet.text.rules import SPACE
from furet.text.sentencepiece import SCORES, without_repeats
from furet.text.tokens import TOKENS, TokenList
from furet.text.vocabulary import ABSENT, Rules, TokenType, Vocabulary, unmerged

UNKNOWN_PENALTY = 10.0
MAX_PIECE = 256  # characters; every length that occurs is tried at every place
UNKNOWN = -1


def unigram_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The tables of a Unigram vocabulary; missing or unusable scores are a ModelFileError."""
    import numpy as np

    for token in tokens.normal():
        if len(tokens.texts[token]) > MAX_PIECE:
            raise ModelFileError(
                f"token {token} has {len(tokens.texts[token])} characters; at most {MAX_PIECE}", field=TOKENS
            )
    return unmerged(
        rules,
        tokens.decoded(lambda text: text.replace(SPACE, " ").encode()),
        tokens.types,
        scores=numbers(metadata, SCORES, len(tokens), np.float32),
        charsmap=charsmap(metadata),
        byte_ids=[tokens.ids.get(f"<0x{byte:02X}>", ABSENT) for byte in range(256)],
    )


def unigram_encoder(vocabulary: Vocabulary) -> Callable[[str, bool], list[int]]:
    """A function from plain text to tokens; its second argument says whether the text begins something."""
    rules, cut, normalised = vocabulary.rules, _cutter(vocabulary), normalizer(vocabulary)
    byte_ids = vocabulary.byte_ids.tolist()
    spells = ABSENT not in byte_ids

    def encode(text: str, begins: bool) -> list[int]:
        text = normalised(text, begins)
        tokens: list[int] = []
        for start, end, token in cut(text):
            if token != UNKNOWN:
                tokens.append(token)
            elif spells:
                tokens += [byte_ids[byte] for byte in text[start:end].encode()]
            elif rules.unk_id is not None:
                tokens.append(rules.unk_id)
        return tokens if spells else without_repeats(tokens, rules.unk_id)

    return encode


def _cutter(vocabulary: Vocabulary) -> Callable[[str], list[tuple[int, int, int]]]:
    """A function from text to its best cut: start, end and token of each piece, or UNKNOWN."""
    pieces = _pieces(vocabulary)
    lengths, sums = _lengths(pieces), "f" if vocabulary.rules.float32_sums else "d"
    unknown = _unknown_score(vocabulary)

    def cut(text: str) -> list[tuple[int, int, int]]:
        count = len(text)
        best = array(sums, [0.0]) * (count + 1)
        starts = array("q", [-1]) * (count + 1)
        tokens = array("q", [UNKNOWN]) * (count + 1)
        rounded = array(sums, [0.0])
        for start in range(count):
            base = best[start]
            for length in (1, *lengths.get(text[start : start + 2], ())):
                end = start + length
                if end > count:
                    break
                found = pieces.get(text[start:end])
                if found is None:
                    if length > 1:
                        continue
                    found = UNKNOWN, unknown
                rounded[0] = base + found[1]
                if starts[end] < 0 or rounded[0] > best[end]:
                    tokens[end], starts[end], best[end] = found[0], start, rounded[0]
        path = []
        while count:
            path.append((starts[count], count, tokens[count]))
            count = starts[count]
        return path[::-1]

    return cut


def _pieces(vocabulary: Vocabulary) -> dict[str, tuple[int, float]]:
    """Token and score of each piece; a user-defined one costs nothing."""
    scores, starts, text = vocabulary.scores.tolist(), vocabulary.starts.tolist(), vocabulary.text
    found = {
        text[starts[token] : starts[token + 1]].decode("utf-8", "replace"): (token, scores[token])
        for token in vocabulary.of_types(TokenType.NORMAL)
    }
    for token in vocabulary.of_types(TokenType.USER_DEFINED):
        found[vocabulary.token_bytes(token).decode("utf-8", "replace").replace(SPACE, " ")] = token, 0.0
    return found


def _lengths(pieces: Iterable[str]) -> dict[str, list[int]]:
    """Which lengths above one the pieces have that begin with these two characters, ascending."""
    found: dict[str, list[int]] = {}
    for begin, length in sorted({(piece[:2], len(piece)) for piece in pieces}):
        if length > 1:
            found.setdefault(begin, []).append(length)
    return found


def _unknown_score(vocabulary: Vocabulary) -> float:
    import numpy as np

    normal = vocabulary.scores[vocabulary.types == TokenType.NORMAL]
    lowest = normal.min() if len(normal) else np.float32(0)
    with np.errstate(over="ignore"):
        return float(np.float32(lowest - np.float32(UNKNOWN_PENALTY)))
