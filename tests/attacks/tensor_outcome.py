"""What becomes of a file of tensors that may be damaged: a typed error, or a model that really is valid."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

from furet.errors import FuretError
from furet.files.tensor_file import TensorFile


def outcome(opener: Callable[[Path], TensorFile], path: Path, *, read: bool = True) -> str:
    """The name of the error's class, or 'valid' once all was read that the file holds; the rest propagates."""
    try:
        model = opener(path)
    except FuretError as error:
        assert error.message.isprintable(), error.message
        return type(error).__name__
    try:
        if read:
            read_everything(model)
    finally:
        model.close()
    return "valid"


def put(path: Path, data: bytes) -> None:
    """Write a file anew; some file systems put it on the disk at once when it is written over."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def read_everything(model: TensorFile) -> None:
    """Use all that an open model offers, and check that what it says about its tensors is true."""
    assert model.file_bytes == model.path.stat().st_size
    assert model.byteorder in ("little", "big")
    for name, tensor in model.tensors.items():
        assert name == tensor.name and name.isprintable() and name
        assert tensor.nbytes == prod(tensor.shape) * tensor.type.block_bytes
        assert 0 <= tensor.offset <= model.file_bytes and tensor.nbytes <= model.file_bytes
        data = model.data(name)
        assert data.shape == (tensor.nbytes,) and data.dtype.itemsize == 1
        assert not data.flags.writeable
        if tensor.nbytes:
            out = bytearray(1)
            model.read(name, tensor.nbytes - 1, memoryview(out))
            assert out[0] == int(data[-1])
        model.release(name)
