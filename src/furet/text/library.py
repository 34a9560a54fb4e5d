"""Tokenizers of forms that furet has no tables for, through Hugging Face's own library.

The vocabulary then has the bytes and types of the tokens; text becomes tokens by the tokenizer.json that the
file carries, which therefore must be at hand whenever the tokenizer is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from furet.errors import ModelFileError, UnsupportedModel
from furet.text.bytelevel import byte_text
from furet.text.metadata import Metadata, text
from furet.text.rules import SPACE
from furet.text.tokenizer_json import JSON, Document, read_document
from furet.text.tokens import TokenList
from furet.text.vocabulary import Rules, TokenType, Vocabulary, unmerged

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 4  # how often text that comes out as a control token is cut anew before the token is dropped


def library_vocabulary(metadata: Metadata, rules: Rules, tokens: TokenList) -> Vocabulary:
    """The bytes and types of the tokens; a tokenizer.json that has other tokens is a ModelFileError."""
    document = read_document(text(metadata, JSON))
    vocabulary = document.model["vocab"]
    highest = len(vocabulary) - 1 if isinstance(vocabulary, list) else max(vocabulary.values(), default=0)
    highest = max([highest, *(added.id for added in document.added)])
    if highest >= len(tokens):
        raise ModelFileError(f"has a token {highest}, tokenizer.ggml.tokens only {len(tokens)}", field=JSON)
    spaced = byte_text if text(metadata, "tokenizer.ggml.model") == "gpt2" else _spaced
    return unmerged(replace(rules, kind="library"), tokens.decoded(spaced), tokens.types)


def library_encoder(vocabulary: Vocabulary, source: str) -> Callable[[str, bool], list[int]]:
    """A function from text, and whether to look for special tokens in it, to tokens."""
    document = read_document(source)
    controls = frozenset(vocabulary.of_types(TokenType.CONTROL))
    named = controls | {*vocabulary.of_types(TokenType.UNKNOWN)}
    everything = _loaded(document, named)
    plain = _without_specials(everything, document, named)

    def encode(text: str, parse_special: bool) -> list[int]:
        with _panics_are_errors():
            if not parse_special:
                return _safely(plain, text, controls, _DEPTH)
            found: list[int] = everything.encode(text, add_special_tokens=False).ids
            return found

    return encode


def _safely(tokenizer: Any, text: str, controls: frozenset[int], depth: int) -> list[int]:
    """Tokens of `text`, none of them in `controls`: a name that a model makes of plain text is broken up."""
    found = tokenizer.encode(text, add_special_tokens=False)
    if controls.isdisjoint(found.ids):
        ids: list[int] = found.ids
        return ids
    if not depth:
        return [token for token in found.ids if token not in controls]
    named = (span[0] + 1 for token, span in zip(found.ids, found.offsets, strict=True) if token in controls)
    cuts = [0, *sorted({cut for cut in named if cut < len(text)}), len(text)]
    parts = (text[start:end] for start, end in pairwise(cuts))
    return [token for part in parts for token in _safely(tokenizer, part, controls, depth - 1)]


def _loaded(document: Document, named: frozenset[int]) -> Any:
    """The library's tokenizer, with every added token under the id that the file gives it."""
    from tokenizers import Tokenizer

    with _panics_are_errors():
        tokenizer = Tokenizer.from_str(document.for_library(named))
    _check_ids(tokenizer, document)
    return tokenizer


def _without_specials(tokenizer: Any, document: Document, named: frozenset[int]) -> Any:
    """A second tokenizer over the same tables, which does not look for special tokens."""
    from tokenizers import AddedToken, Tokenizer

    plain = Tokenizer(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer"):
        if getattr(tokenizer, part) is not None:
            setattr(plain, part, getattr(tokenizer, part))
    for added in document.added:
        token = AddedToken(added.content, **added.flags, special=added.id in named)
        (plain.add_special_tokens if added.id in named else plain.add_tokens)([token])
    _check_ids(plain, document)
    plain.encode_special_tokens = True
    return plain


def _check_ids(tokenizer: Any, document: Document) -> None:
    for added in document.added:
        found = tokenizer.token_to_id(added.content)
        if found != added.id:
            raise ModelFileError(
                f"added token {added.content[:40]!r} has the id {added.id}, but would get {found}", field=JSON
            )


@contextmanager
def _panics_are_errors() -> Iterator[None]:
    """Errors of the library, and its panics, which are no Exception, as a ModelFileError."""
    try:
        yield
    except (ModelFileError, UnsupportedModel, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        raise ModelFileError(f"the tokenizers library says: {str(error)[:200]}", field=JSON) from None


def _spaced(text: str) -> bytes:
    return text.replace(SPACE, " ").encode()
