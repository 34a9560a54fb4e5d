"""Writing GGUF files: header first, then one tensor at a time, renamed into place when complete."""

from __future__ import annotations

import contextlib
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from furet.dtypes import TensorType
from furet.errors import BadRequest, FuretError
from furet.files.gguf_endian import swapped
from furet.files.gguf_header import MAX_ALIGNMENT, MAX_DIMS, MAX_KEY, MAX_NAME
from furet.files.gguf_values import FORMAT, MARK, NumberArray, StringArray, ValueType
from furet.files.tensor_file import ByteOrder

if TYPE_CHECKING:
    from numpy.typing import NDArray

Buffer: TypeAlias = "bytes | bytearray | memoryview | NDArray[Any]"
Data: TypeAlias = "Buffer | Callable[[], Buffer | Iterator[Buffer]]"

_ELSEWHERE = "free some space, or write elsewhere"

Row: TypeAlias = "tuple[str, TensorType, tuple[int, ...], Data]"


def write_gguf(
    path: str | Path,
    metadata: Mapping[str, object],
    tensors: Iterable[tuple[str, TensorType, Sequence[int], Data]],
    *,
    types: Mapping[str, ValueType] | None = None,
    version: int = 3,
    byteorder: ByteOrder = "little",
    alignment: int = 32,
) -> None:
    """Write a GGUF file; either all of it is there in the end, or what was there before.

    metadata   bool, int, float, str, and lists, NumPy arrays or GGUF arrays of these
    tensors    (name, type, shape in numpy order, data): little-endian blocks as an array or bytes, or a
               function that returns them, called when their turn comes: one tensor at a time is in memory;
               or an iterator over parts of whole blocks, of which one at a time is
    types      wire type of scalars where the default is wrong: int is UINT32 when it fits, else INT32, UINT64
               or INT64, and float is FLOAT32; `GGUF.types` of another file keeps that file's types
    alignment  written to general.alignment unless 32, replacing what `metadata` has there
    raises     BadRequest for what GGUF cannot hold; FuretError when the disk refuses
    """
    path = Path(path)
    rows = [(name, kind, tuple(shape), data) for name, kind, shape, data in tensors]
    encoder = _Encoder(version, byteorder)
    header = _header(encoder, _with_alignment(metadata, alignment), rows, types or {}, alignment)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        _check_space(path, len(header) + sum(_nbytes(name, kind, shape) for name, kind, shape, _ in rows))
        with temporary.open("xb") as file:
            file.write(header)
            for row in rows:
                _write_padding(file, alignment)
                _write_tensor(file, row, byteorder)
            _write_padding(file, alignment)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise FuretError(f"{path}: cannot be written: {error.strerror}", _ELSEWHERE) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


class _Encoder:
    """Encodes the fields of a header in one byte order and version."""

    def __init__(self, version: int, byteorder: ByteOrder) -> None:
        if version not in (1, 2, 3) or byteorder not in MARK:
            raise BadRequest(f"GGUF version {version}, {byteorder} endian: wanted 1 to 3, little or big")
        self.version, self.order = version, byteorder

    def number(self, code: str, *values: object) -> bytes:
        return struct.pack(f"{MARK[self.order]}{len(values)}{code}", *values)

    def length(self, count: int) -> bytes:
        return self.number("I" if self.version == 1 else "Q", count)

    def string(self, value: str | bytes) -> bytes:
        raw = value.encode("utf-8") if isinstance(value, str) else value
        return self.length(len(raw)) + raw

    def value(self, value: Any, wire_type: ValueType | None) -> bytes:
        """Wire type and value; `wire_type` overrides what a scalar would get."""
        if isinstance(value, str):
            return self.number("I", ValueType.STRING) + self.string(value)
        if isinstance(value, Sequence) or (hasattr(value, "dtype") and value.ndim):
            return self.number("I", ValueType.ARRAY) + self.array(value)
        kind = _number_type([value]) if wire_type is None else wire_type
        return self.number("I", kind) + self.number(FORMAT[kind], value)

    def array(self, values: Any) -> bytes:
        """Element type, count and elements."""
        if isinstance(values, NumberArray) or hasattr(values, "dtype"):
            return self.numbers(values)
        if isinstance(values, StringArray) or any(isinstance(value, str | bytes) for value in values):
            items = values.blobs() if isinstance(values, StringArray) else values
            return self.array_head(ValueType.STRING, len(items)) + b"".join(map(self.string, items))
        if any(isinstance(value, Sequence) for value in values):
            return self.array_head(ValueType.ARRAY, len(values)) + b"".join(map(self.array, values))
        return self.numbers(values)

    def numbers(self, values: Any) -> bytes:
        kind = _number_type(values)
        return self.array_head(kind, len(values)) + self.number(FORMAT[kind], *values)

    def array_head(self, kind: ValueType, count: int) -> bytes:
        return self.number("I", kind) + self.length(count)


def _number_type(values: Any) -> ValueType:
    """The wire type of numbers: what an array says, or the first of the usual types that holds them all."""
    if isinstance(values, NumberArray):
        return values.type
    if hasattr(values, "dtype"):
        return ValueType[values.dtype.name.upper()]
    if any(isinstance(value, float) for value in values):
        return ValueType.FLOAT32
    if values and all(isinstance(value, bool) for value in values):
        return ValueType.BOOL
    least, most = min(values, default=0), max(values, default=0)
    if least >= 0:
        return ValueType.UINT32 if most < 1 << 32 else ValueType.UINT64
    return ValueType.INT32 if least >= -(1 << 31) and most < 1 << 31 else ValueType.INT64


def _with_alignment(metadata: Mapping[str, object], alignment: int) -> dict[str, object]:
    if alignment < 8 or alignment & (alignment - 1) or alignment > MAX_ALIGNMENT:
        raise BadRequest(f"alignment {alignment}: wanted a power of two from 8 to {MAX_ALIGNMENT}")
    named = dict(metadata)
    if alignment != 32 or "general.alignment" in named:
        named["general.alignment"] = alignment
    return named


def _header(
    encoder: _Encoder,
    metadata: Mapping[str, object],
    rows: list[Row],
    types: Mapping[str, ValueType],
    alignment: int,
) -> bytes:
    counts = encoder.length(len(rows)) + encoder.length(len(metadata))
    parts = [b"GGUF", encoder.number("I", encoder.version), counts]
    for key, value in metadata.items():
        _check_name(key, MAX_KEY)
        wire_type = types.get(key) if key != "general.alignment" else None
        try:
            parts += [encoder.string(key), encoder.value(value, wire_type)]
        except (struct.error, KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadRequest(f"metadata key {key}: {value!r:.80} cannot be written: {error}") from error
    offset = 0
    names: set[str] = set()
    for name, kind, shape, _ in rows:
        _check_name(name, MAX_NAME)
        if name in names:
            raise BadRequest(f"tensor {name}: the name occurs twice")
        names.add(name)
        dims = b"".join(map(encoder.length, reversed(shape)))
        parts += [encoder.string(name), encoder.number("I", len(shape)), dims]
        parts += [encoder.number("I", kind), encoder.number("Q", offset)]
        offset += -(-_nbytes(name, kind, shape) // alignment) * alignment
    return b"".join(parts)


def _check_name(name: str, most: int) -> None:
    if not name.isprintable() or not 1 <= len(name.encode("utf-8", "replace")) <= most:
        raise BadRequest(f"{name!r:.80}: a name has 1 to {most} bytes and is printable")


def _nbytes(name: str, kind: TensorType, shape: Sequence[int]) -> int:
    if len(shape) > MAX_DIMS or any(size < 1 for size in shape) or (shape[-1] if shape else 1) % kind.block:
        wanted = f"at most {MAX_DIMS} dimensions, none of them 0, the last a multiple of {kind.block}"
        raise BadRequest(f"tensor {name}: {kind.name} {list(shape)}: wanted {wanted}")
    return kind.row_bytes(shape[-1] if shape else 1) * math.prod(shape[:-1])


def _write_tensor(file: BinaryIO, row: Row, byteorder: ByteOrder) -> None:
    name, kind, shape, data = row
    given = data() if callable(data) else data
    written = 0
    for part in given if isinstance(given, Iterator) else [given]:
        raw = _bytes(part)
        file.write(swapped(kind, raw).data if byteorder == "big" else raw.data)
        written += raw.nbytes
    if written != _nbytes(name, kind, shape):
        wanted = f"{kind.name} {list(shape)} has {_nbytes(name, kind, shape)}"
        raise BadRequest(f"tensor {name}: {written} bytes given, {wanted}")


def _bytes(data: Buffer) -> NDArray[Any]:
    import numpy as np

    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    return np.frombuffer(data, np.uint8)


def _write_padding(file: BinaryIO, alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def _check_space(path: Path, wanted: int) -> None:
    import shutil

    free = shutil.disk_usage(path.parent).free
    if free < wanted:
        raise FuretError(f"{path}: {wanted} bytes are needed, the disk has {free} free", _ELSEWHERE)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can open folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
