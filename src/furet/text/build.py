"""From `tokenizer.ggml.*` metadata to a Vocabulary: slow, so done once per file."""

from __future__ import annotations

import re
from dataclasses import replace

from furet.errors import ModelFileError, UnsupportedModel
from furet.text.bytelevel import byte_level_vocabulary
from furet.text.metadata import Metadata, flag, text, token_id
from furet.text.pretokenizers import find_pretokenizer
from furet.text.sentencepiece import SPACE, sentencepiece_vocabulary
from furet.text.stops import likely_stops, named_stops
from furet.text.tokens import TokenList, read_tokens
from furet.text.vocabulary import Rules, TokenType, Vocabulary

BUILDERS = {"gpt2": byte_level_vocabulary, "llama": sentencepiece_vocabulary}


def build_vocabulary(metadata: Metadata) -> Vocabulary:
    """The vocabulary that a file's metadata describes.

    Raises UnsupportedModel for a kind of tokenizer that is not known here, and ModelFileError, naming
    the key, for metadata that is damaged or contradicts itself.
    """
    model = text(metadata, "tokenizer.ggml.model")
    if model not in BUILDERS:
        raise UnsupportedModel(
            f"tokenizer.ggml.model is {model[:80]!r}" if model else "tokenizer.ggml.model is missing",
            f"known: {', '.join(map(repr, BUILDERS))}",
        )
    tokens = read_tokens(metadata)
    rules = (
        _sentencepiece_rules(metadata, tokens) if model == "llama" else _byte_level_rules(metadata, tokens)
    )
    return _with_stops(metadata, tokens, BUILDERS[model](metadata, rules, tokens))


def _with_stops(metadata: Metadata, tokens: TokenList, vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary with its stop tokens, all of type control: some files call them normal.

    This is llama.cpp's rule, also where merges make the token: Qwen's vocabulary has "</s>", which its own
    tokenizer would find only as text, and never finds, because its words are cut at "/" and ">".
    """
    stops = named_stops(metadata, len(tokens))
    if vocabulary.rules.eos_id is not None:
        stops.add(vocabulary.rules.eos_id)
    stops |= likely_stops(tokens.ids)
    tokens.types[list(stops)] = TokenType.CONTROL
    return replace(
        vocabulary, rules=replace(vocabulary.rules, stop_ids=tuple(sorted(stops))), types=tokens.types
    )


def _byte_level_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    pre = text(metadata, "tokenizer.ggml.pre") or "default"
    bos, eos, unk = _named(metadata, len(tokens))
    return Rules(
        kind="byte-level",
        pre=pre,
        bos_id=bos,
        eos_id=eos,
        unk_id=unk,
        add_bos=_adds(metadata, "bos", bos, find_pretokenizer(pre).add_bos),
        add_eos=_adds(metadata, "eos", eos, False),
        space_prefix=False,
        space_starts=False,
        stop_ids=(),
    )


def _sentencepiece_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    named = _named(metadata, len(tokens))
    usual = (1, 2, 0)  # SentencePiece's own numbering, which files that name no ids rely on
    bos, eos, unk = (
        default if token is None and default < len(tokens) else token
        for token, default in zip(named, usual, strict=True)
    )
    return Rules(
        kind="sentencepiece",
        pre="",
        bos_id=bos,
        eos_id=eos,
        unk_id=unk,
        add_bos=_adds(metadata, "bos", bos, True),
        add_eos=_adds(metadata, "eos", eos, False),
        space_prefix=flag(metadata, "tokenizer.ggml.add_space_prefix", True),
        space_starts=not any(
            re.search(f"[^{SPACE}]{SPACE}", tokens.texts[token]) for token in tokens.normal()
        ),
        stop_ids=(),
    )


def _named(metadata: Metadata, count: int) -> tuple[int | None, int | None, int | None]:
    """Ids of BOS, EOS and unknown, where the file names them."""
    bos, eos, unk = (
        token_id(metadata, f"tokenizer.ggml.{name}_token_id", count) for name in ("bos", "eos", "unknown")
    )
    return bos, eos, unk


def _adds(metadata: Metadata, name: str, token: int | None, default: bool) -> bool:
    """Whether encoding adds BOS or EOS; asking for one that the file does not name is an error."""
    key = f"tokenizer.ggml.add_{name}_token"
    wanted = flag(metadata, key, default)
    if wanted and token is None and key in metadata:
        raise ModelFileError(f"is true, but tokenizer.ggml.{name}_token_id is missing", field=key)
    return wanted and token is not None
