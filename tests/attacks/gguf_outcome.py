"""What becomes of a GGUF file that may be damaged: a typed error, or a model that really is valid."""

from __future__ import annotations

from pathlib import Path

from furet.errors import FuretError
from furet.files.gguf import GGUF, Header, NeedMoreBytes, NumberArray, StringArray, open_gguf, read_header


def outcome(path: Path, *, read: bool = True) -> str:
    """The name of the error's class, or 'valid' once all was read that it holds; the rest propagates."""
    try:
        model = open_gguf(path)
    except FuretError as error:
        assert error.message.isprintable(), error.message
        return type(error).__name__
    with model:
        if read:
            read_everything(model)
    return "valid"


def read_everything(model: GGUF) -> None:
    """Use all that an open model offers, and check that what it says about its tensors is true."""
    assert model.file_bytes == model.path.stat().st_size
    for key, value in model.metadata.items():
        assert key.isprintable()
        _read(value)
    end = model.header_bytes
    for tensor in sorted(model.tensors.values(), key=lambda tensor: tensor.offset):
        assert tensor.offset >= end
        assert tensor.offset % model.alignment == 0
        end = tensor.offset + tensor.nbytes
        data = model.data(tensor.name)
        assert data.shape == (tensor.nbytes,)
        assert not data.flags.writeable
        int(data[0]) + int(data[-1])
    assert end <= model.file_bytes


def _read(value: object) -> None:
    if isinstance(value, StringArray):
        assert len(value.strings()) == len(value.blobs()) == len(value)
        assert not len(value) or value[-1] == value.strings()[-1]
    elif isinstance(value, NumberArray):
        assert len(value.tolist()) == len(value.numpy()) == len(value)
    elif isinstance(value, tuple):
        for item in value:
            _read(item)


def in_pieces(data: bytes, first: int) -> Header:
    """Read a header as from a far server: a prefix, and a longer one whenever it is asked for."""
    wanted = first
    while True:
        try:
            return read_header(data[:wanted], len(data))
        except NeedMoreBytes as more:
            assert wanted < more.wanted <= len(data)
            wanted = more.wanted
