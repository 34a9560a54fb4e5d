"""The tokenizer of a Hugging Face folder as metadata in GGUF's terms.

What text becomes is read from the first of these that is there:

    tokenizer.json                                        see `json_metadata`
    tokenizer.model, spiece.model                         see `sentencepiece_file`
    vocab.json with merges.txt, vocab.txt, rwkv_vocab_*   see `folder_files`

Which tokens are special, and what is added to a text, is in tokenizer_config.json and special_tokens_map.json by name,
in config.json and generation_config.json by id. Tokens that end an answer are the union of what they say, under
`tokenizer.ggml.eos_token_ids`, which is our own key; the first two also under `eos_token_id` and `eot_token_id`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from furet.errors import ModelFileError, NotFound, UnsupportedModel
from furet.text.folder_files import (
    bert_document,
    gpt2_document,
    read_bytes,
    read_object,
    read_text,
    world_metadata,
)
from furet.text.json_metadata import UNUSED, json_metadata
from furet.text.sentencepiece_file import MAX_FILE, sentencepiece_metadata
from furet.text.stops import END_IDS
from furet.text.template_files import metadata_of_templates, templates_in_folder
from furet.text.tokenizer_json import JSON, Document
from furet.text.vocabulary import MAX_TOKENS, TokenType, check_highest

Metadata = dict[str, Any]
PREFIX = "tokenizer.ggml."
_ROLES = {  # name in Hugging Face's files: name in GGUF's keys
    **{"bos": "bos", "eos": "eos", "unk": "unknown", "sep": "seperator"},
    **{"pad": "padding", "cls": "cls", "mask": "mask"},
}


def metadata_from_folder(folder: Path, vocab_size: int | None = None) -> Metadata:
    """The `tokenizer.*` metadata of the tokenizer files in `folder`.

    Arrays of numbers are NumPy arrays, int32, float32 or uint8, as GGUF stores them.

    vocab_size   ids up to this one that no token has are listed as unused, as models pad their tables
    raises       NotFound for a folder without a tokenizer; ModelFileError, naming the file; UnsupportedModel
    """
    config = read_object(folder / "tokenizer_config.json")
    metadata, document = _vocabulary(folder, config)
    texts: list[str] = metadata[PREFIX + "tokens"]
    ids = {text: token for token, text in enumerate(texts)}
    names = _special_names(folder, config)
    roles = {role: ids[name] for role, name in names.items() if name in ids}
    _add_roles(metadata, roles, _template_ids(document, ids))
    _add_ends(metadata, folder, len(texts))
    for name in ("bos", "eos"):
        if isinstance(config.get(f"add_{name}_token"), bool) and f"{PREFIX}{name}_token_id" in metadata:
            metadata[f"{PREFIX}add_{name}_token"] = config[f"add_{name}_token"]
    if vocab_size is not None:
        _pad(metadata, vocab_size)
    return metadata | metadata_of_templates(templates_in_folder(folder))


def _vocabulary(folder: Path, config: Metadata) -> tuple[Metadata, Document | None]:
    """The tables, and the tokenizer.json that they are from, where they are from one."""
    path = folder / "tokenizer.json"
    if path.is_file():
        with _blamed(path):
            return json_metadata(read_text(path))
    for path in (folder / "tokenizer.model", folder / "spiece.model"):
        if path.is_file():
            with _blamed(path):
                metadata = sentencepiece_metadata(read_bytes(path, MAX_FILE))
            _add_tokens(metadata, _added_tokens(folder, config))
            return metadata, None
    added = [{**entry, "id": token} for token, entry in _added_tokens(folder, config).items()]
    path = folder / "vocab.json"
    if path.is_file() and (folder / "merges.txt").is_file():
        with _blamed(path):
            return json_metadata(gpt2_document(folder, config, added))
    path = folder / "vocab.txt"
    if path.is_file():
        with _blamed(path):
            return json_metadata(bert_document(folder, config, added))
    for path in sorted(folder.glob("rwkv_vocab_*.txt")):
        return world_metadata(path), None
    if (folder / "sentencepiece.bpe.model").is_file():
        raise UnsupportedModel(
            f"{folder}: sentencepiece.bpe.model numbers its tokens otherwise than the model does",
            "save the tokenizer with transformers, which writes the tokenizer.json that says how",
        )
    raise NotFound(
        f"{folder}: no tokenizer", "wanted tokenizer.json, tokenizer.model, vocab.json with merges.txt, or vocab.txt"
    )


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Put the path into errors that name none, in the place of the key that the content would have in GGUF."""
    try:
        yield
    except ModelFileError as error:
        if error.path is not None:
            raise
        raise ModelFileError(error.message.removeprefix(f"{JSON}: "), error.hint, path=path) from None


def _added_tokens(folder: Path, config: Metadata) -> dict[int, Metadata]:
    """Tokens that were added to a vocabulary, by id, as a tokenizer.json lists them."""
    found: dict[int, Metadata] = {}
    for content, token in read_object(folder / "added_tokens.json").items():
        if type(token) is int and 0 <= token < MAX_TOKENS and content:
            found[token] = {"content": content, "special": False}
    listed = config.get("added_tokens_decoder")
    for key, entry in listed.items() if isinstance(listed, dict) else ():
        if key.isascii() and key.isdigit() and int(key[:8]) < MAX_TOKENS and isinstance(entry, dict):
            found[int(key[:8])] = {name: entry[name] for name in entry if name in _ADDED_FIELDS}
    return found


_ADDED_FIELDS = frozenset(("content", "special", "single_word", "lstrip", "rstrip", "normalized"))


def _add_tokens(metadata: Metadata, added: dict[int, Metadata]) -> None:
    """Put added tokens behind the pieces of a SentencePiece model, or in the place of one of that name."""
    import numpy as np

    texts, types = metadata[PREFIX + "tokens"], metadata[PREFIX + "token_type"].tolist()
    scores = metadata[PREFIX + "scores"].tolist()
    for token, entry in sorted(added.items()):
        content, kind = entry.get("content"), TokenType.USER_DEFINED
        if not isinstance(content, str) or not content:
            raise ModelFileError(f"token {token} has no name", field="added_tokens")
        check_highest(token, len(texts), "added_tokens")
        while len(texts) <= token:
            types.append(TokenType.UNUSED)
            scores.append(-10000.0)
            texts.append(UNUSED.format(len(texts)))
        if entry.get("special") is True:
            kind = TokenType.CONTROL
        if types[token] not in (TokenType.UNKNOWN, TokenType.CONTROL):
            texts[token], types[token] = content, int(kind)
    metadata[PREFIX + "token_type"] = np.array(types, np.int32)
    metadata[PREFIX + "scores"] = np.array(scores, np.float32)


def _special_names(folder: Path, config: Metadata) -> dict[str, str]:
    """What the tokens of each role are called; tokenizer_config.json has the last word."""
    found = {}
    for source in (read_object(folder / "special_tokens_map.json"), config):
        for role in _ROLES:
            entry = source.get(f"{role}_token")
            name = entry.get("content") if isinstance(entry, dict) else entry
            if isinstance(name, str):
                found[role] = name
    return found


def _template_ids(document: Document | None, ids: dict[str, int]) -> tuple[int | None, int | None] | None:
    """The token that is put before a text and that behind it, or None where the tokenizer's file does not say.

    More than one on a side has no counterpart in GGUF, and is left to the chat template.
    """
    if document is None:
        return None
    names = document.template
    at = names.index(None) if None in names else len(names)
    before, behind = ([name for name in side if name] for side in (names[:at], names[at + 1 :]))
    first, last = (ids.get(side[0]) if len(side) == 1 else None for side in (before, behind))
    return first, last


def _add_roles(
    metadata: Metadata, roles: dict[str, int], template: tuple[int | None, int | None] | None
) -> None:
    """Put the ids of special tokens into `metadata`, and whether BOS and EOS are added."""
    for role, token in roles.items():
        metadata[f"{PREFIX}{_ROLES[role]}_token_id"] = token
    if template is not None:
        for name, added in zip(("bos", "eos"), template, strict=True):
            metadata[f"{PREFIX}add_{name}_token"] = added is not None
            if added is not None:
                metadata[f"{PREFIX}{name}_token_id"] = added


def _add_ends(metadata: Metadata, folder: Path, count: int) -> None:
    """Add BOS and EOS where no name was given, and the list of all tokens that end an answer."""
    import numpy as np

    config, generation = read_object(folder / "config.json"), read_object(folder / "generation_config.json")
    inner = config.get("text_config")
    for source in (generation, config, inner if isinstance(inner, dict) else {}):
        for name in ("bos", "eos", "pad"):
            first = next(_ids(source.get(f"{name}_token_id"), count), None)
            if first is not None:
                metadata.setdefault(f"{PREFIX}{_ROLES[name]}_token_id", first)
    named = generation if generation.get("eos_token_id") is not None else config
    ends = list(_ids(metadata.get(PREFIX + "eos_token_id"), count))
    ends += [token for token in _ids(named.get("eos_token_id"), count) if token not in ends]
    if ends:
        metadata[END_IDS] = np.array(sorted(ends), np.int32)
    if len(ends) > 1:
        metadata.setdefault(PREFIX + "eot_token_id", ends[1])


def _ids(value: object, count: int) -> Iterator[int]:
    """The token ids in a value that is one, a list of them, or neither."""
    for token in value if isinstance(value, list) else [value]:
        if type(token) is int and 0 <= token < count:
            yield token


def _pad(metadata: Metadata, vocab_size: int) -> None:
    """List ids up to `vocab_size` as unused."""
    import numpy as np

    texts = metadata[PREFIX + "tokens"]
    missing = min(vocab_size, MAX_TOKENS) - len(texts)
    if missing <= 0:
        return
    texts += [UNUSED.format(token) for token in range(len(texts), len(texts) + missing)]
    types = metadata[PREFIX + "token_type"]
    metadata[PREFIX + "token_type"] = np.concatenate([types, np.full(missing, TokenType.UNUSED, np.int32)])
    if PREFIX + "scores" in metadata:
        scores = metadata[PREFIX + "scores"]
        metadata[PREFIX + "scores"] = np.concatenate([scores, np.full(missing, -10000.0, np.float32)])
