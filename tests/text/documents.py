"""Small `tokenizer.json` trees of every form, trained by `tokenizers` on the fuzzed corpus of the other tests."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from vocabularies import CORPUS, SPACE

SPECIAL = ["<unk>", "<s>", "</s>", "<|im_end|>"]
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@lru_cache
def _trained(form: str) -> str:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spaced = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="first")
    forms: dict[str, tuple[Any, Any, Any]] = {
        "gpt2": (models.BPE(), None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "prefixed": (models.BPE(), None, pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "qwen2": (
            models.BPE(),
            normalizers.NFC(),
            pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN), "isolated"), bare]),
        ),
        "wordpiece": (
            models.WordPiece(unk_token="<unk>"),
            normalizers.BertNormalizer(),
            pre_tokenizers.BertPreTokenizer(),
        ),
        "unigram": (models.Unigram(), normalizers.NFKC(), spaced),
        "metaspace": (models.BPE(unk_token="<unk>", fuse_unk=True), None, spaced),
    }
    model, normalizer, pre_tokenizer = forms[form]
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    keys: dict[str, Any] = {"vocab_size": 600, "special_tokens": SPECIAL, "show_progress": False}
    if form == "unigram":
        trainer: Any = trainers.UnigramTrainer(unk_token="<unk>", **keys)
    elif form == "wordpiece":
        trainer = trainers.WordPieceTrainer(**keys)
    else:
        alphabet = [] if form == "metaspace" else pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **keys)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    return str(tokenizer.to_str())


def document(form: str) -> dict[str, Any]:
    """A tree of this form; "llama" and "gemma" are what `transformers` makes of SentencePiece's BPE."""
    if form in ("llama", "gemma"):
        return _spelling(document("metaspace"), prefixed=form == "llama")
    tree: dict[str, Any] = json.loads(_trained(form))
    return tree


def _spelling(tree: dict[str, Any], *, prefixed: bool) -> dict[str, Any]:
    """`tree` with byte tokens behind the others, and normalised instead of cut."""
    vocabulary = tree["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    tree["model"] |= {"byte_fallback": True, "fuse_unk": True}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepend = {"type": "Prepend", "prepend": SPACE}
    parts = [prepend, replace] if prefixed else [replace]
    return tree | {"pre_tokenizer": None, "normalizer": {"type": "Sequence", "normalizers": parts}}


def written(folder: Path, tree: dict[str, Any], **files: Any) -> Path:
    """The folder, with `tree` as its tokenizer.json and each of `files` as NAME.json."""
    for name, content in {"tokenizer": tree, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
