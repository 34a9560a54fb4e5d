"""A byte-level vocabulary of any size, for models whose text does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from furet.text.bytelevel import byte_alphabet
from furet.text.vocabulary import TokenType

MERGES = ("t h", "th e")
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def byte_vocabulary(size: int) -> dict[str, Any]:
    """`tokenizer.*` metadata of `size` tokens: the 256 bytes, two merges, three special tokens, and words by number.

    No merge leads to a word, so no text has one; but an answer that is made up of them shows.

    size    at least 261
    """
    used = [*map(chr, byte_alphabet()), *(merge.replace(" ", "") for merge in MERGES)]
    first = len(used)
    words = [f"w{number}" for number in range(size - first - len(SPECIALS))]
    types = [TokenType.NORMAL] * first + [TokenType.CONTROL] * len(SPECIALS) + [TokenType.NORMAL] * len(words)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [*used, *SPECIALS, *words],
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.bos_token_id": first,
        "tokenizer.ggml.eos_token_id": first + 2,
        "tokenizer.ggml.add_bos_token": False,
    }
