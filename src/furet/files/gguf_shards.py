"""Models split over several GGUF files: name-00001-of-00003.gguf and so on.

Every shard says which one it is (`split.no`, from 0), how many there are (`split.count`) and how many tensors
they hold together (`split.tensors.count`). The first shard has the model's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from furet.errors import ModelFileError
from furet.files.gguf_header import Header
from furet.files.tensor_file import TensorInfo

MAX_SHARDS = 256  # each holds file descriptors; models of 1.5 TB come in some 30

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf")
_RENAME = "give the file its original name, or get the file again"
_MIXED = "the shards are not of the same model; get them again"


def shard_names(name: str) -> list[str]:
    """The names of all shards of the model that a file called `name` belongs to; [name] when it is whole."""
    match = _NAME.fullmatch(name)
    count = int(match["count"]) if match else 1
    if match is None or count < 2:
        return [name]
    if count > MAX_SHARDS:
        raise ModelFileError(f"{count} shards, at most {MAX_SHARDS} are supported", _RENAME, path=name)
    return [f"{match['stem']}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]


def check_shard(header: Header, path: Path) -> None:
    """Compare what a file says about being a shard with its name."""
    count = _number(header, path, "split.count", 1)
    names = shard_names(path.name)
    if max(count, 1) != len(names):
        says = f"the file says that it is one of {count}, its name that it is one of {len(names)}"
        raise ModelFileError(says, _RENAME, path=path, field="split.count")
    number = _number(header, path, "split.no", 0)
    if len(names) > 1 and names[number : number + 1] != [path.name]:
        says = f"the file says that it is shard {number + 1}, its name says something else"
        raise ModelFileError(says, _RENAME, path=path, field="split.no")


def join_tensors(headers: Sequence[Header], paths: Sequence[Path]) -> Mapping[str, TensorInfo]:
    """The tensor tables of all shards as one; `split.tensors.count`, names and byte order are checked."""
    tensors: dict[str, TensorInfo] = {}
    for header, path in zip(headers, paths, strict=True):
        if header.byteorder != headers[0].byteorder:
            says = f"{header.byteorder} endian, the first shard is {headers[0].byteorder} endian"
            raise ModelFileError(says, _MIXED, path=path)
        twice = sorted(tensors.keys() & header.tensors.keys())
        if twice:
            says = "an earlier shard has this tensor too"
            raise ModelFileError(says, _MIXED, path=path, field=f"tensor {twice[0]}")
        tensors.update(header.tensors)
    wanted = _number(headers[0], paths[0], "split.tensors.count", len(tensors))
    if wanted != len(tensors):
        says = f"{wanted} tensors announced, the shards hold {len(tensors)}"
        raise ModelFileError(says, _MIXED, path=paths[0], field="split.tensors.count")
    return tensors


def _number(header: Header, path: Path, key: str, default: int) -> int:
    value = header.metadata.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ModelFileError(f"is {value!r:.40}, wanted a count", _RENAME, path=path, field=key)
    return value
