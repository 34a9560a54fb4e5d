"""SentencePiece's `tokenizer.model`, seen as `tokenizer.ggml.*` metadata.

A protocol buffer: field 1 of the file is a piece, once for each token; 2 how it was trained; 3 how text is
normalised. The numbers of the fields below are those of sentencepiece_model.proto.
"""

from __future__ import annotations

from typing import Any

from furet.errors import ModelFileError, UnsupportedModel
from furet.text.protobuf import BYTES, FIXED32, VARINT, fields, float_of, signed, text_of
from furet.text.vocabulary import MAX_TEXT, MAX_TOKENS, TokenType

MAX_FILE = 64 << 20
UNIGRAM, BPE = 1, 2
_MODELS = {UNIGRAM: "t5", BPE: "llama"}
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_TYPE_OF_MODEL, _SPACE_BEHIND = 3, 24  # of how it was trained
_NAMED = {"unknown": (40, 0), "bos": (41, 1), "eos": (42, 2), "padding": (43, -1)}  # field, default
_CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES = 2, 3, 4  # of how text is normalised

Values = dict[int, Any]


def sentencepiece_metadata(content: bytes) -> dict[str, object]:
    """Metadata of the SentencePiece model in `content`.

    Raises UnsupportedModel for kinds other than BPE and Unigram, ModelFileError for a damaged file.
    """
    import numpy as np

    pieces, parts = _pieces_and_parts(content)
    trainer, normalizer = (_values(content, parts[part]) for part in (_TRAINER, _NORMALIZER))
    kind = trainer.get(_TYPE_OF_MODEL, UNIGRAM)
    if kind not in _MODELS or trainer.get(_SPACE_BEHIND, 0):
        raise UnsupportedModel(
            f"a SentencePiece model of type {kind}, treat_whitespace_as_suffix {bool(trainer.get(_SPACE_BEHIND))}",
            "Unigram (1) and BPE (2) without that are known here",
        )
    found: dict[str, object] = {
        "model": _MODELS[kind],
        "tokens": [text for text, _, _ in pieces],
        "scores": np.array([score for _, score, _ in pieces], np.float32),
        "token_type": np.array([kind for _, _, kind in pieces], np.int32),
        "add_space_prefix": bool(normalizer.get(_DUMMY_PREFIX, 1)),
        "remove_extra_whitespaces": bool(normalizer.get(_EXTRA_SPACES, 1)),
    }
    for name, (field, default) in _NAMED.items():
        token = signed(trainer.get(field, default))
        if 0 <= token < len(pieces) and pieces[token][2] in (TokenType.UNKNOWN, TokenType.CONTROL):
            found[f"{name}_token_id"] = token
    if table := normalizer.get(_CHARSMAP):
        found["precompiled_charsmap"] = np.frombuffer(table, np.uint8)
    if kind == UNIGRAM:
        found["float32_sums"] = True
    return {f"tokenizer.ggml.{key}": value for key, value in found.items()}


def _pieces_and_parts(data: bytes) -> tuple[list[tuple[str, float, int]], dict[int, tuple[int, int]]]:
    pieces: list[tuple[str, float, int]] = []
    parts = dict.fromkeys((_TRAINER, _NORMALIZER), (0, 0))
    text = 0
    for number, kind, start, end in fields(data, 0, len(data)):
        if number == _PIECES and kind == BYTES:
            pieces.append(_piece(data, start, end))
            text += len(pieces[-1][0])
            if len(pieces) > MAX_TOKENS or text > MAX_TEXT:
                raise ModelFileError(f"more than {MAX_TOKENS} pieces, or too much text in them", offset=start)
        elif number in parts and kind == BYTES:
            parts[number] = start, end
    if not pieces or parts[_TRAINER] == (0, 0):
        raise ModelFileError("is no SentencePiece model: it has no pieces, or does not say how it was trained")
    return pieces, parts


def _piece(data: bytes, start: int, end: int) -> tuple[str, float, int]:
    """Text, score and type of a piece; the types are numbered as in GGUF."""
    text, score, type_ = "", 0.0, int(TokenType.NORMAL)
    for number, kind, first, last in fields(data, start, end):
        if number == 1 and kind == BYTES:
            text = text_of(data, first, last)
        elif number == 2 and kind == FIXED32:
            score = float_of(data, first, last)
        elif number == 3 and kind == VARINT:
            type_ = first if 1 <= first <= TokenType.BYTE else TokenType.UNDEFINED
    return text, score, type_


def _values(data: bytes, part: tuple[int, int]) -> Values:
    """The last value of each field that is a number or bytes."""
    found: Values = {}
    for number, kind, first, last in fields(data, *part):
        if kind == VARINT:
            found[number] = first
        elif kind == BYTES:
            found[number] = data[first:last]
    return found
