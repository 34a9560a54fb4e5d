"""GGUF, the model files of the ggml world: metadata, tensor table, and tensor data mapped into memory.

    with open_gguf("model.gguf") as model:
        model.metadata["general.architecture"]        # 'llama'
        model.tensors["output_norm.weight"].shape     # (576,)
        model.data("output_norm.weight")              # uint8, read-only, no copy

The header is read into memory and never touched again, so only tensor data can suffer when somebody cuts
the file short while it is open: call `check_unchanged` before using the data of a file that others may
write to. In a big-endian file that data is big endian; `furet.files.gguf_endian.swapped` turns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from furet.errors import NotFound
from furet.files.gguf_header import Header, NeedMoreBytes, read_header
from furet.files.gguf_shards import check_shard, join_tensors, shard_names
from furet.files.gguf_values import Array, NumberArray, StringArray, Value, ValueType
from furet.files.gguf_writer import write_gguf
from furet.files.mapped import MappedFile, MappedTensors, close_all, map_file
from furet.files.tensor_file import ByteOrder, TensorInfo

__all__ = [
    "GGUF", "Array", "ByteOrder", "Header", "NeedMoreBytes", "NumberArray", "StringArray", "TensorInfo",
    "Value", "ValueType", "join_tensors", "open_gguf", "read_header", "shard_names", "write_gguf",
]  # fmt: skip

_FIRST_READ = 8 << 20  # bytes; holds the header of all but the largest vocabularies


class GGUF(MappedTensors):
    """An open model of one file or of several shards, made by `open_gguf`; threads may share it.

    metadata    of the first shard; arrays are decoded on access
    types       wire type of each metadata value
    tensors     of all shards
    alignment   of the first shard; all of them had theirs checked
    file_bytes  of all shards
    """

    def __init__(
        self,
        path: Path,
        files: Sequence[MappedFile],
        headers: Sequence[Header],
        tensors: Mapping[str, TensorInfo],
    ) -> None:
        super().__init__(path, files, tensors)
        first = headers[0]
        self.version = first.version
        self.byteorder = first.byteorder
        self.alignment = first.alignment
        self.header_bytes = sum(header.header_bytes for header in headers)
        self.metadata: Mapping[str, Value] = MappingProxyType(dict(first.metadata))
        self.types: Mapping[str, ValueType] = MappingProxyType(dict(first.types))


def open_gguf(path: str | Path) -> GGUF:
    """Open a GGUF file; given any shard of a split model, all of them.

    Raises NotFound when there is no such file or a shard is missing, ModelFileError when a file is malformed,
    UnsupportedModel when it is sound but holds something that this reader does not know.
    """
    path = Path(path)
    paths = [path.with_name(name) for name in shard_names(path.name)] if path.name else [path]
    files: list[MappedFile] = []
    headers: list[Header] = []
    try:
        for number, each in enumerate(paths):
            if each != path and not each.exists():
                raise _missing(each, path)
            files.append(map_file(each, "a GGUF file"))
            headers.append(_read_header(files[-1], number))
            check_shard(headers[-1], each)
        return GGUF(path, files, headers, join_tensors(headers, paths))
    except BaseException:
        close_all(files)
        raise


def _missing(shard: Path, path: Path) -> NotFound:
    says = f"{path}: the shard {shard.name} of this model is missing"
    return NotFound(says, "put all shards into one folder under their original names")


def _read_header(file: MappedFile, number: int) -> Header:
    wanted = _FIRST_READ
    while True:
        data = file.prefix(wanted)
        try:
            header = read_header(data, file.size, path=file.path, shard=number)
        except NeedMoreBytes as more:
            wanted = more.wanted
            continue
        del data[header.header_bytes :]
        return header
