"""Walking through a GGML file: magic, fields, words, and the records of tensors with their data between.

    record   u32 n_dims, u32 length of the name, u32 type, u32 dims (innermost first), name, data

In ggjt and ggcc files the data begins at a multiple of 32 bytes. There is no count of tensors and no table: a
walk has read a file rightly when it ends at its last byte. One that cannot go on raises `Stop`.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from furet.errors import ModelFileError, UnsupportedModel
from furet.files.ggml_blocks import REVISIONS, Block, type_name
from furet.files.ggml_layouts import AXES, Layout
from furet.files.mapped import MappedFile

MAX_WORDS = 1 << 18  # BLOOM has 250,880
MAX_WORD = 4096  # bytes
MAX_WORD_BYTES = 32 << 20  # of all words
MAX_LAYERS = 1024
MAX_TENSORS = 1 << 15
MAX_DIM = 1 << 31
MAX_NAME = 128
ALIGNMENT = 32
_WINDOW = 1 << 16  # bytes read at a time
_TEXTS = 1 << 20  # the same, of words
_U32 = struct.Struct("<I")

MAGICS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"ccgg": "ggcc"}
_VERSIONS = {"ggmf": (1, 100, 101), "ggjt": (1, 2, 3), "ggcc": (10,)}
_INCOMPLETE = "the file is incomplete: download or copy it again"
_LAST_FILE_TYPE = 18  # Q6_K


class Stop(Exception):
    """This way of reading the file does not go on.

    offset   the field at fault
    cut      whether the file only seems to end too early
    """

    def __init__(self, offset: int, why: str, cut: bool = False) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why
        self.cut = cut


@dataclass(frozen=True)
class Preamble:
    """Which generation a file is of.

    kind      ggml, ggmf, ggjt, ggcc, or rwkv for ggmf files of rwkv.cpp
    version   None for ggml
    """

    kind: str
    version: int | None

    @property
    def generation(self) -> str:
        """As people call it: 'ggjt v3'."""
        magic = "ggmf" if self.kind == "rwkv" else self.kind
        return magic if self.version is None else f"{magic} v{self.version}"

    @property
    def aligned(self) -> bool:
        """Whether tensor data begins at multiples of 32 bytes."""
        return self.kind in ("ggjt", "ggcc")

    def revision(self, ftype: int) -> int:
        """Which of `REVISIONS` its blocks are; `ftype` is the field of that name."""
        if self.kind == "ggml":
            return ftype // 1000
        return {1: 0, 100: 0, 2: 1}.get(self.version or 0, 2)


@dataclass(frozen=True, slots=True)
class Record:
    """One tensor as a file has it; shape in rows and columns."""

    name: str
    block: Block
    shape: tuple[int, ...]
    at: int
    offset: int
    nbytes: int


class Cursor:
    """A place in a file; every read is checked against the file's end and made without the mapping."""

    def __init__(self, file: MappedFile, at: int = 0) -> None:
        self.file = file
        self.at = at
        self._start = 0
        self._window = b""

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        end = self.at + count
        if end > self.file.size:
            raise Stop(self.at, f"{what} ends at byte {end}, the file at {self.file.size}", cut=True)
        first = self.at - self._start
        if first < 0 or first + count > len(self._window):
            wanted = min(max(count, _WINDOW), self.file.size - self.at)
            self._start, self._window, first = self.at, bytes(self.file.copy(self.at, wanted)), 0
        self.at = end
        return self._window[first : first + count]

    def u32(self, what: str) -> int:
        """The next number."""
        value: int = _U32.unpack(self.take(4, what))[0]
        return value


def read_preamble(cursor: Cursor) -> Preamble:
    """Magic and version; ModelFileError or UnsupportedModel for others than are known here."""
    path = cursor.file.path
    start = bytes(cursor.file.prefix(8))
    kind = MAGICS.get(start[:4])
    if kind is None:
        raise ModelFileError(
            f"begins with {start[:4]!r}, wanted one of {', '.join(map(repr, MAGICS))}",
            "this is no GGML file, or its beginning is damaged",
            path=path,
        )
    cursor.at = 4
    if kind == "ggml":
        return Preamble(kind, None)
    if len(start) < 8:
        raise ModelFileError("ends before the version", _INCOMPLETE, path=path, offset=4)
    version = cursor.u32("the version")
    if version not in _VERSIONS[kind]:
        known = ", ".join(map(str, _VERSIONS[kind]))
        raise UnsupportedModel(
            f"{path}: {kind} version {version} is not known; known: {known}",
            "convert the model again from its original, or get a GGUF file of it",
        )
    return Preamble("rwkv" if version in (100, 101) else kind, version)


def read_fields(cursor: Cursor, layout: Layout) -> dict[str, int | float]:
    """The header fields by name; Stop when a value cannot be what the field says."""
    header: dict[str, int | float] = {}
    for field in layout.fields:
        at = cursor.at
        name = field.removeprefix("~")
        data = cursor.take(4, name)
        value = struct.unpack("<f" if field != name else "<I", data)[0]
        _check_field(name, value, at)
        header[name] = value
    return header


def _check_field(name: str, value: int | float, at: int) -> None:
    sizes = {field for fields in AXES.values() for field in fields}
    limits = {"n_vocab": MAX_WORDS, "n_layer": MAX_LAYERS, "n_layers": MAX_LAYERS}
    if name == "ftype":
        sound = value // 1000 < len(REVISIONS) and value % 1000 <= _LAST_FILE_TYPE
    elif isinstance(value, float):
        sound = math.isfinite(value) and 0 <= value < 1e6
    elif name == "par_res":
        sound = value in (0, 1)
    else:
        sound = (name not in sizes or value > 0) and value <= limits.get(name, 1 << 24)
    if not sound:
        raise Stop(at, f"{name} would be {value}")


def skip_words(cursor: Cursor, layout: Layout, count: int) -> tuple[int, int]:
    """Walk over the vocabulary; (first byte, byte after the last)."""
    if layout.words == "none":
        return cursor.at, cursor.at
    if layout.words == "counted":
        at = cursor.at
        again = cursor.u32("the number of words")
        if again != count:
            raise Stop(at, f"the number of words would be {again}, n_vocab is {count}")
    return _skip_texts(cursor, count - layout.unsaid, 4 if layout.words == "scored" else 0, "word")


def skip_merges(cursor: Cursor, count: int | float) -> tuple[int, int]:
    """Walk over the pairs of a ggcc file: their number, then two texts each."""
    at = cursor.at
    pairs = cursor.u32("the number of merges")
    if pairs != count or pairs > MAX_WORDS:
        raise Stop(at, f"the number of merges would be {pairs}, n_bpe_merges is {count}")
    return _skip_texts(cursor, 2 * pairs, 0, "half of a merge")


def _skip_texts(cursor: Cursor, count: int, trailer: int, what: str) -> tuple[int, int]:
    """Walk over lengths, each with as many bytes and `trailer` more behind it."""
    start, size = cursor.at, cursor.file.size
    unpack = _U32.unpack_from
    base, at, window = start, 0, b""
    for number in range(count):
        if at + 4 > len(window):
            base, at = base + at, 0
            if base + 4 > size:
                raise Stop(base, f"{what} {number} begins at byte {base}, the file ends at {size}", cut=True)
            if base - start > MAX_WORD_BYTES:
                raise Stop(start, f"the words would take more than {MAX_WORD_BYTES} bytes")
            window = bytes(cursor.file.copy(base, min(_TEXTS, size - base)))
        length = unpack(window, at)[0]
        if length > MAX_WORD:
            raise Stop(base + at, f"{what} {number} would have {length} bytes")
        at += 4 + length + trailer
    cursor.at = base + at
    if cursor.at > size:
        raise Stop(size, f"the last {what} ends at byte {cursor.at}, the file at {size}", cut=True)
    return start, cursor.at


def read_record(cursor: Cursor, preamble: Preamble, revision: int) -> Record:
    """The tensor here; the cursor then stands after its data."""
    at = cursor.at
    n_dims, length, number = struct.unpack("<III", cursor.take(12, "the head of a tensor"))
    if not 1 <= n_dims <= 3:
        raise Stop(at, f"a tensor would have {n_dims} dimensions")
    if not 1 <= length <= MAX_NAME:
        raise Stop(at + 4, f"a tensor's name would have {length} bytes")
    dims = struct.unpack(f"<{n_dims}I", cursor.take(4 * n_dims, "the dimensions of a tensor"))
    name = _decoded(cursor.take(length, "the name of a tensor"), at)
    block = _block(name, number, preamble, revision, at)
    if preamble.aligned:
        cursor.at = -(-cursor.at // ALIGNMENT) * ALIGNMENT
    if not all(0 < dim < MAX_DIM for dim in dims) or dims[0] % block.values:
        raise Stop(at, f"tensor {name} would be {list(dims[::-1])} of {block.name}")
    offset, nbytes = cursor.at, math.prod(dims) // block.values * block.nbytes
    if offset + nbytes > cursor.file.size:
        ends = f"ends at byte {offset + nbytes}, the file at {cursor.file.size}"
        raise Stop(at, f"tensor {name}, {block.name} {list(dims[::-1])}, {ends}", cut=True)
    cursor.at = offset + nbytes
    return Record(name, block, tuple(dims[::-1]), at, offset, nbytes)


def _decoded(name: bytes, at: int) -> str:
    if not name.isascii() or not name.decode("ascii").isprintable():
        raise Stop(at, f"a tensor's name would be {name[:24]!r}")
    return name.decode("ascii")


def _block(name: str, number: int, preamble: Preamble, revision: int, at: int) -> Block:
    kind = type_name(number, preamble.kind == "rwkv")
    block = REVISIONS[revision].get(kind)
    if block is None:
        raise Stop(at + 8, f"tensor {name} is of type {kind}, which {preamble.generation} files do not have")
    return block


def misfit(message: str, file: MappedFile, offset: int, cut: bool) -> ModelFileError:
    """The error for a file that no way of reading fits."""
    hint = _INCOMPLETE if cut else "the file is damaged, or of a kind that is not known here"
    return ModelFileError(message, hint, path=file.path, offset=offset)
