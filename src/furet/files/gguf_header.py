"""The header of a GGUF file: metadata and tensor table, every field checked before it is used.

    magic "GGUF" · u32 version · n_tensors · n_kv
    n_kv x        key · u32 type · value
    n_tensors x   name · u32 n_dims · dims (innermost first) · u32 tensor type · u64 offset
    padding to general.alignment, then tensor data; offsets count from here

Counts, lengths and dims are u32 in version 1 and u64 since. Numbers are little or big endian throughout; the
version tells which, as its upper half is zero. Strings are a length and bytes, without a terminator.

The order is always bound, verify, use: a count is compared with the bytes that are left, and with a cap,
before anything is read or allocated for it. The parser sees bytes only, so the same code serves a local file
and a range request: it raises `NeedMoreBytes` when the prefix it was given ends too early.

Source: the GGUF description of the ggml project; reference readers for versions 1 to 3.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn, TypeAlias

from furet._core import skip_strings
from furet.dtypes import TensorType
from furet.errors import ModelFileError, UnsupportedModel
from furet.files.gguf_values import FORMAT, MARK, WIDTH, NumberArray, StringArray, Value, ValueType
from furet.files.kind import kind_of_bytes
from furet.files.tensor_file import ByteOrder, TensorInfo

MAX_HEADER = 32 << 20  # bytes; a 260,000-token vocabulary with scores, types and 500,000 merges takes 13 MB
MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 16
MAX_STRINGS = 1 << 21  # in all string arrays of a file
MAX_TEXT = 8 << 20  # bytes of all other strings, names included; decoding may take 4 times that
MAX_ARRAYS = 1 << 14  # arrays inside arrays
MAX_NESTING = 4
MAX_DIMS = 4
MAX_KEY = 65_535  # bytes, as the format says
MAX_NAME = 255  # bytes; the format says 64, some converters write more
MAX_ALIGNMENT = 1 << 20

_INCOMPLETE = "the file is incomplete: download or copy it again"
_DAMAGED = "the file is damaged: download it again, or from another source"

_ELSEWHERE = {  # types that other programs write or wrote, for a message that says more than a number
    **{4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8"},
    **{36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 40: "NVFP4", 41: "Q1_0", 42: "Q2_0"},
    **{133: "Q6_0", 134: "IQ1_BN", 135: "IQ2_BN", 137: "IQ2_K", 138: "IQ3_K", 139: "IQ4_K", 140: "IQ5_K"},
    **{141: "IQ6_K", 144: "IQ4_KS", 145: "IQ2_KS", 146: "IQ4_KSS", 152: "IQ5_KS", 153: "IQ2_KT"},
    **{154: "IQ3_KT", 155: "IQ4_KT", 156: "IQ3_KS", 157: "IQ2_KL", 158: "IQ1_KT"},
}
# Name, position of the row in the header, type, shape, offset from the start of the data.
Row: TypeAlias = tuple[str, int, TensorType, tuple[int, ...], int]

_NOT_BOOL = re.compile(rb"[^\x00\x01]")


class NeedMoreBytes(Exception):
    """The prefix ends inside the header; come back with the first `wanted` bytes. The file may be sound."""

    def __init__(self, wanted: int) -> None:
        super().__init__(f"the header does not end within this prefix; read {wanted} bytes")
        self.wanted = wanted


@dataclass(frozen=True)
class Header:
    """What stands before the tensor data of one file. `types` has the wire type of every metadata value."""

    version: int
    byteorder: ByteOrder
    alignment: int
    metadata: Mapping[str, Value]
    types: Mapping[str, ValueType]
    tensors: Mapping[str, TensorInfo]
    header_bytes: int
    file_bytes: int


def read_header(
    data: bytes | bytearray | memoryview,
    total_bytes: int | None = None,
    *,
    path: str | Path | None = None,
    shard: int = 0,
) -> Header:
    """Read the header from the first bytes of a file of `total_bytes` (default: `data` is the whole file).

    path    named in errors
    raises  NeedMoreBytes when `data` ends before the header does; ModelFileError for anything malformed;
            UnsupportedModel for a version or tensor type that this reader does not know
    """
    held = data if isinstance(data, bytes | bytearray) else bytes(data)
    cursor = _Cursor(held, len(held) if total_bytes is None else total_bytes, path)
    cursor.read_preamble()
    n_tensors = cursor.length()
    cursor.check_count(n_tensors, cursor.wide + 17, MAX_TENSORS, "tensors")  # 1 byte of name, no dims
    n_keys = cursor.length()
    cursor.check_count(n_keys, cursor.wide + 6, MAX_KEYS, "metadata keys")  # 1 byte of key, type, 1 of value
    metadata: dict[str, Value] = {}
    types: dict[str, ValueType] = {}
    for _ in range(n_keys):
        key = cursor.name(MAX_KEY, "metadata key")
        if key in metadata:
            cursor.refuse(f"{key!r} occurs twice", _DAMAGED)
        cursor.field = key
        types[key] = cursor.value_type()
        metadata[key] = cursor.value(types[key], depth=1)
    alignment = _alignment(cursor, metadata)
    rows = [cursor.tensor_row() for _ in range(n_tensors)]
    tensors = _placed(cursor, rows, alignment, shard)
    return Header(cursor.version, cursor.order, alignment, metadata, types, tensors, cursor.at, cursor.total)


class _Cursor:
    """A position in the header; `begin` and `field` are where and what is being read, for messages."""

    def __init__(self, data: bytes | bytearray, total: int, path: str | Path | None) -> None:
        self.data, self.total, self.path = data, total, path
        self.ready = min(len(data), total, MAX_HEADER)
        self.at = 0
        self.begin = 0  # of what was read last
        self.field = ""
        self.version = 0
        self.order: ByteOrder = "little"
        self.u32_layout = struct.Struct("<I")
        self.text_left = MAX_TEXT
        self.strings_left = MAX_STRINGS
        self.arrays_left = MAX_ARRAYS

    def refuse(self, message: str, hint: str = "") -> NoReturn:
        raise ModelFileError(message, hint, path=self.path, offset=self.begin, field=self.field[:80])

    def take(self, count: int) -> int:
        """Pass over `count` bytes and return where they start, once it is certain that they are there."""
        self.begin, stop = self.at, self.at + count
        if stop > self.ready:
            self.beyond(stop)
        self.at = stop
        return self.begin

    def beyond(self, stop: int) -> NoReturn:
        """Refuse a field that leads out of the file or the cap, or ask for a longer prefix."""
        if stop > self.total:
            left = self.total - self.begin
            self.refuse(f"{stop - self.begin} bytes are wanted here, {left} are left", _why_short(stop))
        if stop > MAX_HEADER:
            self.refuse(f"the header is larger than {MAX_HEADER} bytes", _DAMAGED)
        raise NeedMoreBytes(min(max(stop, 2 * len(self.data)), self.total, MAX_HEADER))

    def read_preamble(self) -> None:
        """Check the magic, find byte order and version."""
        self.field = "magic"
        if self.total == 0 or not b"GGUF".startswith(self.data[:4]):
            kind = kind_of_bytes(self.data[:512], self.total)
            wanted = "wanted b'GGUF'" if kind.name == "unknown" else "not GGUF"
            self.refuse(f"{kind.says}, {wanted}", kind.hint)
        self.take(4)
        self.field = "version"
        version = self.u32()
        if version & 0xFFFF == 0:
            self.order = "big"
            version = int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in (1, 2, 3):
            hint = "a newer furet may read it, or the file is damaged"
            self.refuse(f"GGUF version {version}, wanted 1, 2 or 3", hint)
        self.version = version
        mark, length = MARK[self.order], "I" if version == 1 else "Q"
        self.u32_layout = struct.Struct(mark + "I")
        self.length_layout = struct.Struct(mark + length)
        self.wide = self.length_layout.size
        self.row_layouts = [struct.Struct(f"{mark}{dims}{length}IQ") for dims in range(MAX_DIMS + 1)]
        self.field = "counts"

    def u32(self) -> int:
        value: int = self.u32_layout.unpack_from(self.data, self.take(4))[0]
        return value

    def length(self) -> int:
        value: int = self.length_layout.unpack_from(self.data, self.take(self.wide))[0]
        return value

    def check_count(self, count: int, smallest: int, most: int, what: str) -> None:
        """Refuse a count of things that cannot fit into the rest of the file, or that is beyond reason."""
        left = self.total - self.at
        if count * smallest > left:
            self.refuse(f"{count} {what} cannot fit into the {left} bytes that are left", _DAMAGED)
        if count > most:
            self.refuse(f"{count} {what}, at most {most} are allowed", _DAMAGED)

    def text(self, count: int) -> bytes | bytearray:
        if count > self.text_left:
            self.refuse(f"{count} bytes of text; {MAX_TEXT} are allowed in all", _DAMAGED)
        self.text_left -= count
        start = self.take(count)
        return self.data[start : start + count]

    def name(self, most: int, what: str) -> str:
        """A metadata key or tensor name: 1 to `most` bytes of printable UTF-8."""
        self.field = what
        count = self.length()
        if not 1 <= count <= most:
            self.refuse(f"{count} bytes long, wanted 1 to {most}", _DAMAGED)
        raw = self.text(count)
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = ""
        if not name.isprintable() or not name:
            self.refuse(f"{bytes(raw[:64])!r} is not printable UTF-8", _DAMAGED)
        return name

    def value_type(self) -> ValueType:
        kind = self.u32()
        if kind not in _VALUE_TYPES:
            self.refuse(f"value type {kind} does not exist; the last one is {max(_VALUE_TYPES)}", _DAMAGED)
        return _VALUE_TYPES[kind]

    def value(self, kind: ValueType, depth: int) -> Value:
        if kind is ValueType.STRING:
            return self.text(self.length()).decode("utf-8", "replace")
        if kind is ValueType.ARRAY:
            return self.array(depth)
        start = self.take(WIDTH[kind])
        if kind is ValueType.BOOL:
            self.check_bools(start)
        value: int | float | bool = struct.unpack_from(MARK[self.order] + FORMAT[kind], self.data, start)[0]
        return value

    def array(self, depth: int) -> Value:
        if depth > MAX_NESTING:
            self.refuse(f"arrays nested more than {MAX_NESTING} deep", _DAMAGED)
        kind = self.value_type()
        count = self.length()
        if kind is ValueType.STRING:
            self.check_count(count, self.wide, self.strings_left, "strings in arrays")
            self.strings_left -= count
            return self.string_array(count)
        if kind is ValueType.ARRAY:
            self.check_count(count, self.wide + 4, self.arrays_left, "arrays in arrays")
            self.arrays_left -= count
            return tuple(self.array(depth + 1) for _ in range(count))
        self.check_count(count, WIDTH[kind], MAX_HEADER, "numbers")
        start = self.take(count * WIDTH[kind])
        if kind is ValueType.BOOL:
            self.check_bools(start)
        return NumberArray(self.data, start, count, kind, self.order)

    def string_array(self, count: int) -> StringArray:
        """Walk over `count` strings, proving that each lies within the file."""
        self.begin = self.at
        if self.at + count * self.wide > self.ready:
            self.beyond(self.at + count * self.wide)
        stop = skip_strings(self.data, self.at, count, self.wide, self.order == "big")
        if stop > self.ready:
            self.beyond(stop)
        self.at = stop
        return StringArray(self.data, self.begin, stop, count, self.length_layout)

    def check_bools(self, start: int) -> None:
        wrong = _NOT_BOOL.search(self.data, start, self.at)
        if wrong:
            self.begin = wrong.start()
            self.refuse(f"{self.data[self.begin]} is not a bool, wanted 0 or 1", _DAMAGED)

    def tensor_row(self) -> Row:
        """One row of the tensor table."""
        begin = self.at
        name = self.name(MAX_NAME, "tensor name")
        self.field = f"tensor {name}"
        n_dims = self.u32()
        if n_dims > MAX_DIMS:
            self.refuse(f"{n_dims} dimensions, at most {MAX_DIMS} are allowed", _DAMAGED)
        layout = self.row_layouts[n_dims]
        *dims, kind, offset = layout.unpack_from(self.data, self.take(layout.size))
        if 0 in dims:
            self.refuse(f"a dimension of {dims} is zero", _DAMAGED)
        if kind not in _TENSOR_TYPES:
            self.refuse_type(kind)
        return name, begin, _TENSOR_TYPES[kind], tuple(dims[::-1]), offset

    def refuse_type(self, kind: int) -> NoReturn:
        if kind in _ELSEWHERE:
            says = f"{self.field}: tensor type {_ELSEWHERE[kind]} ({kind}) is not supported"
            known = ", ".join(TensorType.__members__)
            hint = f"get another quantisation, one of {known}"
            raise UnsupportedModel(f"{self.path or 'GGUF'}: {says}", hint)
        self.refuse(f"tensor type {kind} does not exist", _DAMAGED)


_VALUE_TYPES = {int(kind): kind for kind in ValueType}
_TENSOR_TYPES = {int(kind): kind for kind in TensorType}


def _why_short(wanted_bytes: int) -> str:
    return _INCOMPLETE if wanted_bytes < 1 << 44 else _DAMAGED  # there is no file of 16 TB


def _alignment(cursor: _Cursor, metadata: Mapping[str, Value]) -> int:
    cursor.field = "general.alignment"
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or isinstance(alignment, bool):
        cursor.refuse(f"is {alignment!r:.40}, wanted an integer", _DAMAGED)
    if alignment < 8 or alignment & (alignment - 1) or alignment > MAX_ALIGNMENT:
        cursor.refuse(f"is {alignment}, wanted a power of two from 8 to {MAX_ALIGNMENT}", _DAMAGED)
    return alignment


def _placed(cursor: _Cursor, rows: list[Row], alignment: int, shard: int) -> dict[str, TensorInfo]:
    """The tensor table with absolute offsets; every tensor lies in the file, and no two share a byte."""
    base = -(-cursor.at // alignment) * alignment
    tensors: dict[str, TensorInfo] = {}
    for name, begin, kind, shape, offset in rows:
        cursor.begin, cursor.field = begin, f"tensor {name}"
        columns = shape[-1] if shape else 1
        if name in tensors:
            cursor.refuse("the name occurs twice", _DAMAGED)
        if columns % kind.block:
            cursor.refuse(f"rows of {columns} values; {kind.name} wants a multiple of {kind.block}", _DAMAGED)
        if offset % alignment:
            cursor.refuse(f"data offset {offset} is not a multiple of the alignment {alignment}", _DAMAGED)
        nbytes = kind.row_bytes(columns) * math.prod(shape[:-1])
        if base + offset + nbytes > cursor.total:
            end = f"data ends at byte {base + offset + nbytes}, the file at {cursor.total}"
            cursor.refuse(f"{kind.name} {list(shape)}: {end}", _why_short(offset + nbytes))
        tensors[name] = TensorInfo(name, kind, shape, base + offset, nbytes, shard)
    _check_overlap(cursor, tensors)
    return tensors


def _check_overlap(cursor: _Cursor, tensors: Mapping[str, TensorInfo]) -> None:
    placed = sorted(tensors.values(), key=lambda tensor: tensor.offset)
    for before, after in pairwise(placed):
        if before.offset + before.nbytes > after.offset:
            cursor.begin, cursor.field = after.offset, f"tensor {after.name}"
            cursor.refuse(f"its data overlaps that of {before.name}", _DAMAGED)
