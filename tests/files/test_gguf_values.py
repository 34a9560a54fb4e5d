"""Metadata arrays: decoded on access, equal to lists, and safe with bytes that are not text."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from furet.errors import ModelFileError
from furet.files import gguf_header
from furet.files.gguf import read_header, write_gguf
from furet.files.gguf_values import NumberArray, StringArray, ValueType

BLOBS = [b"", b"a", "äö".encode(), b"\xe2\x96", b"\xff\xfe", b"z" * 300]


def strings(order: str = "<") -> StringArray:
    layout = struct.Struct(order + "Q")
    raw = b"pad" + b"".join(layout.pack(len(blob)) + blob for blob in BLOBS) + b"after"
    return StringArray(raw, 3, len(raw) - 5, len(BLOBS), layout)


@pytest.mark.parametrize("order", ["<", ">"])
def test_strings_come_out_as_bytes_or_as_text(order):
    array = strings(order)
    assert array.blobs() == BLOBS
    assert array.strings() == [blob.decode("utf-8", "replace") for blob in BLOBS]
    assert array.strings()[3] == "\ufffd"
    assert [array[i] for i in range(-6, 6)] == array.strings() * 2
    assert array[1:3] == ["a", "äö"]
    assert list(array) == array.strings()
    with pytest.raises(IndexError):
        array[6]


def test_raw_is_the_encoded_array_and_nothing_else():
    assert len(strings().raw) == sum(map(len, BLOBS)) + 8 * len(BLOBS)


def test_an_array_equals_the_list_of_its_elements():
    assert strings() == strings(">")
    assert strings() == strings().strings()
    assert strings() != strings().strings()[:-1]
    assert strings() != "a"
    numbers = NumberArray(struct.pack("<3i", 1, -2, 3), 0, 3, ValueType.INT32, "little")
    assert numbers == [1, -2, 3]
    assert numbers != [1, -2]


@pytest.mark.parametrize(
    "kind", [kind for kind in ValueType if kind not in (ValueType.STRING, ValueType.ARRAY)]
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_numbers_of_every_type_and_order(kind, order):
    dtype = np.dtype(kind.name.lower())
    values = np.array([0, 1, 1], dtype)
    raw = values.astype(dtype.newbyteorder(order)).tobytes()
    array = NumberArray(b"x" + raw, 1, 3, kind, order)
    assert array.tolist() == values.tolist()
    assert [type(value) for value in array] == [type(value) for value in values.tolist()]
    assert array[-1] == values[-1]
    assert array[1:] == values.tolist()[1:]
    np.testing.assert_array_equal(array.numpy(), values)
    assert not array.numpy().flags.writeable
    with pytest.raises(IndexError):
        array[3]


def test_a_megabyte_of_numbers_is_not_copied():
    raw = bytes(1 << 20)
    array = NumberArray(raw, 0, 1 << 18, ValueType.FLOAT32, "little").numpy()
    assert not array.flags.owndata
    assert array.ctypes.data == np.frombuffer(raw, np.uint8).ctypes.data


@pytest.mark.parametrize(
    ("cap", "metadata"),
    [
        ("MAX_STRINGS", {"first": ["a"] * 6, "second": ["b"] * 5}),
        ("MAX_ARRAYS", {"first": [[1]] * 6, "second": [[2]] * 5}),
        ("MAX_TEXT", {"first": "123456"}),
        ("MAX_KEYS", {f"{i}": 1 for i in range(11)}),
        ("MAX_HEADER", {"first": [1] * 100}),
    ],
)
def test_caps_hold_for_the_file_as_a_whole(cap, metadata, tmp_path, monkeypatch):
    path = tmp_path / "capped.gguf"
    write_gguf(path, metadata, [])
    read_header(path.read_bytes())
    monkeypatch.setattr(gguf_header, cap, 10)
    with pytest.raises(ModelFileError):
        read_header(path.read_bytes())
