"""Which files a model split by Hugging Face's tools consists of: `model.safetensors.index.json` and its like.

    {"metadata": {...}, "weight_map": {tensor name: file name, ...}}

The files lie beside the index and are called name-00001-of-00003.safetensors and so on, by convention only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from furet.errors import ModelFileError, NotFound
from furet.files.mapped import MappedFile, map_file
from furet.files.tensor_file import TensorInfo

MAX_INDEX = 12 << 20  # bytes; 65,536 tensors with long names
MAX_ITEMS = 300_000  # commas, colons and brackets
MAX_SHARDS = 256
MAX_FILE_NAME = 255

_SHARD = re.compile(r"(?P<stem>.+)(?P<dash>[-_])(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<suffix>\.[a-z]+)")
_ENDING = ".index.json"
_DAMAGED = "the index is damaged: download it again"
_MIXED = "index and shards are not of the same model; get them again"


@dataclass(frozen=True)
class Shards:
    """The files of a model, in order, and, when an index says so, which of them has which tensor."""

    paths: Sequence[Path]
    index: Path | None
    weight_map: Mapping[str, str] | None


def shards_of(path: Path) -> Shards:
    """All files of the model that `path` is the index, a shard, or the whole of.

    A shard without an index beside it has its fellows found by their names.
    """
    if path.name.endswith(_ENDING):
        return _indexed(path)
    match = _SHARD.fullmatch(path.name)
    if not match:
        return Shards([path], None, None)
    index = path.with_name(match["stem"] + match["suffix"] + _ENDING)
    if index.is_file():
        shards = _indexed(index)
        if path in shards.paths:
            return shards
    count = int(match["count"])
    if not 1 <= int(match["number"]) <= count <= MAX_SHARDS:
        says = f"shard {int(match['number'])} of {count}; wanted 1 to {MAX_SHARDS}"
        raise ModelFileError(says, "give the file its original name", path=path)
    stem, suffix = match["stem"] + match["dash"], match["suffix"]
    names = [f"{stem}{each:05}-of-{count:05}{suffix}" for each in range(1, count + 1)]
    return Shards([path.with_name(name) for name in names], None, None)


def open_shard(path: Path, asked: Path, wanted: str) -> MappedFile:
    """Open one of several files; NotFound names the one that is missing."""
    if path != asked and not path.exists():
        says = f"{asked}: the shard {path.name} of this model is missing"
        raise NotFound(says, "put all shards into one folder under their original names")
    return map_file(path, wanted)


def joined(shards: Shards, tables: Iterable[Mapping[str, TensorInfo]]) -> dict[str, TensorInfo]:
    """The tensors of all shards; none occurs twice, and all are where the index says."""
    tensors: dict[str, TensorInfo] = {}
    for path, table in zip(shards.paths, tables, strict=True):
        for name, tensor in table.items():
            field = f"tensor {name}"
            if name in tensors:
                raise ModelFileError("an earlier shard has this tensor too", _MIXED, path=path, field=field)
            listed = path.name if shards.weight_map is None else shards.weight_map.get(name)
            if listed != path.name:
                where = f"in {listed}" if listed else "nowhere"
                says = f"the index has this tensor {where}"
                raise ModelFileError(says, _MIXED, path=path, field=field)
            tensors[name] = tensor
    for name, file in (shards.weight_map or {}).items():
        if name not in tensors:
            says = f"the index has it in {file}, which does not hold it"
            raise ModelFileError(says, _MIXED, path=shards.index, field=f"tensor {name}")
    return tensors


def _indexed(index: Path) -> Shards:
    weight_map = read_index(index)
    files = sorted(set(weight_map.values()))
    if len(files) > MAX_SHARDS:
        raise ModelFileError(f"{len(files)} shards, at most {MAX_SHARDS} are supported", path=index)
    return Shards([index.with_name(name) for name in files], index, weight_map)


def read_index(path: Path) -> Mapping[str, str]:
    """The weight map of an index: tensor name -> name of a file in the same folder.

    Raises NotFound, or ModelFileError for anything that is not such an index.
    """
    file = map_file(path, "an index of shards")
    try:
        data = _bounded(file)
    finally:
        file.close()
    try:
        index = json.loads(data.decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        says = f"is not an index in JSON: {str(error)[:120]}"
        raise ModelFileError(says, _DAMAGED, path=path) from None
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        says = "is no object with names of files in it"
        raise ModelFileError(says, _DAMAGED, path=path, field="weight_map")
    for name, target in weight_map.items():
        if not isinstance(target, str) or not _is_file_name(target):
            says = f"{target!r:.60} is not the name of a file beside the index"
            raise ModelFileError(says, _DAMAGED, path=path, field=f"weight_map: {name[:60]!r}")
    return weight_map


def _bounded(file: MappedFile) -> bytearray:
    """The text of an index that cannot grow beyond measure when it is read as JSON."""
    if file.size > MAX_INDEX:
        says = f"an index of {file.size} bytes, at most {MAX_INDEX} are allowed"
        raise ModelFileError(says, _DAMAGED, path=file.path)
    data = file.prefix(MAX_INDEX)
    if sum(map(data.count, (b",", b":", b"{", b"["))) > MAX_ITEMS:
        raise ModelFileError(f"more than {MAX_ITEMS} entries", _DAMAGED, path=file.path)
    return data


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:60]!r} occurs twice")
    return result


def _is_file_name(name: str) -> bool:
    """One component of a path, and nothing that leads elsewhere on any system."""
    plain = 0 < len(name) <= MAX_FILE_NAME and name.isprintable() and not set('/\\:*?"<>|') & set(name)
    return plain and not name.startswith(".") and not name.endswith((".", " "))
