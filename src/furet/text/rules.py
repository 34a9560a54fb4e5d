"""What a file's metadata says about its tokenizer beyond the tables, with each kind's own defaults."""

from __future__ import annotations

import re

from furet.errors import ModelFileError
from furet.text.metadata import Metadata, flag, text, token_id
from furet.text.pretokenizers import find_pretokenizer
from furet.text.tokens import TokenList
from furet.text.vocabulary import Rules

SPACE = "\u2581"  # how token texts write a space


def byte_level_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    """Rules of `tokenizer.ggml.model` = "gpt2"."""
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
        compose=flag(metadata, "tokenizer.ggml.normalizer.compose", False),
    )


def sentencepiece_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    """Rules of "llama", and of "gemma4", which differs by listing its merges and in the space in front."""
    listed = text(metadata, "tokenizer.ggml.model") == "gemma4"
    usual = (None, None, None) if listed else (1, 2, 0)  # SentencePiece's own numbering
    bos, eos, unk = _usual(_named(metadata, len(tokens)), usual, len(tokens))
    return Rules(
        kind="sentencepiece",
        bos_id=bos,
        eos_id=eos,
        unk_id=unk,
        add_bos=_adds(metadata, "bos", bos, True),
        add_eos=_adds(metadata, "eos", eos, False),
        space_prefix=flag(metadata, "tokenizer.ggml.add_space_prefix", not listed),
        space_starts=not any(
            re.search(f"[^{SPACE}]{SPACE}", tokens.texts[token]) for token in tokens.normal()
        ),
        squeeze=flag(metadata, "tokenizer.ggml.remove_extra_whitespaces", False),
    )


def unigram_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    """Rules of "t5"; "float32_sums" is our own key, for vocabularies that were read from SentencePiece's files."""
    bos, eos, unk = _usual(_named(metadata, len(tokens)), (None, 1, 2), len(tokens))
    return Rules(
        kind="unigram",
        bos_id=bos,
        eos_id=eos,
        unk_id=unk,
        add_bos=_adds(metadata, "bos", bos, False),
        add_eos=_adds(metadata, "eos", eos, True),
        space_prefix=flag(metadata, "tokenizer.ggml.add_space_prefix", False),
        squeeze=flag(metadata, "tokenizer.ggml.remove_extra_whitespaces", False),
        float32_sums=flag(metadata, "tokenizer.ggml.float32_sums", False),
    )


def wordpiece_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    """Rules of "bert", whose BOS is [CLS] and whose EOS is [SEP].

    Old files do not say whether text is lower-cased: it is, unless the vocabulary has words in capitals.
    """
    count = len(tokens)
    named = _named(metadata, count)
    cls, sep = (token_id(metadata, f"tokenizer.ggml.{name}_token_id", count) for name in ("cls", "seperator"))
    found = (named[0] if cls is None else cls, named[1] if sep is None else sep, named[2])
    bos, eos, unk = _usual(
        found, tuple(tokens.ids.get(name) for name in ("[CLS]", "[SEP]", "[UNK]")), count
    )
    capitals = any(re.match(f"{SPACE}[A-Z]", tokens.texts[token]) for token in tokens.normal())
    lowercase = flag(metadata, "tokenizer.ggml.normalizer.lowercase", not capitals)
    return Rules(
        kind="wordpiece",
        bos_id=bos,
        eos_id=eos,
        unk_id=unk,
        add_bos=_adds(metadata, "bos", bos, True),
        add_eos=_adds(metadata, "eos", eos, True),
        space_prefix=True,
        lowercase=lowercase,
        strip_accents=flag(metadata, "tokenizer.ggml.normalizer.strip_accents", lowercase),
    )


def world_rules(metadata: Metadata, tokens: TokenList) -> Rules:
    """Rules of "rwkv"."""
    bos, eos, unk = _named(metadata, len(tokens))
    return Rules(
        kind="world",
        bos_id=bos,
        eos_id=eos,
        unk_id=unk,
        add_bos=_adds(metadata, "bos", bos, False),
        add_eos=_adds(metadata, "eos", eos, False),
    )


Ids = tuple[int | None, ...]


def _named(metadata: Metadata, count: int) -> Ids:
    """Ids of BOS, EOS and unknown, where the file names them."""
    names = ("bos", "eos", "unknown")
    return tuple(token_id(metadata, f"tokenizer.ggml.{name}_token_id", count) for name in names)


def _usual(named: Ids, usual: Ids, count: int) -> Ids:
    """`named`, and where that is silent what is usual; files of old rely on it."""
    return tuple(
        default if token is None and default is not None and default < count else token
        for token, default in zip(named, usual, strict=True)
    )


def _adds(metadata: Metadata, name: str, token: int | None, default: bool) -> bool:
    """Whether encoding adds BOS or EOS; asking for one that the file does not name is an error."""
    key = f"tokenizer.ggml.add_{name}_token"
    wanted = flag(metadata, key, default)
    if wanted and token is None and key in metadata:
        raise ModelFileError(f"is true, but tokenizer.ggml.{name}_token_id is missing", field=key)
    return wanted and token is not None
