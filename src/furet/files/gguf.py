"""GGUF, the model files of the ggml world: metadata, tensor table, and tensor data mapped into memory.

    with open_gguf("model.gguf") as model:
        model.metadata["general.architecture"]        # 'llama'
        model.tensors["output_norm.weight"].shape     # (576,)
        model.data("output_norm.weight")              # uint8, read-only, no copy

The header is read into memory and never touched again, so only tensor data can suffer when somebody cuts
the file short while it is open. Reading a mapped page that no longer exists kills the process, whatever the
language: call `check_unchanged` before using the data of a file that others may write to.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from furet.errors import ModelFileError, NotFound
from furet.files.gguf_header import Header, NeedMoreBytes, TensorInfo, read_header
from furet.files.gguf_shards import check_shard, join_tensors, shard_names
from furet.files.gguf_values import Array, ByteOrder, NumberArray, StringArray, Value, ValueType
from furet.files.gguf_writer import write_gguf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "GGUF", "Array", "ByteOrder", "Header", "NeedMoreBytes", "NumberArray", "StringArray", "TensorInfo",
    "Value", "ValueType", "join_tensors", "open_gguf", "read_header", "shard_names", "write_gguf",
]  # fmt: skip

_FIRST_READ = 8 << 20  # bytes; holds the header of all but the largest vocabularies


@dataclass(frozen=True)
class _Shard:
    path: Path
    file: BinaryIO
    mapped: mmap.mmap
    header: Header
    stamp: tuple[int, int]  # size and modification time when it was opened


class GGUF:
    """An open model of one file or of several shards, made by `open_gguf`; threads may share it.

    metadata    of the first shard; arrays are decoded on access
    types       wire type of each metadata value
    tensors     of all shards
    alignment   of the first shard; all of them had theirs checked
    file_bytes  of all shards
    """

    def __init__(self, path: Path, shards: list[_Shard], tensors: Mapping[str, TensorInfo]) -> None:
        first = shards[0].header
        self.path = path
        self.version = first.version
        self.byteorder: ByteOrder = first.byteorder
        self.alignment = first.alignment
        self.header_bytes = sum(shard.header.header_bytes for shard in shards)
        self.file_bytes = sum(shard.header.file_bytes for shard in shards)
        self.metadata: Mapping[str, Value] = MappingProxyType(dict(first.metadata))
        self.types: Mapping[str, ValueType] = MappingProxyType(dict(first.types))
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(dict(tensors))
        self.paths = tuple(shard.path for shard in shards)
        self._shards = shards

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor as they lie in the file, [nbytes], read-only, without a copy.

        In a big-endian file they are big endian; `furet.files.gguf_endian.swapped` turns them.
        Raises KeyError for an unknown name, ModelFileError when the file has changed since it was opened.
        """
        import numpy as np

        tensor = self.tensors[name]
        shard = self._shards[tensor.shard]
        _check_unchanged(shard)
        return np.frombuffer(shard.mapped, np.uint8, tensor.nbytes, tensor.offset)

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back; its data stays readable, from the file again."""
        tensor = self.tensors[name]
        mapped = self._shards[tensor.shard].mapped
        first = tensor.offset // mmap.PAGESIZE * mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED, first, tensor.offset + tensor.nbytes - first)

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on, without touching the mapping.

        A few bytes read through the mapping may make megabytes around them count as this process's memory.
        Raises ModelFileError when the file was cut short.
        """
        tensor = self.tensors[name]
        shard = self._shards[tensor.shard]
        assert offset + len(out) <= tensor.nbytes, f"{name} ends before byte {offset + len(out)}"
        if not hasattr(os, "preadv"):
            out[:] = shard.mapped[tensor.offset + offset : tensor.offset + offset + len(out)]
        elif os.preadv(shard.file.fileno(), [out], tensor.offset + offset) != len(out):
            raise _cut_short(shard.path)

    def check_unchanged(self) -> None:
        """Raise ModelFileError when a file was cut short or written to since it was opened (microseconds).

        Replacing the file by renaming another over it is harmless: the old one lives on until it is closed.
        """
        for shard in self._shards:
            _check_unchanged(shard)

    def close(self) -> None:
        """Give the files back; arrays taken from `data` stay valid, and their mapping with them."""
        for shard in self._shards:
            _close(shard)

    def __enter__(self) -> GGUF:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<GGUF {self.path.name}: {len(self.tensors)} tensors, {self.file_bytes} bytes>"


def open_gguf(path: str | Path) -> GGUF:
    """Open a GGUF file; given any shard of a split model, all of them.

    Raises NotFound when there is no such file or a shard is missing, ModelFileError when a file is malformed,
    UnsupportedModel when it is sound but holds something that this reader does not know.
    """
    path = Path(path)
    paths = [path.with_name(name) for name in shard_names(path.name)] if path.name else [path]
    shards: list[_Shard] = []
    try:
        for number, each in enumerate(paths):
            if each != path and not each.exists():
                raise _missing(each, path)
            shards.append(_open(each, number))
            check_shard(shards[-1].header, each)
        return GGUF(path, shards, join_tensors([shard.header for shard in shards], paths))
    except BaseException:
        for shard in shards:
            _close(shard)
        raise


def _missing(shard: Path, path: Path) -> NotFound:
    says = f"{path}: the shard {shard.name} of this model is missing"
    return NotFound(says, "put all shards into one folder under their original names")


def _open(path: Path, number: int) -> _Shard:
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            what = "a directory" if stat.S_ISDIR(kind) else "not a regular file"
            raise ModelFileError(f"is {what}, wanted a GGUF file", "name the .gguf file itself", path=path)
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        hint = "check the spelling; `furet ls` lists what is here"
        raise NotFound(f"{str(path)!r}: no such file", hint) from error
    except OSError as error:
        says = f"cannot be opened: {error.strerror}"
        raise ModelFileError(says, "check its permissions", path=path) from error
    try:
        return _map(path, file, number)
    except OSError as error:
        file.close()
        says = f"cannot be read: {error.strerror}"
        raise ModelFileError(says, "check the disk it is on", path=path) from error
    except BaseException:
        file.close()
        raise


def _map(path: Path, file: BinaryIO, number: int) -> _Shard:
    status = os.fstat(file.fileno())
    header = _read_header(path, file, status.st_size, number)
    try:
        mapped = mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise _cut_short(path) from error
    return _Shard(path, file, mapped, header, (status.st_size, status.st_mtime_ns))


def _read_header(path: Path, file: BinaryIO, size: int, number: int) -> Header:
    """Read the header into memory of its own, which no change of the file can reach."""
    wanted = min(size, _FIRST_READ)
    while True:
        data = bytearray(wanted)
        file.seek(0)
        if file.readinto(data) != wanted:  # type: ignore[attr-defined]
            raise _cut_short(path)
        try:
            header = read_header(data, size, path=path, shard=number)
        except NeedMoreBytes as more:
            wanted = more.wanted
            continue
        del data[header.header_bytes :]
        return header


def _check_unchanged(shard: _Shard) -> None:
    status = os.fstat(shard.file.fileno())
    size, modified = shard.stamp
    if status.st_size < size:
        raise _cut_short(shard.path)
    if (status.st_size, status.st_mtime_ns) != (size, modified):
        raise ModelFileError("was written to while it was open", "load the model again", path=shard.path)


def _cut_short(path: Path) -> ModelFileError:
    hint = "put the whole file back, then load it again"
    return ModelFileError("was cut short while it was open", hint, path=path)


def _close(shard: _Shard) -> None:
    shard.file.close()
    with contextlib.suppress(BufferError):  # an array is still held; the mapping goes with the last one
        shard.mapped.close()
