"""What a model's file says of itself, in Ollama's words. Headers are read, no weights, and no model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from furet.errors import FuretError

if TYPE_CHECKING:
    from furet.convert import ModelFile

LONGEST_TEXT = 200_000  # characters of one value that are shown
MOST_VALUES = 1_000_000  # of all arrays together
_SIZES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


@dataclass(frozen=True)
class Details:
    """A model in a few words.

    format      "gguf", or "checkpoint" for a folder as Hugging Face's library saves them
    family      its architecture
    kind        "decoder", "encoder" or "answer", as `furet.engine.Model` has it; None when furet does not run it
    parameters  how many
    level       how its weights are stored, as its file's name says, else the type of most of them
    context     tokens that it was trained for
    """

    format: str = ""
    family: str = ""
    kind: str | None = None
    parameters: int = 0
    level: str = ""
    context: int = 0

    def shown(self) -> dict[str, Any]:
        """As clients read it."""
        return {
            "parent_model": "",
            "format": self.format,
            "family": self.family,
            "families": [self.family],
            "parameter_size": human(self.parameters),
            "quantization_level": self.level,
        }


@dataclass(frozen=True)
class Card:
    """A model at length; `metadata` is that of its file, bounded."""

    details: Details
    template: str
    license: str
    metadata: dict[str, Any]


def details_of(path: Path) -> Details:
    """A model's details; nothing but blanks for a file that cannot be read."""
    try:
        stat = path.stat()
        return _details(path, stat.st_mtime_ns, stat.st_size)
    except (FuretError, OSError):
        return Details()


def read_card(path: Path, *, verbose: bool = False) -> Card:
    """All there is to show of a model; verbose: with the values of arrays, as many as are bearable.

    raises  ModelFileError, UnsupportedModel, NotFound
    """
    from furet.convert import open_model

    with open_model(path) as model:
        metadata = model.metadata
        return Card(
            _summary(model, path),
            _text(metadata.get("tokenizer.chat_template")),
            _text(metadata.get("general.license")),
            _bounded(metadata, verbose),
        )


def human(count: int) -> str:
    """A number of parameters, to three digits: 134.5M."""
    for size, letter in _SIZES:
        if count >= size:
            return f"{count / size:.4g}{letter}"
    return str(count)


@lru_cache(maxsize=256)
def _details(path: Path, modified: int, size: int) -> Details:
    from furet.convert import open_model

    with open_model(path) as model:
        return _summary(model, path)


def _summary(model: ModelFile, path: Path) -> Details:
    from furet.files.store.variants import encoding

    metadata, tensors = model.metadata, model.tensors.values()
    family = _text(metadata.get("general.architecture"))
    weights: Counter[str] = Counter()
    for tensor in tensors:
        weights[tensor.type.name] += prod(tensor.shape)
    context = metadata.get(f"{family}.context_length", 0)
    return Details(
        format="checkpoint" if path.is_dir() else "gguf",
        family=family,
        kind=_kind(family),
        parameters=weights.total(),
        level=encoding(path.name) or (weights.most_common(1)[0][0] if weights else ""),
        context=context if isinstance(context, int) else 0,
    )


def _kind(family: str) -> str | None:
    from furet.families import find_family

    try:
        return find_family(family).kind
    except FuretError:
        return None


def _bounded(metadata: Mapping[str, Any], verbose: bool) -> dict[str, Any]:
    """Values as JSON; an array is null unless the caller wants to see them all, as Ollama's clients expect."""
    left = MOST_VALUES if verbose else 0
    found: dict[str, Any] = {}
    for key, value in metadata.items():
        if isinstance(value, str) or not hasattr(value, "__len__"):
            found[key] = _scalar(value)
        elif len(value) > left:
            found[key] = None
        else:
            left -= len(value)
            found[key] = [_scalar(each) for each in value]
    return found


def _scalar(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)[:LONGEST_TEXT]


def _text(value: Any) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""
