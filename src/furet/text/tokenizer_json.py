"""Reading `tokenizer.json`, the form in which Hugging Face's `tokenizers` keeps a whole tokenizer.

The file is a tree of components that name their type. Every component and key that gets through is listed here;
numbers, lengths and patterns are bounded; what would only pad, truncate or decode is left out. So what the library is
given to load is small, and cannot take more time or memory than the text it is used on warrants.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from furet.errors import ModelFileError, UnsupportedModel
from furet.text.charsmap import MAX_REPLACEMENT, charsmap
from furet.text.patterns import check_pattern
from furet.text.vocabulary import MAX_MERGES, MAX_TEXT, MAX_TOKENS

JSON = "tokenizer.huggingface.json"
MAX_JSON = 96 << 20  # characters
MAX_VALUES = 4 << 20  # each takes some 60 bytes once read, however short it is
MAX_PARTS = 64  # components of a normaliser or pre-tokenizer
MAX_GROWTH = 64  # how many characters a normaliser may make of one
MAX_NAME = 256  # characters of an added token

MAX_SCORE = 3e38  # what a float32 can hold

Tree = dict[str, Any]
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SETTINGS = {  # of each component: the keys that count
    "normalizer": {
        **dict.fromkeys(("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"), ()),
        "Strip": ("strip_left", "strip_right"),
        "Prepend": ("prepend",),
        "Replace": ("pattern", "content"),
        "Precompiled": ("precompiled_charsmap",),
        "BertNormalizer": ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"),
    },
    "pre_tokenizer": {
        **dict.fromkeys(("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts"), ()),
        "ByteLevel": ("add_prefix_space", "trim_offsets", "use_regex"),
        "CharDelimiterSplit": ("delimiter",),
        "Digits": ("individual_digits",),
        "Metaspace": ("replacement", "prepend_scheme", "add_prefix_space", "split"),
        "Punctuation": ("behavior",),
        "Split": ("pattern", "behavior", "invert"),
    },
}
_MODEL_SETTINGS = {
    "BPE": (
        *("unk_token", "continuing_subword_prefix", "end_of_word_suffix"),
        *("fuse_unk", "byte_fallback", "ignore_merges"),
    ),
    "WordPiece": ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word"),
    "Unigram": ("unk_id", "byte_fallback"),
    "WordLevel": ("unk_token",),
}


@dataclass(frozen=True)
class Added:
    """A token that is found in text before anything else is done with it; `flags` say how."""

    id: int
    content: str
    special: bool
    flags: Mapping[str, bool]  # single_word, lstrip, rstrip, normalized


@dataclass(frozen=True)
class Document:
    """A tokenizer.json whose every part has been checked. V tokens of the model.

    normalizer, pre_tokenizer   lists of components in order, without the sequences around them
    model                       settings, with "vocab" and, for BPE, "merges" as pairs of strings
    added                       in the order of the file
    template                    what is put around a text: names of tokens, with None for the text itself
    """

    normalizer: list[Tree]
    pre_tokenizer: list[Tree]
    model: Tree
    added: list[Added]
    template: tuple[str | None, ...]

    def for_library(self, controls: frozenset[int]) -> str:
        """The document as the library reads it; added tokens in `controls` are found only when asked for."""
        added = [
            {"id": each.id, "content": each.content, "special": each.id in controls, **each.flags}
            for each in self.added
        ]
        tree: Tree = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
        for name, parts in (("normalizer", self.normalizer), ("pre_tokenizer", self.pre_tokenizer)):
            listed = "normalizers" if name == "normalizer" else "pretokenizers"
            tree[name] = {"type": "Sequence", listed: parts} if parts else None
        return json.dumps(
            tree | {"model": self.model, "post_processor": None, "decoder": None}, ensure_ascii=False
        )


def read_document(text: str) -> Document:
    """The tokenizer.json in `text`; damage is a ModelFileError, an unknown component an UnsupportedModel."""
    tree = parsed(text, JSON)
    return Document(
        normalizer=_parts(tree, "normalizer"),
        pre_tokenizer=_parts(tree, "pre_tokenizer"),
        model=_model(tree),
        added=[_added(each) for each in _list(tree, "added_tokens", MAX_TOKENS)],
        template=_template(tree.get("post_processor")),
    )


def parsed(text: str, name: str) -> Tree:
    """The JSON object in `text`, which is the file or key `name`."""
    if len(text) > MAX_JSON or text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise ModelFileError(f"has {len(text)} characters; too large or too many values", field=name)
    try:
        tree = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(tree, ensure_ascii=False).encode()  # a pair of them is one character, half a pair none
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"is not JSON: {str(error)[:80]}", field=name) from None
    if not isinstance(tree, dict):
        raise ModelFileError(f"is a {type(tree).__name__}, wanted a JSON object", field=name)
    return tree


def _parts(tree: Tree, name: str) -> list[Tree]:
    """The components under `name`, sequences laid flat."""
    found: list[Tree] = []
    waiting = [tree.get(name)]
    growth = 1
    while waiting:
        part = waiting.pop(0)
        if part is None:
            continue
        kind = str(part.get("type")) if isinstance(part, dict) else ""
        if kind == "Sequence":
            waiting[:0] = _list(part, "normalizers" if name == "normalizer" else "pretokenizers", MAX_PARTS)
        elif kind in _SETTINGS[name]:
            found.append({"type": kind} | {key: part[key] for key in _SETTINGS[name][kind] if key in part})
            growth *= _checked(found[-1], f"{JSON}: {name}")
        else:
            raise UnsupportedModel(f"{JSON}: a {name} of type {kind[:40]!r} is not known here")
        if len(found) + len(waiting) > MAX_PARTS or growth > MAX_GROWTH:
            raise ModelFileError(f"{name} has too many parts, or makes texts too much longer", field=JSON)
    return found


def _checked(part: Tree, where: str) -> int:
    """How many characters the component makes of one, at most; settings that are out of bounds are refused."""
    for key, value in part.items():
        if key in ("pattern", "precompiled_charsmap"):
            continue
        if not (value is None or isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_GROWTH)):
            raise ModelFileError(f"{key} of {part['type']} is {str(value)[:40]!r}", field=where)
    if "pattern" in part:
        pattern = part["pattern"]
        if not isinstance(pattern, dict) or len(pattern) != 1 or not {*pattern} <= {"String", "Regex"}:
            raise ModelFileError(f"pattern of {part['type']} is {str(pattern)[:40]!r}", field=where)
        ((kind, text),) = pattern.items()
        if not isinstance(text, str) or not 0 < len(text) <= MAX_JSON:
            raise ModelFileError(f"pattern of {part['type']} is empty or no string", field=where)
        if kind == "Regex":
            check_pattern(text, where)
    if "precompiled_charsmap" in part:
        longest = max(map(len, _charsmap(part, where).split(b"\0")))
        return 1 if longest <= MAX_REPLACEMENT else MAX_GROWTH + 1
    return max(1, len(str(part.get("content") or "")))


def _charsmap(part: Tree, where: str) -> bytes:
    """The replacements in a table of normalisation."""
    try:
        table = base64.b64decode(part["precompiled_charsmap"], validate=True)
    except (ValueError, TypeError):
        raise ModelFileError("precompiled_charsmap is not base64", field=where) from None
    if not len(charsmap({"tokenizer.ggml.precompiled_charsmap": table})):
        raise ModelFileError("precompiled_charsmap is empty", field=where)
    return table[4 + int.from_bytes(table[:4], "little") :]


def _model(tree: Tree) -> Tree:
    model = tree.get("model")
    if not isinstance(model, dict):
        raise ModelFileError("model is missing", field=JSON)
    kind = str(model.get("type") or _kind_of(model))
    if kind not in _MODEL_SETTINGS:
        raise UnsupportedModel(f"{JSON}: a model of type {kind[:40]!r} is not known here")
    found = {"type": kind} | {key: model[key] for key in _MODEL_SETTINGS[kind] if model.get(key) is not None}
    for key, value in found.items():
        good = isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_NAME)
        if not good and not (type(value) is int and 0 <= value <= MAX_TOKENS):
            raise ModelFileError(f"{key} of the model is {str(value)[:40]!r}", field=JSON)
    if kind == "Unigram":
        return found | {"vocab": _scored(model)}
    found["vocab"] = _numbered(model)
    if kind == "BPE":
        found["merges"] = [_pair(merge, rank) for rank, merge in enumerate(_list(model, "merges", MAX_MERGES))]
    return found


def _kind_of(model: Tree) -> str:
    """The type of a model that does not say, as files of early versions do not."""
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model.get("vocab"), list) else "WordPiece"


def _numbered(model: Tree) -> dict[str, int]:
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not len(vocabulary) <= MAX_TOKENS:
        raise ModelFileError(f"vocab is no object of at most {MAX_TOKENS} tokens", field=JSON)
    for text, token in vocabulary.items():
        if type(token) is not int or not 0 <= token < MAX_TOKENS:
            raise ModelFileError(f"vocab gives {text[:40]!r} the id {str(token)[:40]}", field=JSON)
    if len(set(vocabulary.values())) != len(vocabulary) or sum(map(len, vocabulary)) > MAX_TEXT:
        raise ModelFileError("vocab gives an id twice, or has too much text", field=JSON)
    return vocabulary


def _scored(model: Tree) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for token, entry in enumerate(_list(model, "vocab", MAX_TOKENS)):
        text, score = entry if isinstance(entry, list) and len(entry) == 2 else (None, math.inf)
        if not isinstance(text, str) or type(score) not in (int, float) or not abs(score) <= MAX_SCORE:
            raise ModelFileError(f"vocab element {token} is {str(entry)[:40]}", field=JSON)
        found.append((text, float(score)))
    if not found or sum(len(text) for text, _ in found) > MAX_TEXT:
        raise ModelFileError("vocab is empty, or has too much text", field=JSON)
    return found


def _pair(merge: object, rank: int) -> tuple[str, str]:
    pair = merge.split(" ") if isinstance(merge, str) else merge
    if isinstance(pair, list) and len(pair) == 2:
        left, right = pair
        if isinstance(left, str) and isinstance(right, str):
            return left, right
    raise ModelFileError(f"merges element {rank} is {str(merge)[:40]!r}", field=JSON)


def _added(entry: object) -> Added:
    fields = entry if isinstance(entry, dict) else {}
    token, content = fields.get("id"), fields.get("content")
    flags = {key: fields.get(key, False) for key in ("single_word", "lstrip", "rstrip", "normalized")}
    special = fields.get("special", False)
    if (
        type(token) is not int
        or not 0 <= token < MAX_TOKENS
        or not isinstance(content, str)
        or not 0 < len(content) <= MAX_NAME
        or not all(isinstance(flag, bool) for flag in (special, *flags.values()))
    ):
        raise ModelFileError(f"added token {str(entry)[:60]}", field=JSON)
    return Added(token, content, special, flags)


def _template(part: object) -> tuple[str | None, ...]:
    """What the post-processor puts around a single text."""
    if not isinstance(part, dict):
        return (None,)
    kind = part.get("type")
    if kind == "Sequence":
        inner = [_template(each) for each in _list(part, "processors", MAX_PARTS) if isinstance(each, dict)]
        return next((found for found in inner if len(found) > 1), (None,))
    if kind in ("BertProcessing", "RobertaProcessing"):
        names = (part.get("cls"), part.get("sep"))
        first, last = (str(pair[0]) if isinstance(pair, list) and pair else None for pair in names)
        return (first, None, last)
    if kind == "TemplateProcessing":
        pieces = [each for each in _list(part, "single", MAX_PARTS) if isinstance(each, dict)]
        special = (each.get("SpecialToken") for each in pieces)
        return tuple(str(each.get("id")) if isinstance(each, dict) else None for each in special)
    return (None,)


def _list(tree: Tree, key: str, most: int) -> list[Any]:
    value = tree.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise ModelFileError(f"{key} is no list of at most {most}", field=JSON)
    return value
