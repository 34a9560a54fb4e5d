"""From a Vocabulary to the function that encodes text with it: special tokens first, then each kind's own way."""

from __future__ import annotations

from collections.abc import Callable

from furet.text.bytelevel import byte_level_encoder
from furet.text.library import library_encoder
from furet.text.sentencepiece import sentencepiece_encoder
from furet.text.specials import SpecialTokens
from furet.text.unigram import unigram_encoder
from furet.text.vocabulary import TokenType, Vocabulary
from furet.text.wordpiece import wordpiece_encoder
from furet.text.world import world_encoder

Plain = Callable[[str, bool], list[int]]
Encode = Callable[[str, bool], list[int]]

PLAIN: dict[str, Callable[[Vocabulary], Plain]] = {
    "byte-level": byte_level_encoder,
    "sentencepiece": sentencepiece_encoder,
    "unigram": unigram_encoder,
    "wordpiece": wordpiece_encoder,
    "world": world_encoder,
}
_NAMED = (TokenType.UNKNOWN, TokenType.CONTROL)  # found in text only when asked for


def encoder(vocabulary: Vocabulary, source: str = "") -> Encode:
    """A function from text, and whether to look for special tokens in it, to tokens; no BOS or EOS is added.

    source   the tokenizer.json, for a vocabulary of kind "library"
    """
    if vocabulary.rules.kind == "library":
        return library_encoder(vocabulary, source)
    plain = PLAIN[vocabulary.rules.kind](vocabulary)
    # Unigram meets user-defined tokens among its pieces, so that they end no text and begin none.
    always = {} if vocabulary.rules.kind == "unigram" else _names(vocabulary, TokenType.USER_DEFINED)
    user_defined = SpecialTokens(always)
    all_special = SpecialTokens(always | _names(vocabulary, *_NAMED))

    def encode(text: str, parse_special: bool) -> list[int]:
        tokens: list[int] = []
        begins = True
        for piece in (all_special if parse_special else user_defined).cut(text):
            if isinstance(piece, int):
                tokens.append(piece)
            else:
                tokens += plain(piece, begins)
            begins = isinstance(piece, int)
        return tokens

    return encode


def _names(vocabulary: Vocabulary, *types: TokenType) -> dict[str, int]:
    return {
        vocabulary.token_bytes(token).decode("utf-8", "replace"): token
        for token in vocabulary.of_types(*types)
    }
