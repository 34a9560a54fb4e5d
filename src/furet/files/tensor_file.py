"""What every container of tensors looks like once it is open, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from furet.dtypes import TensorType

ByteOrder: TypeAlias = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file.

    shape    numpy order, rows before columns
    offset   bytes from the start of the file that holds it
    nbytes   bytes of its data
    shard    which file of a split model holds it, counted from 0
    """

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    shard: int


class TensorFile(Protocol):
    """Tensors by name, in one file or several that belong together.

    path        the file that was asked for
    file_bytes  of all files
    byteorder   of the numbers in tensor data
    """

    @property
    def path(self) -> Path: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def byteorder(self) -> ByteOrder: ...
    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, [nbytes], read-only."""

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on."""

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back."""

    def check_unchanged(self) -> None:
        """Raise ModelFileError when a file was cut short or written to since it was opened."""

    def close(self) -> None:
        """Give the files back."""
