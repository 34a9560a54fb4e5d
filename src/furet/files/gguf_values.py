"""Metadata values of a GGUF file: the wire types, and arrays that are decoded only when asked for.

A vocabulary is some 150,000 strings and its merges as many again. Most commands never look at them, so an
array keeps the bytes it was found in and decodes on access. Strings of an array may be any bytes (a token can
be half a character): take them as `blobs()`, or as `strings()` with U+FFFD where they are not UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, overload

from furet.files.tensor_file import ByteOrder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Held: TypeAlias = bytes | bytearray  # the header, in memory
MARK: dict[ByteOrder, Literal["<", ">"]] = {
    "little": "<",
    "big": ">",
}  # what struct and NumPy call the two orders


class ValueType(IntEnum):
    """Type of a metadata value; the number is its id in the file."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


FORMAT: dict[ValueType, str] = {
    ValueType.UINT8: "B",
    ValueType.INT8: "b",
    ValueType.UINT16: "H",
    ValueType.INT16: "h",
    ValueType.UINT32: "I",
    ValueType.INT32: "i",
    ValueType.FLOAT32: "f",
    ValueType.BOOL: "?",
    ValueType.UINT64: "Q",
    ValueType.INT64: "q",
    ValueType.FLOAT64: "d",
}
WIDTH: dict[ValueType, int] = {kind: struct.calcsize("<" + code) for kind, code in FORMAT.items()}


class NumberArray(Sequence[Any]):
    """An array of one numeric type (or bool), read in place; elements come out as int, float or bool."""

    def __init__(self, data: Held, start: int, count: int, kind: ValueType, order: ByteOrder) -> None:
        self.type = kind
        self._data, self._start, self._count, self._order = data, start, count, order

    def numpy(self) -> NDArray[np.generic]:
        """All elements [n], read-only and without a copy, in the file's byte order."""
        import numpy as np

        kind = np.dtype(FORMAT[self.type]).newbyteorder(MARK[self._order])
        array: NDArray[np.generic] = np.frombuffer(self._data, kind, self._count, self._start)
        array.flags.writeable = False  # the header's buffer may be a bytearray
        return array

    def tolist(self) -> list[Any]:
        """All elements as Python numbers."""
        layout = f"{MARK[self._order]}{self._count}{FORMAT[self.type]}"
        return list(struct.unpack_from(layout, self._data, self._start))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.tolist()[index]
        at = self._start + range(self._count)[index] * WIDTH[self.type]
        return struct.unpack_from(MARK[self._order] + FORMAT[self.type], self._data, at)[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return _is_list(other) and self.tolist() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._count} x {self.type.name.lower()}>"


class StringArray(Sequence[str]):
    """An array of strings, kept as the bytes of the file."""

    type = ValueType.STRING

    def __init__(self, data: Held, start: int, stop: int, count: int, length: struct.Struct) -> None:
        self._data, self._start, self._stop, self._count = data, start, stop, count
        self._length = length  # how the length before each string is encoded
        self._starts: Sequence[int] = ()

    @property
    def raw(self) -> bytes:
        """The whole array as it lies in the file, lengths included: the cheapest thing to hash."""
        return bytes(memoryview(self._data)[self._start : self._stop])

    def blobs(self) -> list[bytes]:
        """All strings as bytes."""
        raw, unpack, width = self.raw, self._length.unpack_from, self._length.size
        found = []
        at = 0
        for _ in range(self._count):
            stop = at + width + unpack(raw, at)[0]
            found.append(raw[at + width : stop])
            at = stop
        return found

    def strings(self) -> list[str]:
        """All strings as text, U+FFFD standing for what is not UTF-8."""
        return [blob.decode("utf-8", "replace") for blob in self.blobs()]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self.strings()[index]
        if not self._starts:
            self._starts = self._walk()
        at = self._starts[index]
        (length,) = self._length.unpack_from(self._data, at)
        at += self._length.size
        return self._data[at : at + length].decode("utf-8", "replace")

    def _walk(self) -> Sequence[int]:
        """Where each string's length begins, so that indexing is not a walk from the start every time."""
        from array import array

        starts = array("Q")
        at = self._start
        for _ in range(self._count):
            starts.append(at)
            at += self._length.size + self._length.unpack_from(self._data, at)[0]
        return starts

    def __iter__(self) -> Iterator[str]:
        return iter(self.strings())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StringArray):
            return self.blobs() == other.blobs()
        return _is_list(other) and self.strings() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._count} x string>"


Array: TypeAlias = NumberArray | StringArray
Value: TypeAlias = int | float | bool | str | NumberArray | StringArray | tuple["Value", ...]


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
