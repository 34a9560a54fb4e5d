"""Tensors of one file seen as those of another: other names, perhaps another order of values or another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.families.reshape import ARITHMETIC, Reshape

if TYPE_CHECKING:
    from furet.families.tensors import Row
    from furet.files.tensor_file import TensorFile, TensorInfo

NUMBERS: dict[TensorType, np.dtype[Any]] = {
    TensorType.F32: np.dtype("<f4"),
    TensorType.F16: np.dtype("<f2"),
    TensorType.BF16: np.dtype("<u2"),  # only moved, or decoded to float32 first
    TensorType.F64: np.dtype("<f8"),
}


@dataclass(frozen=True, eq=False)
class SeenTensor:
    """A tensor in GGUF's terms.

    parts   names of the tensors that it is made of: one, or one per expert
    how     what is done to each of them, with the size that it wants
    made    its values, where it is made of none
    """

    name: str
    type: TensorType
    shape: tuple[int, ...]
    parts: tuple[str, ...] = ()
    how: Reshape | None = None
    axis: int = 1
    made: NDArray[np.float32] | None = None

    @staticmethod
    def of_parts(
        row: Row, name: str, shape: tuple[int, ...], infos: Sequence[TensorInfo], how: Reshape | None, axis: int
    ) -> SeenTensor:
        """A row of a family's table over tensors of floats; vectors and what must be exact become float32.

        raises  ValueError for a tensor of integers
        """
        types = {info.type for info in infos}
        for kind in types - NUMBERS.keys():
            raise ValueError(f"holds {kind.name}, wanted F32, F16 or BF16")
        exact = len(shape) == 1 or row.floor is TensorType.F32 or row.reshape in ARITHMETIC or len(types) > 1
        (kind, *_) = types
        if exact or kind is TensorType.F64:
            kind = TensorType.F32
        return SeenTensor(name, kind, shape, tuple(info.name for info in infos), how, axis)

    @staticmethod
    def of_values(name: str, values: NDArray[np.float32]) -> SeenTensor:
        """A tensor that no file holds."""
        return SeenTensor(name, TensorType.F32, values.shape, made=values)

    def plain(self, file: TensorFile) -> str:
        """The tensor of the file that is this one byte by byte, or ""."""
        if self.how is not None or len(self.parts) != 1 or file.tensors[self.parts[0]].type != self.type:
            return ""
        return self.parts[0]

    def values(self, file: TensorFile) -> NDArray[Any]:
        """Its numbers, as the file has them or as float32, in its shape."""
        if self.made is not None:
            return self.made
        each = [self._part(file, part) for part in self.parts]
        whole = each[0] if len(each) == 1 else np.stack(each)
        return np.ascontiguousarray(whole.reshape(self.shape))

    def _part(self, file: TensorFile, part: str) -> NDArray[Any]:
        info = file.tensors[part]
        array = file.data(part).view(NUMBERS[info.type]).reshape(info.shape)
        if info.type != self.type:
            array = as_float32(array, info.type)
        return array if self.how is None else self.how(array, self.axis)


class SeenModel:
    """A model of another format in GGUF's vocabulary, over the file that holds its tensors."""

    byteorder = "little"

    def __init__(
        self, path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, SeenTensor], file: TensorFile
    ) -> None:
        self.path = path
        self.metadata = metadata
        self.tensors = tensors
        self.file_bytes = file.file_bytes
        self._file = file

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, [nbytes]: a view of the file where nothing is done to it."""
        tensor = self.tensors[name]
        if plain := tensor.plain(self._file):
            return self._file.data(plain)
        return tensor.values(self._file).reshape(-1).view(np.uint8)

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on."""
        if plain := self.tensors[name].plain(self._file):
            self._file.read(plain, offset, out)
        else:
            out[:] = self.data(name)[offset : offset + len(out)].data

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back; its data stays readable, from the file again."""
        for part in self.tensors[name].parts:
            self._file.release(part)

    def check_unchanged(self) -> None:
        """Raise ModelFileError when a file was cut short or written to since it was opened."""
        self._file.check_unchanged()

    def close(self) -> None:
        """Give the files back."""
        self._file.close()

    def __enter__(self) -> SeenModel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def as_float32(array: NDArray[Any], kind: TensorType) -> NDArray[np.float32]:
    """Floats of a file as float32; exact for all but F64."""
    if kind is TensorType.BF16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)
