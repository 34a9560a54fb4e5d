"""The header of a safetensors file: JSON of one fixed form, read as that form and nothing else.

    u64 n, little endian
    n bytes     {"__metadata__": {text: text, ..},
                 name: {"dtype": .., "shape": [..], "data_offsets": [..]}, ..}
                padded with spaces
    the rest    tensor data; offsets count from here, and every byte belongs to exactly one tensor

A general JSON reader would build whatever a hostile header asks for before anyone can look at it. Here each
entry is matched where it stands, so nesting, counts and lengths are bounded by the form itself.

Source: the format description of the safetensors project.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from furet.dtypes import TensorType
from furet.errors import ModelFileError, UnsupportedModel
from furet.files.tensor_file import TensorInfo

MAX_HEADER = 16 << 20  # bytes; 32,768 tensors with names as long as allowed
MAX_TENSORS = 1 << 15  # in one file
MAX_NAME = 255  # bytes
MAX_DIMS = 8
MAX_METADATA = 4 << 20  # bytes; adapters carry tables of training tags

TYPES: dict[str, TensorType] = {
    "F64": TensorType.F64,
    "F32": TensorType.F32,
    "F16": TensorType.F16,
    "BF16": TensorType.BF16,
    "I64": TensorType.I64,
    "I32": TensorType.I32,
    "I16": TensorType.I16,
    "I8": TensorType.I8,
    "U8": TensorType.I8,  # masks and other buffers; the bytes are the same
    "BOOL": TensorType.I8,
}
UNSUPPORTED = {"U16", "U32", "U64", "C64", "F4", "F6_E2M3", "F6_E3M2", "F8_E4M3", "F8_E5M2", "F8_E8M0"}

_SPACE = rb"[ \t\r\n]*"
_NUMBER = rb"(?:0|[1-9][0-9]{0,18})"
_NUMBERS = rb"\[S(?:N(?:S,SN){0,31})?S\]".replace(b"S", _SPACE).replace(b"N", _NUMBER)
_FIELD = (rb'"dtype"S:S"[A-Z0-9_]{1,16}"|"shape"S:S' + _NUMBERS + rb'|"data_offsets"S:S' + _NUMBERS).replace(
    b"S:S", _SPACE + b":" + _SPACE
)
_ENTRY = re.compile(
    rb"S:S\{S(FIELD)S,S(FIELD)S,S(FIELD)S\}".replace(b"S", _SPACE).replace(b"FIELD", _FIELD)
)
_OPEN = re.compile(_SPACE + rb":" + _SPACE + rb"\{")
_COLON = re.compile(_SPACE + rb":" + _SPACE)
_NEXT = re.compile(_SPACE + rb"([,}])" + _SPACE)
_BLANK = re.compile(_SPACE)
_DIGITS = re.compile(rb"[0-9]+")

_INCOMPLETE = "the file is incomplete: download or copy it again"
_DAMAGED = "the file is damaged: download it again, or from another source"
_FORM = 'wanted {"dtype": .., "shape": [..], "data_offsets": [begin, end]}'


@dataclass(frozen=True)
class SafeHeader:
    """What stands before the tensor data of one file."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, TensorInfo]
    header_bytes: int


def header_length(start: bytes | bytearray, total_bytes: int, path: str | Path | None = None) -> int:
    """How many bytes the header of a file takes, by its first eight; ModelFileError when it cannot."""
    length = int.from_bytes(start[:8], "little")
    says, hint = "", _DAMAGED
    if len(start) < 8:
        says = f"the file has {total_bytes} bytes, wanted 8 for the length of the header alone"
    elif length > MAX_HEADER:
        says = f"a header of {length} bytes, at most {MAX_HEADER} are allowed"
    elif 8 + length > total_bytes:
        says, hint = f"a header of {length} bytes, {total_bytes - 8} are left", _INCOMPLETE
    if says:
        raise ModelFileError(says, hint, path=path, offset=0, field="header length")
    return 8 + length


def read_header(
    data: bytes | bytearray, total_bytes: int, *, path: str | Path | None = None, shard: int = 0
) -> SafeHeader:
    """Read the header from the first bytes of a file of `total_bytes`; `data` ends with it or later.

    path    named in errors
    raises  ModelFileError for anything malformed; UnsupportedModel for an element type without a place here
    """
    end = header_length(data, total_bytes, path)
    reader = _Reader(data if len(data) == end else data[:end], end, total_bytes, path, shard)
    reader.read()
    reader.check_whole()
    return SafeHeader(reader.metadata, reader.tensors, end)


class _Reader:
    """A position in the header; `begin` and `field` are where and what is being read, for messages."""

    def __init__(
        self, text: bytes | bytearray, base: int, total: int, path: str | Path | None, shard: int
    ) -> None:
        self.text, self.base, self.total, self.path, self.shard = text, base, total, path, shard
        self.at = 8
        self.begin, self.field = 8, "header"
        self.metadata: dict[str, str] = {}
        self.tensors: dict[str, TensorInfo] = {}
        self.metadata_seen = False
        self.metadata_left = MAX_METADATA

    def refuse(self, message: str, hint: str = _DAMAGED) -> NoReturn:
        raise ModelFileError(message, hint, path=self.path, offset=self.begin, field=self.field)

    def read(self) -> None:
        if self.text[8:9] != b"{":
            self.refuse(f"begins with {bytes(self.text[8:9])!r}, wanted '{{' of a JSON object")
        self.at = _BLANK.match(self.text, 9).end()  # type: ignore[union-attr]
        if self.text[self.at : self.at + 1] == b"}":
            self.at += 1
        else:
            self.entry()
            while self.more("entry"):
                self.entry()
        if not _BLANK.fullmatch(self.text, self.at):
            self.begin = self.at
            self.refuse("something follows the JSON object")

    def entry(self) -> None:
        """One `name: {...}`."""
        self.field = "header"
        name = self.string(MAX_NAME, "name")
        if name == "__metadata__":
            self.read_metadata()
            return
        self.field = f"tensor {name}"
        if not name or not name.isprintable():
            self.field = "header"
            self.refuse(f"the name {name[:40]!r} is empty or not printable")
        if name in self.tensors:
            self.refuse("the name occurs twice")
        if len(self.tensors) == MAX_TENSORS:
            self.refuse(f"more than {MAX_TENSORS} tensors")
        match = _ENTRY.match(self.text, self.at)
        if not match:
            got = self.text[self.at : self.at + 80].decode("ascii", "replace")
            self.refuse(f"got {got!r}, {_FORM}")
        fields = {field[: field.index(b":")].strip(b' "\t\r\n'): field for field in match.groups()}
        if len(fields) != 3:
            self.refuse(f"a field occurs twice, {_FORM}")
        self.at = match.end()
        self.tensors[name] = self.placed(name, fields[b"dtype"], fields[b"shape"], fields[b"data_offsets"])

    def placed(self, name: str, dtype_field: bytes, shape_field: bytes, offsets_field: bytes) -> TensorInfo:
        """Check one entry on its own: its type, its shape, and that they agree with its offsets."""
        dtype = dtype_field.split(b'"')[3].decode("ascii")
        shape, offsets = _numbers(shape_field), _numbers(offsets_field)
        if dtype in UNSUPPORTED:
            says = f"{self.path or 'safetensors'}: tensor {name}: element type {dtype} is not supported"
            raise UnsupportedModel(says, f"get the model in one of {', '.join(sorted(TYPES))}")
        if dtype not in TYPES:
            self.refuse(f"element type {dtype!r} does not exist")
        if len(shape) > MAX_DIMS:
            self.refuse(f"{len(shape)} dimensions, at most {MAX_DIMS} are allowed")
        if len(offsets) != 2 or offsets[0] > offsets[1]:
            self.refuse(f"data_offsets are {list(offsets)}, wanted [begin, end]")
        kind = TYPES[dtype]
        begin, end = offsets
        nbytes = math.prod(shape) * kind.block_bytes
        if end - begin != nbytes:
            self.refuse(f"{dtype} {list(shape)} takes {nbytes} bytes, data_offsets span {end - begin}")
        if self.base + end > self.total:
            says = f"data ends at byte {self.base + end}, the file at {self.total}"
            self.refuse(f"{dtype} {list(shape)}: {says}", _INCOMPLETE if end < 1 << 44 else _DAMAGED)
        return TensorInfo(name, kind, shape, self.base + begin, nbytes, self.shard)

    def read_metadata(self) -> None:
        self.field = "__metadata__"
        if self.metadata_seen:
            self.refuse("occurs twice")
        self.metadata_seen = True
        opened = _OPEN.match(self.text, self.at)
        if not opened:
            self.refuse("wanted an object of strings")
        self.at = _BLANK.match(self.text, opened.end()).end()  # type: ignore[union-attr]
        if self.text[self.at : self.at + 1] == b"}":
            self.at += 1
            return
        while True:
            key = self.metadata_string("key")
            colon = _COLON.match(self.text, self.at)
            if not colon:
                self.refuse("wanted ':' after a key")
            self.at = colon.end()
            value = self.metadata_string("value")
            if key in self.metadata:
                self.refuse(f"{key[:40]!r} occurs twice")
            self.metadata[key] = value
            if not self.more("pair"):
                return

    def metadata_string(self, what: str) -> str:
        value = self.string(self.metadata_left, what)
        self.metadata_left -= self.at - self.begin + 64  # an empty one takes memory too
        if self.metadata_left < 0:
            self.refuse(f"more than {MAX_METADATA} bytes")
        return value

    def more(self, what: str) -> bool:
        """Pass over the comma or brace behind an entry."""
        match = _NEXT.match(self.text, self.at)
        if not match:
            self.begin = self.at
            self.refuse(f"wanted ',' or '}}' after this {what}")
        self.at = match.end(1) if match[1] == b"}" else match.end()
        return match[1] == b","

    def string(self, most: int, what: str) -> str:
        """A JSON string of at most `most` bytes."""
        self.begin = start = self.at
        if self.text[start : start + 1] != b'"':
            self.refuse(f"wanted a string for a {what}")
        length = _string_length(self.text, start + 1, start + 2 + most)
        if length < 0:
            self.refuse(f"a {what} that is longer than {most} bytes or has no end")
        self.at = start + length + 2
        raw = self.text[start : self.at]
        try:
            value: str = json.loads(raw.decode("utf-8"))
            value.encode("utf-8")  # a lone surrogate is no text
        except ValueError:
            self.refuse(f"the {what} {bytes(raw[:40])!r} is not a JSON string in UTF-8")
        return value

    def check_whole(self) -> None:
        """Every byte of the data belongs to exactly one tensor."""
        end, before = self.base, "the header"
        for tensor in sorted(self.tensors.values(), key=lambda tensor: (tensor.offset, tensor.nbytes)):
            self.begin, self.field = tensor.offset, f"tensor {tensor.name}"
            if tensor.offset < end:
                self.refuse(f"its data overlaps that of {before}")
            if tensor.offset > end:
                self.refuse(f"{tensor.offset - end} bytes between {before} and its data belong to nothing")
            end, before = tensor.offset + tensor.nbytes, tensor.name
        if end != self.total:
            self.begin, self.field = end, "data"
            self.refuse(f"{self.total - end} bytes behind {before} belong to nothing")


def _string_length(text: bytes | bytearray, begin: int, stop: int) -> int:
    """Bytes from `begin` to the first quote that no backslash is before; -1 when there is none before `stop`."""
    stop = min(stop, len(text))
    width = 256
    while True:
        window = text[begin : min(begin + width, stop)]
        found = window.replace(rb"\\", b"__").replace(rb"\"", b"__").find(b'"')
        if found >= 0 or begin + width >= stop:
            return found
        width *= 4


def _numbers(field: bytes) -> tuple[int, ...]:
    return tuple(map(int, _DIGITS.findall(field)))
