"""The RWKV world tokenizer: at each place of the text's bytes, the longest token.

GGUF writes a token's bytes as Python would: printable ASCII as it is, the rest as \\t, \\n, \\r, \\xNN, \\\\.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from furet.errors import ModelFileError
from furet.text.metadata import Metadata
from furet.text.tokens import TOKENS, TokenList
from furet.text.vocabulary import Rules, TokenType, Vocabulary, unmerged

MAX_TOKEN = 256  # bytes; every length that occurs is tried at every place
_ESCAPE = re.compile(rb"\\(x([0-9a-fA-F]{2})|.)", re.DOTALL)
_NAMED = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}


def world_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The tables of a world vocabulary; a token without bytes or with too many is a ModelFileError."""
    texts = tokens.decoded(lambda text: unescaped(text.encode()))
    for token, text in enumerate(texts):
        if not 0 < len(text) <= MAX_TOKEN:
            raise ModelFileError(f"token {token} has {len(text)} bytes, wanted 1 to {MAX_TOKEN}", field=TOKENS)
    return unmerged(rules, texts, tokens.types)


def world_encoder(vocabulary: Vocabulary) -> Callable[[str, bool], list[int]]:
    """A function from plain text to tokens; bytes that the vocabulary lacks are left out."""
    tokens = {vocabulary.token_bytes(token): token for token in vocabulary.of_types(TokenType.NORMAL)}
    found: dict[bytes, set[int]] = {}
    for text in tokens:
        found.setdefault(text[:2], set()).add(len(text))
    lengths = {begin: sorted(counts, reverse=True) for begin, counts in found.items()}

    def encode(text: str, _: bool) -> list[int]:
        data, at, ids = text.encode(), 0, []
        while at < len(data):
            for length in (*lengths.get(data[at : at + 2], ()), 1):
                token = tokens.get(data[at : at + length])
                if token is not None:
                    ids.append(token)
                    break
            at += length
        return ids

    return encode


def unescaped(text: bytes) -> bytes:
    """The bytes that a Python literal of them stands for."""
    return _ESCAPE.sub(_unescaped_one, text)


def _unescaped_one(escape: re.Match[bytes]) -> bytes:
    if escape[2]:
        return bytes.fromhex(escape[2].decode())
    return _NAMED.get(escape[1], escape[1])
