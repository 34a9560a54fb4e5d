"""WordPiece (BERT, MiniLM): words from the left by the longest piece; a word with a rest is unknown.

GGUF writes a piece that begins a word with a space in front (U+2581), and one that continues it bare; Hugging
Face writes the one bare and the other behind "##". What cuts text into words (spaces, punctuation, ideographs) and
takes away capitals and accents is Hugging Face's own, on which all such vocabularies were trained; llama.cpp comes near
it, but also takes away vowel signs of Indic scripts, and knows no longest word.
"""

from __future__ import annotations

from collections.abc import Callable

from furet.errors import ModelFileError
from furet.text.metadata import Metadata
from furet.text.rules import SPACE
from furet.text.tokens import TokenList
from furet.text.vocabulary import Rules, TokenType, Vocabulary, unmerged

CONTINUES = "##"
MAX_WORD = 100  # characters; BERT calls a longer word unknown


def wordpiece_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The tables of a WordPiece vocabulary; one without an unknown token is a ModelFileError."""
    if rules.unk_id is None:
        raise ModelFileError("missing, and no token is [UNK]", field="tokenizer.ggml.unknown_token_id")
    return unmerged(rules, tokens.decoded(lambda text: text.replace(SPACE, " ").encode()), tokens.types)


def wordpiece_encoder(vocabulary: Vocabulary) -> Callable[[str, bool], list[int]]:
    """A function from plain text to tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    rules = vocabulary.rules
    unknown = vocabulary.token_bytes(rules.unk_id or 0).decode("utf-8", "replace")
    pieces = {_piece(vocabulary.token_bytes(token)): token for token in vocabulary.of_types(TokenType.NORMAL)}
    pieces[unknown] = rules.unk_id or 0
    words = Tokenizer(
        models.WordPiece(
            pieces, unk_token=unknown, max_input_chars_per_word=MAX_WORD, continuing_subword_prefix=CONTINUES
        )
    )
    words.normalizer = normalizers.BertNormalizer(
        lowercase=rules.lowercase, strip_accents=rules.strip_accents
    )
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def encode(text: str, _: bool) -> list[int]:
        found: list[int] = words.encode(text, add_special_tokens=False).ids
        return found

    return encode


def _piece(text: bytes) -> str:
    """A piece as Hugging Face writes it."""
    piece = text.decode("utf-8", "replace")
    return piece[1:] if piece.startswith(" ") else CONTINUES + piece
