"""safetensors, the model files of Hugging Face's tools: a JSON table and tensor data mapped into memory.

    with open_safetensors("model.safetensors") as model:
        model.tensors["model.norm.weight"].shape     # (576,)
        model.data("model.norm.weight")              # uint8, read-only, no copy
        model.metadata                               # {'format': 'pt'}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from furet.errors import ModelFileError
from furet.files.kind import kind_of_bytes
from furet.files.mapped import MappedFile, MappedTensors, close_all
from furet.files.safetensors_header import SafeHeader, header_length, read_header
from furet.files.shard_index import joined, open_shard, shards_of
from furet.files.tensor_file import TensorInfo

__all__ = ["SafeTensors", "open_safetensors"]


class SafeTensors(MappedTensors):
    """An open model of one file or of several shards, made by `open_safetensors`; threads may share it.

    metadata    what the first file says of itself, text to text
    """

    def __init__(
        self,
        path: Path,
        files: Sequence[MappedFile],
        metadata: Mapping[str, str],
        tensors: Mapping[str, TensorInfo],
    ) -> None:
        super().__init__(path, files, tensors)
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata))


def open_safetensors(path: str | Path) -> SafeTensors:
    """Open a safetensors file; given an index or any shard of a split model, all of its files.

    Raises NotFound when there is no such file or a shard is missing, ModelFileError when a file is malformed,
    UnsupportedModel when a tensor has an element type that furet does not know.
    """
    path = Path(path)
    shards = shards_of(path)
    files: list[MappedFile] = []
    headers: list[SafeHeader] = []
    try:
        for number, each in enumerate(shards.paths):
            files.append(open_shard(each, path, "a safetensors file"))
            headers.append(_read_header(files[-1], number))
        tensors = joined(shards, [header.tensors for header in headers])
        return SafeTensors(path, files, headers[0].metadata, tensors)
    except BaseException:
        close_all(files)
        raise


def _read_header(file: MappedFile, shard: int) -> SafeHeader:
    start = file.prefix(512)
    if start[8:9] != b"{":
        kind = kind_of_bytes(start, file.size, file.path.name)
        if kind.name not in ("unknown", "safetensors"):
            raise ModelFileError(f"{kind.says}; wanted a safetensors file", kind.hint, path=file.path)
    return read_header(
        file.prefix(header_length(start, file.size, file.path)), file.size, path=file.path, shard=shard
    )
