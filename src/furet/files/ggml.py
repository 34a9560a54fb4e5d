"""GGML files, the model files of early 2023, before GGUF: `ggml`, `ggmf`, `ggjt` v1 to v3, `ggcc`, rwkv.cpp.

    with open_ggml("ggml-model-q4_0.bin") as model:
        model.generation, model.architecture          # 'ggjt v3', 'llama'
        model.header["n_embd"]                        # 4096
        model.tensors["tok_embeddings.weight"].type   # TensorType.Q4_0
        model.data("tok_embeddings.weight")           # uint8, in the layout of that type today

Names and shapes are the file's own; bytes are those of a tensor type of today, see `furet.files.ggml_blocks`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from furet.errors import ModelFileError, NotFound
from furet.files import ggml_blocks
from furet.files.ggml_header import Cursor, Preamble, read_preamble
from furet.files.ggml_proof import PARTS, Reading, prove
from furet.files.ggml_stored import Stored, join_parts
from furet.files.mapped import MappedFile, close_all, map_file
from furet.files.tensor_file import ByteOrder, TensorInfo

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = ["GGML", "open_ggml"]

_CHUNK = 1 << 20  # bytes of old blocks turned into new ones at a time
_PART = re.compile(r"(.+)\.([1-9])")
_FILL_IN = (b"<fim_prefix>", b"<fim-prefix>")


class GGML:
    """An open model of one file or of several parts, made by `open_ggml`; threads may share it.

    generation    'ggml', 'ggmf v1', 'ggjt v1' to 'ggjt v3', 'ggcc v10', 'ggmf v100' and 'ggmf v101' of rwkv.cpp
    architecture  llama, gpt2, gptj, gptneox, starcoder, falcon, mpt, replit or rwkv
    variant       which of the architecture's layouts it is, where there are several
    header        its fields by name
    axes          sizes by the letters of `furet.files.ggml_layouts`, those that only tensors tell included
    stored        tensors as they lie in the files
    exact         whether values are kept to the last bit; see `open_ggml`
    """

    byteorder: ByteOrder = "little"

    def __init__(
        self, path: Path, files: Sequence[MappedFile], preamble: Preamble, readings: list[Reading], exact: bool
    ) -> None:
        first = readings[0]
        self.path = path
        self.paths = tuple(file.path for file in files)
        self.file_bytes = sum(file.size for file in files)
        self.generation = preamble.generation
        self.variant = first.layout.variant
        self.header: Mapping[str, int | float] = MappingProxyType(first.header)
        self.axes: Mapping[str, int] = MappingProxyType(first.axes)
        self.stored: Mapping[str, Stored] = MappingProxyType(join_parts(readings))
        self.exact = exact
        self._files = files
        self._reading = first
        self.architecture = self._architecture()

    def _architecture(self) -> str:
        """StarCoder was written as GPT-2 with its one key head repeated; only its vocabulary tells."""
        name = self._reading.layout.architecture
        start, end = self._reading.words
        if name == "gpt2" and any(word in self._files[0].copy(start, end - start) for word in _FILL_IN):
            return "starcoder"
        return name

    @cached_property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Tensors as they are seen; the first look reads the float32 scales of old blocks, if exact."""
        return MappingProxyType({name: self._seen(stored) for name, stored in self.stored.items()})

    @property
    def widened(self) -> tuple[str, ...]:
        """Names of quantised tensors that are given as F32, since no type of today holds their values."""
        return tuple(
            name
            for name, stored in self.stored.items()
            if stored.block.name not in ("F32", "F16") and self.tensors[name].type.name == "F32"
        )

    @property
    def rounded(self) -> tuple[str, ...]:
        """Names of tensors whose scales are rounded to float16; none when exact."""
        return () if self.exact else tuple(n for n, each in self.stored.items() if each.block.scales)

    @cached_property
    def vocabulary(self) -> list[tuple[bytes, float | None]]:
        """The words in the order of their ids, each with its score if the file has scores."""
        start, end = self._reading.words
        data = bytes(self._files[0].copy(start, end - start))
        scored = self._reading.layout.words == "scored"
        words: list[tuple[bytes, float | None]] = []
        at = 0
        while at < len(data):
            length = struct.unpack_from("<I", data, at)[0]
            word = data[at + 4 : at + 4 + length]
            at += 4 + length
            words.append((word, struct.unpack_from("<f", data, at)[0] if scored else None))
            at += 4 * scored
        return words

    @cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """Pairs of words in the order in which they merge; only ggcc files have them."""
        start, end = self._reading.merges
        data = bytes(self._files[0].copy(start, end - start))
        texts: list[bytes] = []
        at = 0
        while at < len(data):
            length = struct.unpack_from("<I", data, at)[0]
            texts.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        return list(zip(texts[::2], texts[1::2], strict=True))

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, [nbytes], read-only; a view where the file has them so, else made.

        Raises KeyError for an unknown name, ModelFileError when the file has changed since it was opened.
        """
        import numpy as np

        stored, info = self.stored[name], self.tensors[name]
        if stored.block.as_is and stored.in_one_piece:
            return self._files[info.shard].data(info.offset, info.nbytes)
        self.check_unchanged()
        made = np.empty(info.nbytes, np.uint8)
        self.read(name, 0, made.data)
        made.flags.writeable = False
        return made

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on, without touching the mapping.

        Raises ModelFileError when the file was cut short.
        """
        stored, info = self.stored[name], self.tensors[name]
        assert offset + len(out) <= info.nbytes, f"{name} ends before byte {offset + len(out)}"
        if stored.block.as_is:
            stored.read(self._files, offset, out)
            return
        old = stored.block.nbytes
        new = info.nbytes // (stored.nbytes // old)
        step = max(_CHUNK // old, 1)
        for first in range(offset // new, -(-(offset + len(out)) // new), step):
            last = min(first + step, -(-(offset + len(out)) // new))
            made = self._made(stored, info, first * old, (last - first) * old)
            start, end = max(first * new, offset), min(last * new, offset + len(out))
            out[start - offset : end - offset] = made[start - first * new : end - first * new].data

    def _made(self, stored: Stored, info: TensorInfo, offset: int, nbytes: int) -> NDArray[np.uint8]:
        """Blocks of the file, as those of the type that they are seen as."""
        import numpy as np

        old = np.empty(nbytes, np.uint8)
        stored.read(self._files, offset, old.data)
        if info.type.name == "F32":
            return ggml_blocks.decode(stored.block, old).view(np.uint8)
        return ggml_blocks.recast(stored.block, old)

    def _seen(self, stored: Stored) -> TensorInfo:
        from furet.dtypes import TensorType

        kind = stored.block.seen
        if self.exact and stored.block.scales and not self._fits(stored):
            kind = TensorType.F32
        nbytes = kind.row_bytes(stored.shape[-1]) * prod(stored.shape[:-1])
        shard, offset = stored.pieces[0]
        return TensorInfo(stored.name, kind, stored.shape, offset, nbytes, shard)

    def _fits(self, stored: Stored) -> bool:
        """Whether every scale of a tensor is a float16; most that do not say so in their first blocks."""
        import numpy as np

        old = stored.block.nbytes
        at, step = 0, 64 * old
        while at < stored.nbytes:
            data = np.empty(min(step, stored.nbytes - at), np.uint8)
            stored.read(self._files, at, data.data)
            if not ggml_blocks.fits(stored.block, data):
                return False
            at, step = at + len(data), max(_CHUNK // old, 1) * old
        return True

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back; its data stays readable, from the file again."""
        stored = self.stored[name]
        for shard, offset in stored.pieces:
            self._files[shard].release(offset, stored.nbytes // len(stored.pieces))

    def check_unchanged(self) -> None:
        """Raise ModelFileError when a file was cut short or written to since it was opened (microseconds)."""
        for file in self._files:
            file.check_unchanged()

    def close(self) -> None:
        """Give the files back; arrays taken from `data` stay valid, and their mapping with them."""
        close_all(self._files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"{self.generation} {self.architecture}"
        return f"<GGML {self.path.name}: {what}, {len(self.stored)} tensors, {self.file_bytes} bytes>"


def open_ggml(path: str | Path, *, exact: bool = True) -> GGML:
    """Open a GGML file; given any part of an old LLaMA model (`.bin`, `.bin.1`, ...), all of them.

    exact   blocks with float32 scales that no type of today can hold are given as F32, which takes 6 times
            the memory. False: their scales are rounded to float16 instead, by 1/2048 of themselves at most
            (those below 6e-5 by 3e-8), and the types stay
    raises  NotFound when there is no such file, ModelFileError when it is malformed, incomplete, or no known
            architecture accounts for all of its bytes, UnsupportedModel for a version that is not known here
    """
    path = Path(path)
    files = [map_file(path, "a GGML model")]
    try:
        cursor = Cursor(files[0])
        preamble = read_preamble(cursor)
        try:
            readings = [prove(files[0], preamble, cursor.at)]
        except ModelFileError:
            paths = _parts(path) if preamble.kind in ("ggml", "ggmf") else [path]
            if len(paths) == 1:
                raise
            close_all(files)
            files[:] = [map_file(each, "a part of a GGML model") for each in paths]
            readings = _parts_read(files)
        return GGML(path, files, preamble, readings, exact)
    except BaseException:
        close_all(files)
        raise


def _parts(path: Path) -> list[Path]:
    """The files that `path` may be a part of a model with, in order; itself alone if there are none."""
    found = _PART.fullmatch(path.name)
    base = path.with_name(found[1]) if found and path.with_name(found[1]).is_file() else path
    others = [base.with_name(f"{base.name}.{number}") for number in range(1, max(PARTS))]
    there = [other for other in others if other.is_file()]
    missing = next((other for other in others[: len(there)] if other not in there), None)
    if missing:
        says = f"{path}: the part {missing.name} of this model is missing"
        raise NotFound(says, "put all parts into one folder under their original names")
    return [base, *there]


def _parts_read(files: Sequence[MappedFile]) -> list[Reading]:
    """Each part read as one of so many; ModelFileError unless they belong together."""
    readings: list[Reading] = []
    cursors = [Cursor(file) for file in files]
    preambles = [read_preamble(cursor) for cursor in cursors]
    for file, cursor, preamble in zip(files, cursors, preambles, strict=True):
        if preamble == preambles[0]:
            readings.append(prove(file, preamble, cursor.at, len(files)))
        if preamble != preambles[0] or _differ(readings[-1], readings[0]):
            says = f"does not belong to {files[0].path.name}: header or tensors differ"
            raise ModelFileError(says, "put the parts of one model beside each other", path=file.path)
    return readings


def _differ(one: Reading, other: Reading) -> bool:
    def tensors(reading: Reading) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {name: (record.block.name, record.shape) for name, record in reading.records.items()}

    return one.header != other.header or tensors(one) != tensors(other)
