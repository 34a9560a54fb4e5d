"""A folder as Hugging Face's library saves a model, seen as a GGUF file.

    config.json            -> metadata, by the words of its family
    *.safetensors, *.bin   -> tensors, by the table of its family
    tokenizer files        -> metadata, by `furet.text.from_files`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from furet.convert.seen import SeenModel, SeenTensor
from furet.errors import ModelFileError, NotFound, UnsupportedModel
from furet.families import find_model_type
from furet.families.fields import Fields
from furet.families.hugging_face import Words, read_json
from furet.families.reshape import HALVES, RESHAPES
from furet.families.tensors import Row, applying, layers, spelled

if TYPE_CHECKING:
    from furet.families.family import Family
    from furet.families.fields import Axis
    from furet.files.tensor_file import TensorFile

WEIGHTS = (
    "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin",
    "*.safetensors", "*.bin", "*.pt", "*.pth",
)  # fmt: skip

# Buffers that were saved with the weights, and that Hugging Face computes anew.
LEFT_OUT = (
    "rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias",
    "position_ids", "self_attn.rotary_emb.*",
)  # fmt: skip


def open_folder(folder: Path, *, tokenizer: bool = True) -> SeenModel:
    """The model in a folder.

    tokenizer   False leaves the tokenizer's files alone
    raises      NotFound for a folder without configuration or weights; ModelFileError, UnsupportedModel
    """
    if not (folder / "config.json").is_file():
        hint = "a model's folder holds config.json, weights and a tokenizer; or name a .gguf file"
        raise NotFound(f"{folder}: no config.json", hint)
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise ModelFileError("wanted the name of a family", path=folder / "config.json", field="model_type")
    family = find_model_type(model_type)
    words = Words(_of_text(config), family.words, folder / "config.json")
    keys, made = family.metadata(words), family.made(words)
    words.close()
    architecture = family.architectures[0]
    metadata: dict[str, Any] = {"general.architecture": architecture, "general.name": _name(config, folder)}
    metadata |= {_full(architecture, key): _as_stored(value) for key, value in keys.items()}
    fields = Fields(metadata, architecture, family.ignored, folder)
    family.read_config(fields)
    if tokenizer:
        from furet.text.from_files import metadata_from_folder

        metadata |= metadata_from_folder(folder, vocab_size=fields.axes["V"].size)
    file = open_weights(folder)
    try:
        tensors = _tensors(family, fields, file, tied=config.get("tie_word_embeddings") is True)
    except BaseException:
        file.close()
        raise
    tensors |= {name: SeenTensor.of_values(name, values) for name, values in made.items()}
    return SeenModel(folder, MappingProxyType(metadata), MappingProxyType(tensors), file)


def open_weights(folder: Path) -> TensorFile:
    """The tensors of a folder, safetensors before torch's own format; all shards of a split model."""
    path = find_weights(folder)
    if path is None:
        raise NotFound(f"{folder}: no weights", "wanted model.safetensors, pytorch_model.bin or shards of one of them")
    return open_tensors(path)


def find_weights(folder: Path) -> Path | None:
    """The index, file or first shard that holds a folder's tensors."""
    found = (sorted(folder.glob(pattern)) for pattern in WEIGHTS)
    return next((paths[0] for paths in found if paths), None)


def open_tensors(path: Path) -> TensorFile:
    """A safetensors file or torch checkpoint; the index of either."""
    from furet.files.kind import kind_of

    if ".safetensors" in path.name or kind_of(path).name == "safetensors":
        from furet.files.safetensors import open_safetensors

        return open_safetensors(path)
    from furet.files.torch_file import open_torch

    return open_torch(path)


def _full(architecture: str, key: str) -> str:
    """A family's key as it stands in a file; those of the tokenizer have a name of their own."""
    return key if key.startswith("tokenizer.") else f"{architecture}.{key}"


def _as_stored(value: object) -> object:
    """A number as a GGUF file holds it, so that the file gives the same answers as the folder."""
    return float(np.float32(value)) if isinstance(value, float) else value


def _of_text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of the part for text, of a model that sees images too; else the whole."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) else config


def _name(config: Mapping[str, Any], folder: Path) -> str:
    name = config.get("_name_or_path")
    return str(name)[:200] if isinstance(name, str) and name else folder.resolve().name


def _tensors(family: type[Family], fields: Fields, file: TensorFile, *, tied: bool) -> dict[str, SeenTensor]:
    """The tensors of the file under the names of the family's table; every one is used, or known as a buffer."""
    names = _Names(file)
    found: dict[str, SeenTensor] = {}
    for row in applying(family.tensors, fields.axes):
        for i in range(layers(fields.axes, row.group)) if row.per_layer else [0]:
            parts = names.take(row, i, fields.axes)
            if row.name == "output.weight":
                # A tied head is the embedding: left out or, where every file of a family has one, named second.
                own, copy = row.hugging_face[:1], row.hugging_face[1:]
                parts = names.take(replace(row, hugging_face=copy if tied else own), i, fields.axes)
            if parts:
                name = row.name.format(i=i)
                found[name] = _seen(family, row, i, name, parts, fields, file)
            elif row.hugging_face and not row.optional:
                raise ModelFileError(
                    "is missing", "the folder is incomplete, or of a variant not known here",
                    path=file.path, field=f"tensor {spelled(row.hugging_face[0], i, fields.axes)[0]}",
                )  # fmt: skip
    names.close(fields, family.left_out)
    return found


class _Names:
    """The tensors of a file by the names that tables use, and which of them were not taken yet.

    A checkpoint of the model without its head lacks the first part of every name, such as `transformer.`; that of a
    model that sees images too has `language_model.` in it.
    """

    def __init__(self, file: TensorFile) -> None:
        self._file = file
        self._left = set(file.tensors)
        self._stored = {name.replace("language_model.", "", 1): name for name in file.tensors}

    def take(self, row: Row, layer: int, axes: Mapping[str, Axis]) -> list[str]:
        """The tensors that make up one of the table; none when the first is missing."""
        for pattern in row.hugging_face:
            wanted = spelled(pattern, layer, axes)
            for names in (wanted, [name.partition(".")[2] for name in wanted]):
                if names[0] in self._stored:
                    return [self._take(name) for name in names]
        return []

    def close(self, fields: Fields, left_out: tuple[str, ...]) -> None:
        """Raise UnsupportedModel for tensors that nobody took."""
        patterns = (*LEFT_OUT, *left_out)
        left = sorted(n for n in self._left if not any(fnmatchcase(f".{n}", f"*.{one}") for one in patterns))
        if left:
            more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
            shape, count = list(self._file.tensors[left[0]].shape), fields.axes["L"]
            raise fields.unsupported(
                f"tensor {left[0][:80]} {shape}{more} has no place in a {fields.architecture} model",
                hint=f"{count.origin} counts {count.size} layers; or it is a variant not known here",
            )

    def _take(self, name: str) -> str:
        if name not in self._stored:
            raise ModelFileError("is missing", path=self._file.path, field=f"tensor {name}")
        self._left.discard(self._stored[name])
        return self._stored[name]


def _stored_shape(row: Row, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that Hugging Face stores a tensor of this shape in."""
    if row.reshape in HALVES:
        return 2 * shape[0], *shape[1:]
    return shape[::-1] if row.reshape == "transposed" else shape


def _seen(
    family: type[Family], row: Row, layer: int, name: str, parts: list[str], fields: Fields, file: TensorFile
) -> SeenTensor:
    """One tensor of the table over those of the file, whose shape was checked."""
    shape = row.sizes(fields.axes, layer)
    each = _stored_shape(row, shape[1:] if len(parts) > 1 else shape)
    for part in parts:
        got = file.tensors[part].shape
        if prod(got) != prod(each) if row.reshape == "flat" else got != each:
            letters = ", ".join(f"{a} = {axis.shown}" for a, axis in fields.axes.items())
            raise ModelFileError(
                f"is {list(got)}, wanted {list(each)}: {' '.join(row.shape)} with {letters}",
                "config.json and weights disagree: they are of two models, or damaged",
                path=file.path,
                field=f"tensor {part}",
            )
    how = family.reshapes.get(row.reshape) or RESHAPES.get(row.reshape)
    assert how or not row.reshape, f"{name}: no way of reshaping is called {row.reshape}"
    axis = fields.axes[row.axis].at(layer) if row.axis else 1
    infos = [file.tensors[part] for part in parts]
    try:
        return SeenTensor.of_parts(row, name, shape, infos, how, axis)
    except ValueError as error:
        raise UnsupportedModel(f"{file.path}: tensor {parts[0]}: {error}") from None
