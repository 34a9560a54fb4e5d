"""What becomes of a GGML file that may be damaged: a typed error, or a model that really is valid."""

from __future__ import annotations

from pathlib import Path

from furet.convert.old_ggml import as_gguf
from furet.errors import FuretError
from furet.files.ggml import GGML, open_ggml


def outcome(path: Path) -> str:
    """The name of the error's class, or 'valid' once all was read that it holds; the rest propagates."""
    try:
        model = open_ggml(path)
    except FuretError as error:
        assert error.message.replace("\n", "").isprintable(), error.message
        return type(error).__name__
    with model:
        _read_everything(model)
        try:
            seen = as_gguf(model)
        except FuretError as error:
            return f"{type(error).__name__} of its meaning"
        for name, info in seen.tensors.items():
            assert len(seen.data(name)) == info.nbytes
    return "valid"


def _read_everything(model: GGML) -> None:
    """Use all that an open model offers, and check that tensors neither overlap nor leave the file."""
    assert len(model.vocabulary) in (0, model.header["n_vocab"], model.header["n_vocab"] - 1)
    assert all(isinstance(word, bytes) for word, _ in model.vocabulary)
    end = 0
    for stored in sorted(model.stored.values(), key=lambda stored: stored.pieces[0][1]):
        assert stored.pieces[0][1] > end
        end = stored.pieces[0][1] + stored.nbytes
        data = model.data(stored.name)
        assert data.shape == (model.tensors[stored.name].nbytes,)
        assert not data.flags.writeable
    assert end == model.file_bytes  # every byte is accounted for
