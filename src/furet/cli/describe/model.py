"""What every model has: a name, a family, a size, a tokenizer, a way of talking; and its tensors as lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from furet.cli.describe.oddities import why_not
from furet.errors import FuretError

if TYPE_CHECKING:
    from furet.cli.describe import Description
    from furet.files.tensor_file import TensorFile
    from furet.ops import Header, Tensor

HEAD = 8  # elements of a long array that are shown
LONGEST = 20_000  # characters of a text that are kept
DEEPEST = 6  # tables within tables
_PREFIX = "tokenizer.ggml."


def model_facts(model: Header, path: Path, file: TensorFile | None = None) -> Description:
    """What a model in GGUF's vocabulary says of itself.

    file    holds its tensors, where the model has none to count
    """
    metadata = model.metadata
    counted = model.tensors or (file.tensors if file else {})
    facts: Description = {
        "name": plain(metadata.get("general.name")),
        "architecture": plain(metadata.get("general.architecture")),
        "family": _family(metadata),
        "runs": not why_not(model) and bool(model.tensors),
        "parameters": sum(prod(tensor.shape) for tensor in counted.values()),
    }
    if metadata:
        facts["chat"] = _chat(metadata, path)
        facts["tokenizer"] = _tokenizer(metadata)
        facts["chat_template"] = metadata.get("tokenizer.chat_template")
        facts["metadata"] = {key: plain(value) for key, value in metadata.items()}
    return facts


def stored_tensors(file: TensorFile) -> list[Description]:
    """Every tensor as it lies in its file."""
    return [
        {
            "name": tensor.name,
            "type": tensor.type.name,
            "shape": list(tensor.shape),
            "bytes": tensor.nbytes,
            "offset": tensor.offset,
            "shard": tensor.shard,
        }
        for tensor in file.tensors.values()
    ]


def tensor_list(model: Header, origins: Mapping[str, tuple[str, ...]]) -> list[Description]:
    """Every tensor under GGUF's name, and the names in the file of what it is made from."""
    return [
        {
            "name": name,
            "type": tensor.type.name,
            "shape": list(tensor.shape),
            "bytes": _nbytes(tensor),
            "from": list(origins.get(name, ())),
        }
        for name, tensor in model.tensors.items()
    ]


def plain(value: Any, depth: int = 0) -> Any:
    """A value of a file as JSON; of a long array or text its length and beginning."""
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()  # a number of an array
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= LONGEST else {"length": len(value), "first": value[:HEAD]}
    if value is None or isinstance(value, int):
        return value
    if depth == DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    if len(value) <= HEAD:
        return [plain(value[i], depth + 1) for i in range(len(value))]
    return {"length": len(value), "first": [plain(value[i], depth + 1) for i in range(HEAD)]}


def _nbytes(tensor: Tensor) -> int:
    return prod(tensor.shape[:-1]) * tensor.type.row_bytes(tensor.shape[-1])


def _family(metadata: Mapping[str, Any]) -> str | None:
    """The file of the family in `furet.families`, if there is one for the model."""
    from furet.families import find_family

    try:
        return find_family(str(metadata.get("general.architecture"))).__module__.rpartition(".")[2]
    except FuretError:
        return None


def _tokenizer(metadata: Mapping[str, Any]) -> Description:
    """What the metadata says of it, with the text of the special tokens and of those that end an answer."""
    tokens = metadata.get(f"{_PREFIX}tokens")
    known: Description = {
        key: metadata.get(_PREFIX + key) for key in ("model", "pre", "add_bos_token", "add_eos_token")
    }
    for key in ("tokens", "merges"):
        known[key] = _length(metadata.get(_PREFIX + key))
    for key, value in metadata.items():
        if key.startswith(_PREFIX) and key.endswith("_token_id") and isinstance(value, int) and value >= 0:
            known[key.removeprefix(_PREFIX)] = {"id": value, "text": _text(tokens, value)}
    known["stops"] = [{"id": token, "text": _text(tokens, token)} for token in _stops(metadata, tokens)]
    return known


def _stops(metadata: Mapping[str, Any], tokens: Any) -> list[int]:
    """The tokens that end an answer: those that the file names, and those whose text says so."""
    from furet.text.stops import likely_stops, named_stops

    count = _length(tokens)
    if not count:
        return []
    try:
        named = named_stops(metadata, count)
    except FuretError:
        named = set()  # an oddity says why
    return sorted(named | likely_stops(dict(_texts(tokens))))


def _texts(tokens: Any) -> Iterator[tuple[str, int]]:
    return ((text, token) for token, text in enumerate(tokens) if isinstance(text, str))


def _chat(metadata: Mapping[str, Any], path: Path) -> str:
    """How a conversation with it would be written."""
    from furet.chat.formats import names_of, suggest_preset
    from furet.families import find_family
    from furet.text.template_files import templates_in_metadata

    try:
        if find_family(str(metadata.get("general.architecture"))).kind == "encoder":
            return "none: it embeds texts"
    except FuretError:
        pass  # a family that is not known here may well talk
    try:
        if templates := templates_in_metadata(metadata):
            return "by its own template" if len(templates) == 1 else f"by its own templates: {', '.join(templates)}"
    except FuretError as error:
        return f"no usable template: {error.message}"
    tokens = metadata.get(f"{_PREFIX}tokens")
    texts = dict(_texts(tokens)) if _length(tokens) else {}
    preset, sign = suggest_preset(texts.__contains__, f"{names_of(metadata)} {path.stem}")
    why = f"its {sign} suggest{'s' if sign == 'name' else ''} it" if sign else "nothing suggests another"
    return f"by the preset {preset.name!r}: it has no template, and {why}"


def _text(tokens: Any, token: int) -> str | None:
    return str(tokens[token]) if _length(tokens) and token < len(tokens) else None


def _length(value: Any) -> int | None:
    return len(value) if hasattr(value, "__len__") and not isinstance(value, str) else None
