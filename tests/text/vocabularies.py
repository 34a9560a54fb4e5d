"""Tiny vocabularies in the form of GGUF metadata, and slow encoders that are right by inspection.

byte_level(pre="smollm")       trained by `tokenizers` on the corpus below, all 256 bytes, some special tokens
sentencepiece()                the pieces of the same corpus, scored by rank, with byte tokens
merged_by_score(pieces, text)  SentencePiece's rule, followed literally
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
CORPUS = (
    "The ferret is a small, domesticated species; ferrets were bred to hunt rabbits. It's what they've done!",
    "def main() -> int:\n    for i in range(10):\n        print(i, end=' ')\n    return 0\n\n\n",
    "Le furet est un petit animal très curieux, à l'aise partout où l'on cache quelque chose.",
    "Хорёк — хищное млекопитающее. 日本語のテキスト、日本の言葉。 한국어 텍스트 😀😀 naïve café",
    "aaaaaaaa bbbb abababab   \t\t  1234567890 00 000 !!! ... --- <<>> [[]] {{}}",
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>x")
SPACE = "\u2581"


@lru_cache
def _trained() -> tuple[list[str], list[str]]:
    """Tokens in order of id, and merges, of a byte-level BPE."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return tokens, [" ".join(merge) for merge in model["merges"]]


def byte_level(pre: str = "smollm", **keys: Any) -> dict[str, Any]:
    """Metadata of a byte-level vocabulary; `keys` are further `tokenizer.ggml` keys."""
    tokens, merges = _trained()
    texts = [*SPECIALS, *tokens, "<tool>", "[PAD0]"]
    metadata = {
        "model": "gpt2",
        "pre": pre,
        "tokens": texts,
        "token_type": [CONTROL] * len(SPECIALS) + [NORMAL] * len(tokens) + [USER_DEFINED, UNUSED],
        "merges": merges,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "add_bos_token": False,
    }
    return named(metadata | keys)


def sentencepiece(**keys: Any) -> dict[str, Any]:
    """Metadata of a SentencePiece vocabulary; `keys` are further `tokenizer.ggml` keys."""
    pieces = _pieces()
    texts = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    metadata = {
        "model": "llama",
        "tokens": texts,
        "token_type": [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(pieces),
        "scores": [0.0] * 259 + [-float(rank) for rank in range(len(pieces))],
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return named(metadata | keys)


@lru_cache
def _pieces() -> tuple[str, ...]:
    """Pieces that merge, best first, then the single characters; one character of the corpus is left out."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE)
    tokenizer.train_from_iterator(CORPUS * 2, trainers.BpeTrainer(vocab_size=420, show_progress=False))
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    merged = [SPACE * 2, SPACE * 4, *(piece for piece in ordered if len(piece) > 1)]
    return (*merged, *(piece for piece in ordered if len(piece) == 1 and piece not in "ж😀"))


def named(keys: dict[str, Any]) -> dict[str, Any]:
    """Metadata from keys without their prefix; a key that is None is left out."""
    return {f"tokenizer.ggml.{name}": value for name, value in keys.items() if value is not None}


def merged_by_score(metadata: dict[str, Any], text: str) -> list[int]:
    """Tokens by SentencePiece's rule: join the neighbours that make the best piece, the leftmost first."""
    tokens, scores = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.scores"]
    types = metadata["tokenizer.ggml.token_type"]
    ids = {piece: place for place, piece in enumerate(tokens) if types[place] == NORMAL}
    parts = list((" " + text).replace(" ", SPACE))
    while True:
        pairs = [(-scores[ids[a + b]], at) for at, (a, b) in enumerate(pairwise(parts)) if a + b in ids]
        if not pairs:
            break
        at = min(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    found = []
    for part in parts:
        found += [ids[part]] if part in ids else [tokens.index(f"<0x{byte:02X}>") for byte in part.encode()]
    return found
