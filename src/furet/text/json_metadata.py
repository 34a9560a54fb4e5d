"""A `tokenizer.json` seen as `tokenizer.ggml.*` metadata.

Forms that furet's own tables express exactly become metadata and nothing else. For any other the JSON itself comes
along under `tokenizer.huggingface.json`, and then decides what text becomes; the tables beside it are as near as
GGUF's terms get, for programs that read no JSON. Where the way of cutting text is none that has a name,
`tokenizer.ggml.pre` is left out, and such programs will say that they do not know it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from furet.errors import ModelFileError, UnsupportedModel
from furet.text.bytelevel import byte_alphabet
from furet.text.pretokenizers import GPT2, TABLE
from furet.text.rules import SPACE
from furet.text.tokenizer_json import JSON, Document, Tree, read_document
from furet.text.vocabulary import TokenType, check_highest
from furet.text.wordpiece import CONTINUES, MAX_WORD

UNUSED = "[PAD{}]"  # the name of an id that no token has
_BYTES = frozenset(f"<0x{byte:02X}>" for byte in range(256))


@dataclass(frozen=True)
class Seen:
    """Metadata without its prefix, and whether it says all that the tokenizer.json does."""

    keys: dict[str, Any]
    exact: bool


def json_metadata(source: str) -> tuple[dict[str, Any], Document]:
    """The metadata of the tokenizer.json in `source`, and what was read from it.

    Raises ModelFileError for a damaged file, UnsupportedModel for one that has no counterpart in GGUF.
    """
    import numpy as np

    document = read_document(source)
    kind = document.model["type"]
    if kind not in _READERS or document.model.get("end_of_word_suffix"):
        raise UnsupportedModel(
            f"tokenizer.json: a {kind} tokenizer with the suffix {document.model.get('end_of_word_suffix', '')!r}",
            f"known: {', '.join(_READERS)}, all without a suffix for ends of words",
        )
    texts, types = _tokens(document)
    seen = _READERS[kind](document, texts, types)
    keys = {"tokens": texts, "token_type": np.array(types, np.int32)} | seen.keys
    if TokenType.UNKNOWN in types:
        keys["unknown_token_id"] = types.index(TokenType.UNKNOWN)
    found = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    return found | ({} if seen.exact and _is_plain(document) else {JSON: source}), document


def _is_plain(document: Document) -> bool:
    """Whether added tokens are found as they are written, wherever they are.

    One that is looked for in normalised text is found in other places; but spaces stay what they are in NFC, and no
    other characters become spaces.
    """
    changed = document.normalizer
    composed = all(part == {"type": "NFC"} for part in changed)
    return all(
        not any(flag for name, flag in added.flags.items() if name != "normalized")
        and not (added.flags["normalized"] and changed and not (composed and not added.content.strip(" ")))
        for added in document.added
    )


def _tokens(document: Document) -> tuple[list[str], list[int]]:
    """Text and type of every id, those that no token has included."""
    named = _named(document)
    unknown = _unknown(document)
    added = {token.id: token for token in document.added}
    spelt = _BYTES if document.model.get("byte_fallback") else ()
    check_highest(max(named), len(named), JSON)
    texts, types = [], []
    for token in range(max(named) + 1):
        text = named.get(token)
        if text is None:
            kind = TokenType.UNUSED
        elif text == unknown:
            kind = TokenType.UNKNOWN
        elif token in added:
            kind = TokenType.CONTROL if added[token].special else TokenType.USER_DEFINED
        else:
            kind = TokenType.BYTE if text in spelt else TokenType.NORMAL
        texts.append(UNUSED.format(token) if text is None else text)
        types.append(int(kind))
    return texts, types


def _named(document: Document) -> dict[int, str]:
    """The text of each id that has one, at least one; two texts for one id are a ModelFileError."""
    vocabulary = document.model["vocab"]
    if isinstance(vocabulary, dict):
        named: dict[int, str] = {token: text for text, token in vocabulary.items()}
    else:
        named = {token: text for token, (text, _) in enumerate(vocabulary)}
    for added in document.added:
        if named.setdefault(added.id, added.content) != added.content:
            raise ModelFileError(
                f"token {added.id} is {named[added.id][:40]!r} and {added.content[:40]!r}", field=JSON
            )
    if not named:
        raise ModelFileError("has no tokens", field=JSON)
    return named


def _unknown(document: Document) -> str | None:
    """The text of the token that stands for what has no other; where bytes are the alphabet, nothing needs it."""
    model = document.model
    if model["type"] == "Unigram":
        token = model.get("unk_id")
        return str(model["vocab"][token][0]) if token is not None and token < len(model["vocab"]) else None
    return None if _by_bytes(document) else model.get("unk_token")


def _by_bytes(document: Document) -> bool:
    return any(part["type"] == "ByteLevel" for part in document.pre_tokenizer + document.normalizer)


def _bpe(document: Document, texts: list[str], types: list[int]) -> Seen:
    return (_byte_level if _by_bytes(document) else _spaced_bpe)(document, texts, types)


def _byte_level(document: Document, texts: list[str], types: list[int]) -> Seen:
    model = document.model
    keys: dict[str, Any] = {"model": "gpt2", "merges": [" ".join(pair) for pair in model["merges"]]}
    name = _name_of_cuts(_cuts(document.pre_tokenizer), bool(model.get("ignore_merges")))
    if name:
        keys["pre"] = name
    composes = all(part == {"type": "NFC"} for part in document.normalizer)
    if composes and document.normalizer:
        keys["normalizer.compose"] = True
    normal = {text for text, kind in zip(texts, types, strict=True) if kind == TokenType.NORMAL}
    whole = all(chr(code) in normal for code in byte_alphabet())
    odd = any(model.get(key) for key in ("continuing_subword_prefix", "byte_fallback"))
    return Seen(keys, bool(name) and composes and whole and not odd)


def _cuts(parts: list[Tree]) -> tuple[str, ...] | None:
    """The patterns by which a pre-tokenizer cuts text, or None where it does something else as well."""
    found = []
    for part in parts:
        if part["type"] == "Split" and part.get("behavior") == "Isolated" and not part.get("invert"):
            if "Regex" not in part["pattern"]:
                return None
            found.append(part["pattern"]["Regex"].replace("\r", r"\r").replace("\n", r"\n"))
        elif part["type"] == "Digits":
            found.append(r"\p{N}" if part.get("individual_digits") else r"\p{N}+")
        elif part["type"] == "ByteLevel" and part is parts[-1] and part.get("add_prefix_space") is False:
            found += [GPT2] if part.get("use_regex", True) else []
        else:
            return None
    return tuple(found)


def _name_of_cuts(cuts: tuple[str, ...] | None, whole_words: bool) -> str:
    """The value of `tokenizer.ggml.pre` that means these patterns, empty where none does."""
    names = (entry.names for entry in TABLE if entry.patterns == cuts and entry.whole_words == whole_words)
    return next(names, "").partition(" ")[0]


_AS_SPACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_PREFIX = {"type": "Prepend", "prepend": SPACE}
_NOTHING_TO_CUT = {
    "type": "Split",
    "pattern": {"String": " "},
    "behavior": "MergedWithPrevious",
    "invert": False,
}


def _spaced_bpe(document: Document, texts: list[str], types: list[int]) -> Seen:
    """SentencePiece's BPE as converted by `transformers`; scores are ranks, best first."""
    import numpy as np

    model, merges = document.model, document.model["merges"]
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault("".join(pair), rank)
    scores = [-float(ranks.get(text, len(merges))) for text in texts]
    parts = [part for part in document.pre_tokenizer if part != _NOTHING_TO_CUT]
    prefixed = document.normalizer == [_PREFIX, _AS_SPACE]
    keys = {
        "model": "llama",
        "scores": np.array(scores, np.float32),
        "add_space_prefix": prefixed or _adds_space(parts),
    }
    spells = model.get("byte_fallback") and types.count(TokenType.BYTE) == 256
    normal = {text for text, kind in zip(texts, types, strict=True) if kind == TokenType.NORMAL}
    meets = all("".join(pair) in normal for pair in merges)
    odd = any(model.get(key) for key in ("continuing_subword_prefix", "ignore_merges"))
    exact = (prefixed or document.normalizer == [_AS_SPACE]) and not parts and spells and meets and not odd
    if exact:
        keys["merges"] = [" ".join(pair) for pair in merges]
    return Seen(keys, bool(exact))


def _adds_space(parts: list[Tree]) -> bool:
    """Whether a Metaspace among the components puts a space before the text."""
    return any(
        part["type"] == "Metaspace" and (part.get("prepend_scheme") or "always") != "never" for part in parts
    )


def _unigram(document: Document, texts: list[str], types: list[int]) -> Seen:
    """Hugging Face normalises by whole characters on screen, which furet's tables do not: never exact."""
    import numpy as np

    scores = np.full(len(texts), -10000.0, np.float32)
    scores[: len(document.model["vocab"])] = [score for _, score in document.model["vocab"]]
    squeezes = (part for part in document.normalizer if part["type"] == "Replace")
    keys = {
        "model": "t5",
        "scores": scores,
        "add_space_prefix": _adds_space(document.pre_tokenizer),
        "remove_extra_whitespaces": any("{2,}" in str(part["pattern"].get("Regex")) for part in squeezes)
        or any(part["type"] == "WhitespaceSplit" for part in document.pre_tokenizer),
    }
    for part in document.normalizer:
        if part["type"] == "Precompiled":
            keys["precompiled_charsmap"] = np.frombuffer(base64.b64decode(part["precompiled_charsmap"]), np.uint8)
    return Seen(keys, exact=False)


def _wordpiece(document: Document, texts: list[str], types: list[int]) -> Seen:
    model, parts = document.model, document.normalizer
    bert = parts[0] if len(parts) == 1 and parts[0]["type"] == "BertNormalizer" else {}
    lowercase = bert.get("lowercase", True)
    strips = bert.get("strip_accents")
    keys = {
        "model": "bert",
        "normalizer.lowercase": lowercase,
        "normalizer.strip_accents": lowercase if strips is None else strips,
    }
    for token, kind in enumerate(types):
        if kind == TokenType.NORMAL:
            text = texts[token]
            texts[token] = text.removeprefix(CONTINUES) if text.startswith(CONTINUES) else SPACE + text
    usual = model.get("max_input_chars_per_word", MAX_WORD) == MAX_WORD
    usual &= model.get("continuing_subword_prefix", CONTINUES) == CONTINUES and TokenType.UNKNOWN in types
    cleans = bert.get("clean_text", True) and bert.get("handle_chinese_chars", True)
    cuts = document.pre_tokenizer == [{"type": "BertPreTokenizer"}]
    doubled = len(set(texts)) != len(texts)  # "a" and "##\u2581a" are told apart by the JSON only
    if doubled:
        raise UnsupportedModel("tokenizer.json: two pieces are the same in GGUF's way of writing them")
    return Seen(keys, bool(bert and usual and cleans and cuts))


_READERS = {"BPE": _bpe, "Unigram": _unigram, "WordPiece": _wordpiece}
