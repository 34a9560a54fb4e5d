"""What is written reads back equal, in every version and byte order; a failed write leaves nothing behind."""

from __future__ import annotations

import errno
import os
import struct

import numpy as np
import pytest

from furet.dtypes import TensorType
from furet.errors import BadRequest, FuretError, UnsupportedModel
from furet.files.gguf import ValueType, open_gguf, write_gguf
from furet.files.gguf_endian import _WIDE, swapped

METADATA = {
    "general.architecture": "llama",
    "text.empty": "",
    "int.small": 7,
    "int.negative": -7,
    "int.wide": 1 << 40,
    "int.wide.negative": -(1 << 40),
    "float": 0.5,
    "bool": True,
    "array.int": [1, 2, 3],
    "array.mixed.sign": [1, -2, 3],
    "array.float": [0.5, 1, -2.25],
    "array.bool": [True, False],
    "array.text": ["a", "", "ä"],
    "array.empty": [],
    "array.nested": [[1, 2], [], [3]],
    "array.numpy": np.array([1.5, -2.5], np.float64),
    "array.bytes": [b"\xff\xfe", b"ok"],
}
TYPES = {
    "int.small": ValueType.UINT32,
    "int.negative": ValueType.INT32,
    "int.wide": ValueType.UINT64,
    "int.wide.negative": ValueType.INT64,
    "float": ValueType.FLOAT32,
    "bool": ValueType.BOOL,
    "general.architecture": ValueType.STRING,
    "array.int": ValueType.ARRAY,
}
LAYOUTS = [(version, order) for version in (1, 2, 3) for order in ("little", "big")]


def tensors(rng):
    """One tensor of every type that has a big-endian form."""
    for kind in TensorType:
        if kind in _WIDE:
            shape = (3, 2 * kind.block)
            yield kind.name, kind, shape, rng.integers(0, 256, 3 * kind.row_bytes(shape[-1]), dtype=np.uint8)


@pytest.mark.parametrize(("version", "order"), LAYOUTS)
def test_everything_reads_back_equal(version, order, tmp_path):
    path = tmp_path / "model.gguf"
    written = list(tensors(np.random.default_rng(0)))
    write_gguf(path, METADATA, written, version=version, byteorder=order)
    with open_gguf(path) as model:
        assert (model.version, model.byteorder) == (version, order)
        assert list(model.metadata) == list(METADATA)
        for key, value in METADATA.items():
            if key == "array.bytes":
                assert model.metadata[key].blobs() == value
            elif key == "array.nested":
                assert [list(part) for part in model.metadata[key]] == value
            else:
                assert model.metadata[key] == (list(value) if key == "array.numpy" else value)
        assert TYPES.items() <= model.types.items()
        assert model.metadata["array.numpy"].type is ValueType.FLOAT64
        for name, kind, shape, data in written:
            assert (model.tensors[name].type, model.tensors[name].shape) == (kind, shape)
            found = model.data(name)
            np.testing.assert_array_equal(found if order == "little" else swapped(kind, found), data)


def test_a_copy_keeps_the_types_and_the_bytes_of_strings(tmp_path):
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    types = {"small": ValueType.UINT8, "exact": ValueType.FLOAT64, "signed": ValueType.INT16}
    write_gguf(first, {**METADATA, "small": 3, "exact": 0.1, "signed": 5}, [], types=types, alignment=64)
    with open_gguf(first) as model:
        write_gguf(second, model.metadata, [], types=model.types, alignment=model.alignment)
        assert types.items() <= model.types.items()
        assert model.metadata["exact"] == 0.1
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("alignment", [8, 32, 4096])
def test_every_tensor_is_aligned_and_so_is_the_end(alignment, tmp_path):
    path = tmp_path / "model.gguf"
    write_gguf(path, {}, [(name, TensorType.I8, (5,), b"12345") for name in "abc"], alignment=alignment)
    with open_gguf(path) as model:
        assert model.alignment == alignment
        assert all(tensor.offset % alignment == 0 for tensor in model.tensors.values())
        assert bytes(model.data("c")) == b"12345"
    assert path.stat().st_size % alignment == 0


def test_arrays_of_any_layout_are_written_in_order_and_little_endian(tmp_path):
    path = tmp_path / "model.gguf"
    wide = np.arange(24, dtype=np.float32).reshape(4, 6)
    given = [
        ("transposed", TensorType.F32, (6, 4), wide.T),
        ("strided", TensorType.F32, (4, 3), wide[:, ::2]),
        ("big", TensorType.F32, (4, 6), wide.astype(">f4")),
        ("late", TensorType.F32, (4, 6), lambda: wide),
        ("scalar", TensorType.F32, (), np.float32(3).tobytes()),
        ("view", TensorType.F32, (6,), memoryview(wide[1])),
    ]
    write_gguf(path, {}, given)
    with open_gguf(path) as model:

        def read(name):
            return model.data(name).view(np.float32).reshape(model.tensors[name].shape)

        np.testing.assert_array_equal(read("transposed"), wide.T)
        np.testing.assert_array_equal(read("strided"), wide[:, ::2])
        np.testing.assert_array_equal(read("big"), wide)
        np.testing.assert_array_equal(read("late"), wide)
        np.testing.assert_array_equal(read("view"), wide[1])
        assert read("scalar") == 3


def test_tensor_data_is_asked_for_one_tensor_at_a_time(tmp_path):
    alive = []

    def make(number):
        def data():
            alive.append(number)
            assert [entry.suffix for entry in tmp_path.iterdir()] == [".part"]
            return bytes(32)

        return data

    write_gguf(tmp_path / "m.gguf", {}, [(f"w{i}", TensorType.F32, (8,), make(i)) for i in range(3)])
    assert alive == [0, 1, 2]


@pytest.mark.parametrize(
    ("metadata", "rows", "options", "says"),
    [
        ({"": 1}, [], {}, "name"),
        ({"a\n": 1}, [], {}, "name"),
        ({"k": None}, [], {}, "metadata key k"),
        ({"k": [1, "a"]}, [], {}, "metadata key k"),
        ({"k": 1 << 64}, [], {}, "metadata key k"),
        ({"k": [1, None]}, [], {}, "metadata key k"),
        ({"k": np.zeros(2, np.float16)}, [], {}, "metadata key k"),
        ({"k": 300}, [], {"types": {"k": ValueType.UINT8}}, "metadata key k"),
        ({"k": 1e300}, [], {}, "metadata key k"),
        ({"k": "\ud800"}, [], {}, "metadata key k"),
        ({}, [("w", TensorType.F32, (2,), bytes(7))], {}, "7 bytes given"),
        ({}, [("w", TensorType.F32, (2,), np.zeros(2))], {}, "16 bytes given"),
        ({}, [("w", TensorType.Q4_0, (2, 33), bytes(40))], {}, "multiple of 32"),
        ({}, [("w", TensorType.F32, (0,), b"")], {}, "none of them 0"),
        ({}, [("w", TensorType.F32, (1,) * 5, bytes(4))], {}, "at most 4"),
        ({}, [("w", TensorType.F32, (1,), bytes(4))] * 2, {}, "twice"),
        ({}, [("w" * 256, TensorType.F32, (1,), bytes(4))], {}, "1 to 255"),
        ({}, [], {"version": 4}, "version 4"),
        ({}, [], {"alignment": 24}, "alignment 24"),
    ],
)
def test_what_gguf_cannot_hold_is_refused_and_nothing_is_left(metadata, rows, options, says, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"what was there before")
    with pytest.raises(BadRequest, match=says):
        write_gguf(path, metadata, rows, **options)
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"what was there before")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FuretError, match="No space left"):
        write_gguf(path, {}, [])
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]


def test_a_file_that_cannot_fit_is_refused_before_writing(tmp_path):
    huge = [("w", TensorType.I8, (1 << 40, 1 << 10), lambda: pytest.fail("asked for data"))]
    with pytest.raises(FuretError, match="the disk has"):
        write_gguf(tmp_path / "model.gguf", {}, huge)
    with pytest.raises(FuretError, match="No such file"):
        write_gguf(tmp_path / "nowhere" / "model.gguf", {}, [])


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    write_gguf(tmp_path / "model.gguf", {}, [])
    assert (tmp_path / "model.gguf").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("kind", list(_WIDE), ids=lambda kind: kind.name)
def test_turning_bytes_round_twice_gives_the_original(kind):
    data = np.arange(3 * kind.block_bytes, dtype=np.uint32).astype(np.uint8)
    np.testing.assert_array_equal(swapped(kind, swapped(kind, data)), data)


def test_a_big_endian_block_has_its_scale_reversed_and_its_weights_in_place(tmp_path):
    block = struct.pack("<e", 0.5) + bytes(range(16))
    assert (
        bytes(swapped(TensorType.Q4_0, np.frombuffer(block, np.uint8))) == struct.pack(">e", 0.5) + block[2:]
    )
    wide = struct.pack("<f", 1.5) + bytes(range(256)) + struct.pack("<16h", *range(-8, 8))
    turned = struct.pack(">f", 1.5) + bytes(range(256)) + struct.pack(">16h", *range(-8, 8))
    assert bytes(swapped(TensorType.Q8_K, np.frombuffer(wide, np.uint8))) == turned


def test_types_without_a_big_endian_form_are_refused(tmp_path):
    with pytest.raises(UnsupportedModel, match="IQ2_XS"):
        rows = [("w", TensorType.IQ2_XS, (256,), bytes(74))]
        write_gguf(tmp_path / "model.gguf", {}, rows, byteorder="big")
    assert list(tmp_path.iterdir()) == []
