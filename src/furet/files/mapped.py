"""Files mapped into memory, and tensors that lie in them.

Reading a mapped page that no longer exists kills the process, whatever the language. So headers are read
into memory of their own, where no change of the file can reach them, and `check_unchanged` comes before every
use of data in a file that others may write to. (Only the core, which reads for long, survives a change in between.)
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from furet.errors import ModelFileError, NotFound
from furet.files.tensor_file import ByteOrder, TensorInfo

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self


class MappedFile:
    """One open file, made by `map_file`; threads may share it.

    size    bytes when it was opened
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self.path = path
        self.size = status.st_size
        self._file = file
        self._modified = status.st_mtime_ns
        self._mapped: mmap.mmap | bytes = b""
        if self.size:  # an empty file cannot be mapped
            try:
                self._mapped = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise self.cut_short() from error

    def data(self, offset: int, nbytes: int) -> NDArray[np.uint8]:
        """Bytes of the file, [nbytes], read-only and without a copy; ModelFileError when it has changed."""
        import numpy as np

        self.check_unchanged()
        return np.frombuffer(self._mapped, np.uint8, nbytes, offset)

    def prefix(self, count: int) -> bytearray:
        """A copy of the first `count` bytes, or of the whole file if it is shorter."""
        return self.copy(0, min(count, self.size))

    def copy(self, offset: int, nbytes: int) -> bytearray:
        """A copy of bytes that the file had when it was opened, not made through the mapping."""
        data = bytearray(nbytes)
        self.read(offset, memoryview(data))
        return data

    def read(self, offset: int, out: memoryview) -> None:
        """Fill `out` from `offset` on, without touching the mapping.

        A few bytes read through the mapping may make megabytes around them count as this process's memory.
        Raises ModelFileError when the file was cut short.
        """
        assert offset + len(out) <= self.size, f"{self.path} ends before byte {offset + len(out)}"
        if not hasattr(os, "preadv"):
            out[:] = self._mapped[offset : offset + len(out)]
            return
        done = 0
        while done < len(out):
            got = os.preadv(self._file.fileno(), [out[done:]], offset + done)
            if not got:
                raise self.cut_short()
            done += got

    def release(self, offset: int, nbytes: int) -> None:
        """Give the memory of these bytes' pages back; they stay readable, from the file again."""
        first = offset // mmap.PAGESIZE * mmap.PAGESIZE
        if nbytes and isinstance(self._mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED, first, offset + nbytes - first)

    def check_unchanged(self) -> None:
        """Raise ModelFileError when the file was cut short or written to since it was opened (microseconds).

        Replacing the file by renaming another over it is harmless: the old one lives on until it is closed.
        """
        status = os.fstat(self._file.fileno())
        if status.st_size < self.size:
            raise self.cut_short()
        if (status.st_size, status.st_mtime_ns) != (self.size, self._modified):
            raise ModelFileError("was written to while it was open", "load the model again", path=self.path)

    def cut_short(self) -> ModelFileError:
        """The error for a file that is shorter than it was."""
        hint = "put the whole file back, then load it again"
        return ModelFileError("was cut short while it was open", hint, path=self.path)

    def close(self) -> None:
        """Give the file back; arrays taken from `data` stay valid, and their mapping with them."""
        self._file.close()
        if isinstance(self._mapped, mmap.mmap):
            with contextlib.suppress(BufferError):  # an array is held; the mapping goes with the last one
                self._mapped.close()


def map_file(path: Path, wanted: str) -> MappedFile:
    """Open a regular file.

    wanted  what kind of file it should be, for messages, with its article
    raises  NotFound when there is none, ModelFileError when it cannot be read or is a directory
    """
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            what = "a directory" if stat.S_ISDIR(kind) else "not a regular file"
            raise ModelFileError(f"is {what}, wanted {wanted}", "name the model file itself", path=path)
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        hint = "check the spelling; `furet ls` lists what is here"
        raise NotFound(f"{str(path)!r}: no such file", hint) from error
    except OSError as error:
        says = f"cannot be opened: {error.strerror}"
        raise ModelFileError(says, "check its permissions", path=path) from error
    try:
        return MappedFile(path, file)
    except OSError as error:
        file.close()
        says = f"cannot be read: {error.strerror}"
        raise ModelFileError(says, "check the disk it is on", path=path) from error
    except BaseException:
        file.close()
        raise


class MappedTensors:
    """Tensors that lie in mapped files, each in one piece: the base of the formats' own classes.

    path        the file that was asked for
    paths       of all files
    file_bytes  of all files
    """

    byteorder: ByteOrder = "little"

    def __init__(self, path: Path, files: Sequence[MappedFile], tensors: Mapping[str, TensorInfo]) -> None:
        self.path = path
        self.paths = tuple(file.path for file in files)
        self.file_bytes = sum(file.size for file in files)
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(dict(tensors))
        self._files = files

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor as they lie in the file, [nbytes], read-only, without a copy.

        Raises KeyError for an unknown name, ModelFileError when the file has changed since it was opened.
        """
        tensor = self.tensors[name]
        return self._files[tensor.shard].data(tensor.offset, tensor.nbytes)

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on, without touching the mapping.

        Raises ModelFileError when the file was cut short.
        """
        tensor = self.tensors[name]
        assert offset + len(out) <= tensor.nbytes, f"{name} ends before byte {offset + len(out)}"
        self._files[tensor.shard].read(tensor.offset + offset, out)

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back; its data stays readable, from the file again."""
        tensor = self.tensors[name]
        self._files[tensor.shard].release(tensor.offset, tensor.nbytes)

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
        kind = type(self).__name__
        return f"<{kind} {self.path.name}: {len(self.tensors)} tensors, {self.file_bytes} bytes>"


def close_all(files: Sequence[MappedFile]) -> None:
    """Close every one of `files`."""
    for file in files:
        file.close()
