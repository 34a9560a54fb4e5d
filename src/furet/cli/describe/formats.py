"""One function per format: what a file or folder of it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from furet.cli.describe.model import model_facts, plain, stored_tensors, tensor_list
from furet.cli.describe.oddities import CANNOT_RUN, odd_layout, oddities
from furet.errors import FuretError

if TYPE_CHECKING:
    from furet.cli.describe import Description
    from furet.files.tensor_file import TensorFile
    from furet.ops import Tensor

ADAPTER = ".lora_"  # in the names of tensors that only change those of another model


@dataclass
class Seen:
    """A model in GGUF's vocabulary, as far as it could be seen; what `furet.ops.Header` asks for.

    origins     where a tensor comes from: names in the file
    odd         why there is no more of it
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


def gguf(path: Path) -> Description:
    """A GGUF file, of any version and either byte order, perhaps in several files."""
    from furet.files.gguf import open_gguf

    with open_gguf(path) as file:
        return {
            **_facts(file, f"GGUF version {file.version}, {file.byteorder} endian", len(file.paths)),
            **model_facts(file, path),
            "metadata_types": {key: kind.name.lower() for key, kind in file.types.items()},
            "tensors": stored_tensors(file),
            "odd": [*oddities(file), *odd_layout(file)],
        }


def folder(path: Path) -> Description:
    """A folder as Hugging Face's library saves them: its own words, and the GGUF file that it would be."""
    from furet.convert.hugging_face import open_weights
    from furet.families.hugging_face import read_json

    config = read_json(path / "config.json")
    seen = _seen_folder(path)
    with _closing(open_weights(path)) as file:
        taken = {part for parts in seen.origins.values() for part in parts}
        left = sorted(set(file.tensors) - taken) if taken else []
        return {
            **_facts(file, f"a folder of Hugging Face, {_kind(file)}", len(_paths(file))),
            "path": str(path),
            "model_type": plain(config.get("model_type")),
            **model_facts(seen, path, file),
            "config": plain(config),
            "tensors": tensor_list(seen, seen.origins) if seen.tensors else stored_tensors(file),
            "stored": stored_tensors(file),
            "left_out": left,
            "odd": [*seen.odd, *oddities(seen)],
        }


def weights(path: Path) -> Description:
    """Tensors alone: safetensors or a torch checkpoint without a configuration."""
    from furet.convert.hugging_face import open_tensors

    with _closing(open_tensors(path)) as file:
        beside = {name: (path.parent / name).is_file() for name in ("tokenizer.json", "tokenizer.model")}
        missing = ["config.json", *(() if any(beside.values()) else ("tokenizer.json or tokenizer.model",))]
        odd = f"{CANNOT_RUN}{' and '.join(missing)} of the same model must lie in its folder"
        if any(ADAPTER in name for name in file.tensors):
            missing, odd = ["the model that it adapts"], f"{CANNOT_RUN}this is an adapter (LoRA), not a whole model"
        return {
            **_facts(file, f"{_kind(file)}, tensors alone", len(_paths(file))),
            **model_facts(Seen(), path, file),
            "missing": missing,
            "file_metadata": plain(dict(getattr(file, "metadata", {}))),
            "tensors": stored_tensors(file),
            "odd": [odd],
        }


def old_ggml(path: Path) -> Description:
    """A file of the generations before GGUF, and the GGUF file that it would be."""
    from furet.files.ggml import open_ggml

    with open_ggml(path) as file:
        seen = _seen_old(file)
        odd = [f"{len(file.widened)} tensors become F32: no type of today holds their values"] if file.widened else []
        return {
            **_facts(file, f"GGML, {file.generation}", len(file.paths)),
            "written_for": f"{file.architecture}{f', {file.variant}' if file.variant else ''}",
            **model_facts(seen, path, file),
            "header": dict(file.header),
            "vocabulary": len(file.vocabulary),
            "tensors": tensor_list(seen, seen.origins) if seen.tensors else stored_tensors(file),
            "stored": [
                {"name": name, "type": each.block.name, "shape": list(file.tensors[name].shape)}
                for name, each in file.stored.items()
            ],
            "odd": [*seen.odd, *oddities(seen), *odd],
        }


def _seen_folder(path: Path) -> Seen:
    """The folder as a GGUF file, and its tokenizer even if the model is of no family that is known."""
    from furet.convert.hugging_face import open_folder
    from furet.text.from_files import metadata_from_folder

    seen = Seen()
    try:
        with open_folder(path, tokenizer=False) as model:
            seen.metadata, seen.tensors = model.metadata, model.tensors
            seen.origins = {name: tensor.parts for name, tensor in model.tensors.items()}
    except FuretError as error:
        seen.odd.append(f"{CANNOT_RUN}{error.message}")
    size = seen.metadata.get(f"{seen.metadata.get('general.architecture')}.vocab_size")
    try:
        seen.metadata = {**seen.metadata, **metadata_from_folder(path, size)}
    except FuretError as error:
        seen.odd.append(f"tokenizer: {error.message}")
    return seen


def _seen_old(file: Any) -> Seen:
    """The file as a GGUF file, unless its header is of no model that there could be."""
    from furet.convert.old_ggml import as_gguf
    from furet.convert.old_ggml_names import gguf_name

    try:
        model = as_gguf(file)
    except FuretError as error:
        return Seen(odd=[f"{CANNOT_RUN}{error.message}"])
    origins = {gguf_name(file.architecture, name)[0]: (name,) for name in file.tensors}
    return Seen(model.metadata, model.tensors, origins)


def _facts(file: TensorFile, kind: str, files: int) -> Description:
    return {"path": str(file.path), "format": kind, "files": files, "bytes": file.file_bytes}


def _kind(file: TensorFile) -> str:
    return "safetensors" if type(file).__name__ == "SafeTensors" else "a PyTorch checkpoint"


def _paths(file: Any) -> tuple[Path, ...]:
    return tuple(file.paths)


@contextmanager
def _closing(file: TensorFile) -> Iterator[TensorFile]:
    try:
        yield file
    finally:
        file.close()
