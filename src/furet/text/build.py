"""From `tokenizer.*` metadata to a Vocabulary: slow, so done once per file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from furet.errors import UnsupportedModel
from furet.text.bytelevel import byte_level_vocabulary
from furet.text.library import library_vocabulary
from furet.text.metadata import Metadata, text
from furet.text.rules import (
    byte_level_rules,
    sentencepiece_rules,
    unigram_rules,
    wordpiece_rules,
    world_rules,
)
from furet.text.sentencepiece import sentencepiece_vocabulary
from furet.text.stops import END_IDS, likely_stops, named_stops
from furet.text.tokenizer_json import JSON
from furet.text.tokens import TokenList, read_tokens
from furet.text.unigram import unigram_vocabulary
from furet.text.vocabulary import Kind, Rules, TokenType, Vocabulary
from furet.text.wordpiece import wordpiece_vocabulary
from furet.text.world import world_vocabulary

Reader = Callable[[Metadata, TokenList], Rules]
Builder = Callable[[Metadata, Rules, TokenList], Vocabulary]

MODELS: dict[str, tuple[Kind, Reader, Builder]] = {
    "gpt2": ("byte-level", byte_level_rules, byte_level_vocabulary),
    "llama": ("sentencepiece", sentencepiece_rules, sentencepiece_vocabulary),
    "gemma4": ("sentencepiece", sentencepiece_rules, sentencepiece_vocabulary),
    "t5": ("unigram", unigram_rules, unigram_vocabulary),
    "bert": ("wordpiece", wordpiece_rules, wordpiece_vocabulary),
    "rwkv": ("world", world_rules, world_vocabulary),
}


def kind_of(metadata: Metadata) -> Kind:
    """The kind of the vocabulary that a file's metadata describes; raises as `build_vocabulary` does."""
    model = text(metadata, "tokenizer.ggml.model")
    if model not in MODELS:
        raise UnsupportedModel(
            f"tokenizer.ggml.model is {model[:80]!r}" if model else "tokenizer.ggml.model is missing",
            f"known: {', '.join(map(repr, MODELS))}",
        )
    return "library" if text(metadata, JSON) else MODELS[model][0]


def build_vocabulary(metadata: Metadata) -> Vocabulary:
    """The vocabulary that a file's metadata describes.

    Raises UnsupportedModel for a kind of tokenizer that is not known here, and ModelFileError, naming
    the key, for metadata that is damaged or contradicts itself.
    """
    kind = kind_of(metadata)
    _, read_rules, build = MODELS[text(metadata, "tokenizer.ggml.model")]
    tokens = read_tokens(metadata)
    if kind == "library":
        build = library_vocabulary
        metadata = {**metadata, "tokenizer.ggml.pre": "default"}  # the library cuts text by the JSON's rules
    return _with_stops(metadata, tokens, build(metadata, read_rules(metadata, tokens), tokens))


def _with_stops(metadata: Metadata, tokens: TokenList, vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary with its stop tokens, all of type control: some files call them normal.

    This is llama.cpp's rule, also where merges make the token: Qwen's vocabulary has "</s>", which its own
    tokenizer would find only as text, and never finds, because its words are cut at "/" and ">". A file
    that lists its stop tokens knows better, so there only tokens that are not normal are guessed at.
    """
    stops = named_stops(metadata, len(tokens))
    if vocabulary.rules.eos_id is not None:
        stops.add(vocabulary.rules.eos_id)
    guessed = likely_stops(tokens.ids)
    if END_IDS in metadata:
        guessed = {token for token in guessed if tokens.types[token] != TokenType.NORMAL}
    stops |= guessed
    if vocabulary.rules.kind != "world":  # there an answer ends at an empty line, which is text as well
        tokens.types[list(stops)] = TokenType.CONTROL
    rules = replace(vocabulary.rules, stop_ids=tuple(sorted(stops)))
    return replace(vocabulary, rules=rules, types=tokens.types)
