"""The tokenizer files of a folder that come in several parts, put together to one tokenizer.json.

    vocab.json, merges.txt     byte-level BPE, as GPT-2 and Qwen2 published it
    vocab.txt                  WordPiece, a token a line
    rwkv_vocab_*.txt           the RWKV world's: id, Python literal, length in bytes; straight to metadata

A regular file is read, and no more of it than a cap; what is in it is checked where it is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from furet.errors import ModelFileError
from furet.text.json_metadata import UNUSED
from furet.text.pretokenizers import find_pretokenizer
from furet.text.tokenizer_json import parsed
from furet.text.vocabulary import MAX_TOKENS, TokenType, check_highest
from furet.text.world import unescaped

MAX_TEXT_FILE = 96 << 20
MAX_SETTINGS = 16 << 20
Config = Mapping[str, Any]


def read_text(path: Path, most: int = MAX_TEXT_FILE) -> str:
    """The text of a regular file of at most `most` bytes; one that is larger or not UTF-8 is a ModelFileError."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFileError("is not UTF-8", path=path, offset=error.start) from None


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ModelFileError(f"has more than {most} bytes", path=path)
    return content


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no such file."""
    if not path.is_file():
        return {}
    return parsed(read_text(path, MAX_SETTINGS), path.name)


def gpt2_document(folder: Path, config: Config, added: list[dict[str, Any]]) -> str:
    """The tokenizer.json that vocab.json and merges.txt stand for."""
    lines = read_text(folder / "merges.txt").split("\n")
    merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    prefix = config.get("add_prefix_space") is True
    cuts: list[dict[str, Any]] = [{"type": "ByteLevel", "add_prefix_space": prefix, "use_regex": True}]
    composes = None
    if str(config.get("tokenizer_class", "")).startswith("Qwen2"):
        (pattern,) = find_pretokenizer("qwen2").patterns
        cuts[0]["use_regex"] = False
        cuts.insert(0, {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False})
        composes = {"type": "NFC"}
    vocabulary = parsed(read_text(folder / "vocab.json"), "vocab.json")
    tree: dict[str, Any] = {
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        "normalizer": composes,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": cuts},
        "added_tokens": added,
    }
    if str(config.get("tokenizer_class", "")).startswith("Roberta"):
        tree["post_processor"] = {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]}
    return json.dumps(tree)


def bert_document(folder: Path, config: Config, added: list[dict[str, Any]]) -> str:
    """The tokenizer.json that vocab.txt stands for."""
    lines = read_text(folder / "vocab.txt").replace("\r\n", "\n").split("\n")
    vocabulary = {line: token for token, line in enumerate(lines[:-1] if not lines[-1] else lines)}
    special = {name: vocabulary[name] for name in ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]") if name in vocabulary}
    known = {entry["content"] for entry in added}
    added = added + [
        {"id": token, "content": name, "special": True} for name, token in special.items() if name not in known
    ]
    tree: dict[str, Any] = {
        "model": {"type": "WordPiece", "vocab": vocabulary, "unk_token": "[UNK]"},
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": config.get("tokenize_chinese_chars", True),
            "strip_accents": config.get("strip_accents"),
            "lowercase": config.get("do_lower_case", True),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 101], "sep": ["[SEP]", 102]},
        "added_tokens": added,
    }
    return json.dumps(tree)


_LINE = re.compile(r"(\d{1,7}) (b?)(['\"])(.*)\3 (\d{1,4})")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


def world_metadata(path: Path) -> dict[str, Any]:
    """The metadata of an RWKV world vocabulary, written as GGUF writes it; id 0 ends a text."""
    import numpy as np

    found: dict[int, str] = {0: "<s>"}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        token = int(match[1]) if match else -1
        if not match or not 0 < token < MAX_TOKENS:
            raise ModelFileError(f"line {number} is {line[:60]!r}, wanted an id, a literal and a length", path=path)
        content = unescaped(match[4].encode()) if match[2] else _ESCAPE.sub(_character, match[4]).encode()
        if len(content) != int(match[5]):
            raise ModelFileError(f"line {number} has {len(content)} bytes, not {match[5]}", path=path)
        found[token] = repr(content)[2:-1]
    check_highest(max(found), len(found), path.name)
    count = max(found) + 1
    types = [TokenType.NORMAL if token in found else TokenType.UNUSED for token in range(count)]
    types[0] = TokenType.CONTROL
    keys = {
        "model": "rwkv",
        "tokens": [found.get(token, UNUSED.format(token)) for token in range(count)],
        "token_type": np.array(types, np.int32),
        "bos_token_id": 0,
        "eos_token_id": 0,
        "unknown_token_id": 0,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def _character(escape: re.Match[str]) -> str:
    """The character that an escape in a Python string literal stands for."""
    text = escape[1]
    if len(text) > 1:
        code = int(text[1:], 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return {"t": "\t", "n": "\n", "r": "\r"}.get(text, text)
