"""What a file is, said of real checkpoints, of what people get instead, and of noise."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from furet.errors import NotFound
from furet.files.kind import kind_of, kind_of_bytes

FOLDER = Path(__file__).with_name("checkpoints")


@pytest.mark.parametrize(
    ("file", "name", "opens"),
    [
        ("zip.pt", "torch zip", True),
        ("zip-protocol5.pt", "torch zip", True),
        ("legacy.pt", "torch legacy", True),
        ("legacy-protocol4.pt", "torch legacy", True),
        ("torchscript.pt", "torchscript", False),
        ("whole.safetensors", "safetensors", True),
        ("model.safetensors.index.json", "index", True),
        ("model.bin.index.json", "index", True),
    ],
)
def test_checkpoints(file, name, opens):
    kind = kind_of(FOLDER / file)
    assert (kind.name, kind.opens) == (name, opens)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty"),
        (b"GGUF\3\0\0\0", "gguf"),
        (b"FUGG\0\0\0\3", "gguf"),
        (b"lmgg" + bytes(60), "ggml"),
        (b"fmgg" + bytes(60), "ggmf"),
        (b"tjgg" + bytes(60), "ggjt"),
        (b"ccgg" + bytes(60), "ggcc"),
        (b"algg" + bytes(60), "ggla"),
        (b"\x80\x04\x95" + bytes(60), "pickle"),
        (b"PK\3\4" + bytes(60), "zip"),
        (b"sys_info\0".ljust(257, b"\0") + b"ustar" + bytes(300), "torch tar"),
        (b"model.gguf".ljust(257, b"\0") + b"ustar" + bytes(300), "tar"),
        (b"\x1f\x8b\x08" + bytes(60), "gzip"),
        (b"(\xb5/\xfd" + bytes(60), "zstd"),
        (b"\xfd7zXZ\0" + bytes(60), "xz"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "hdf5"),
        (b"\x93NUMPY\1\0" + bytes(60), "numpy"),
        (b"\x08\x07\x12\x07pytorch" + bytes(60), "onnx"),
        (b"\x1c\0\0\0TFL3" + bytes(60), "tflite"),
        (b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\2" + bytes(9), "sentencepiece"),
        (b"MZqFpD='\n", "llamafile"),
        (b"\x7fELF\2\1\1" + bytes(60), "program"),
        (b"%PDF-1.7\n", "pdf"),
        (b"<!DOCTYPE html><html></html>", "html"),
        (b'{"error": "not found"}', "json"),
        (b"Invalid username or password.", "text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (bytes(4096), "zeros"),
        (b"\x81\x92\xa3\xb4" * 200, "unknown"),
    ],
)
def test_first_bytes(data, name):
    kind = kind_of_bytes(data[:512], len(data))
    assert kind.name == name
    assert kind.says.isprintable() and kind.hint


def test_an_archive_that_was_cut_short(tmp_path):
    path = tmp_path / "cut.pt"
    path.write_bytes((FOLDER / "zip.pt").read_bytes()[:-30])
    kind = kind_of(path)
    assert kind.name == "torch zip" and "cut short" in kind.says and "download" in kind.hint


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("model.gguf.part", "was not finished"),
        ("model.gguf.crdownload", "was not finished"),
        ("model.gguf-split-a", "one piece"),
        ("model.gguf.part1of2", "one piece"),
        ("model.safetensors.001", "one piece"),
    ],
)
def test_the_name_of_a_file_tells_too(file, says):
    assert says in kind_of_bytes(b"GGUF\3\0\0\0", 100, file).says


def test_folders_and_what_is_not_there(tmp_path):
    assert kind_of(tmp_path).name == "folder"
    (tmp_path / "config.json").write_text("{}")
    assert "Hugging Face" in kind_of(tmp_path).says
    with pytest.raises(NotFound):
        kind_of(tmp_path / "absent")


def test_noise_never_fails():
    rng = random.Random(5)
    for _ in range(2000):
        data = rng.randbytes(rng.randrange(600))
        assert kind_of_bytes(data[:512], len(data)).name
