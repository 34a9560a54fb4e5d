"""Files cross over between our reader and writer and those of the `gguf` package without a difference."""

from __future__ import annotations

import numpy as np
import pytest

from furet.dtypes import TensorType
from furet.files.gguf import open_gguf, write_gguf
from furet.files.gguf_endian import swapped

gguf = pytest.importorskip("gguf")

RNG = np.random.default_rng(5)
WEIGHTS = RNG.standard_normal((6, 64)).astype(np.float32)
PACKED = {
    "Q4_0": RNG.integers(0, 256, (4, 2 * 18), dtype=np.uint8),
    "Q6_K": RNG.integers(0, 256, (2, 210), dtype=np.uint8),
}
TOKENS = ["<s>", "é", "", "\U0001f9a6"]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("alignment", [32, 128])
def test_our_reader_reads_what_their_writer_writes(order, alignment, tmp_path):
    path = tmp_path / "theirs.gguf"
    endian = gguf.GGUFEndian.LITTLE if order == "little" else gguf.GGUFEndian.BIG
    writer = gguf.GGUFWriter(path, "llama", endianess=endian)
    writer.add_custom_alignment(alignment)
    writer.add_block_count(3)
    writer.add_rope_freq_base(1e6)
    writer.add_add_bos_token(True)
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0, -1.5, -2.5, 1e30])
    writer.add_uint64("wide", 1 << 50)
    writer.add_int8("narrow", -5)
    writer.add_tensor("w", WEIGHTS)
    writer.add_tensor("half", WEIGHTS[0].astype(np.float16))
    if order == "little":
        for name, data in PACKED.items():
            writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[name])
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        step()
    writer.close()
    with open_gguf(path) as model:
        assert (model.version, model.byteorder, model.alignment) == (3, order, alignment)
        assert model.metadata["general.architecture"] == "llama"
        assert model.metadata["llama.block_count"] == 3
        assert model.metadata["llama.rope.freq_base"] == 1e6
        assert model.metadata["tokenizer.ggml.add_bos_token"] is True
        assert model.metadata["tokenizer.ggml.tokens"] == TOKENS
        assert (
            model.metadata["tokenizer.ggml.scores"] == np.array([0.0, -1.5, -2.5, 1e30], np.float32).tolist()
        )
        assert (model.metadata["wide"], model.metadata["narrow"]) == (1 << 50, -5)
        assert model.tensors["w"].shape == (6, 64)
        data = model.data("w") if order == "little" else swapped(TensorType.F32, model.data("w"))
        np.testing.assert_array_equal(data.view(np.float32).reshape(6, 64), WEIGHTS)
        assert model.tensors["half"].type is TensorType.F16
        for name, data in PACKED.items() if order == "little" else ():
            assert model.tensors[name].type is TensorType[name]
            np.testing.assert_array_equal(model.data(name), data.ravel())


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("version", [2, 3])
def test_their_reader_reads_what_our_writer_writes(order, version, tmp_path):
    path = tmp_path / "ours.gguf"
    metadata = {
        "general.architecture": "llama",
        "count": 3,
        "negative": -3,
        "factor": 0.25,
        "flag": True,
        "tokens": TOKENS,
        "scores": [0.5, -1.0],
        "offsets": [1, 2, 3],
    }
    rows = [("w", TensorType.F32, (6, 64), WEIGHTS)]
    rows += [
        (name, TensorType[name], (len(data), data.shape[1] // size * block), data)
        for (name, data), size, block in zip(PACKED.items(), (18, 210), (32, 256), strict=True)
    ]
    write_gguf(path, metadata, rows, byteorder=order, version=version, alignment=64)
    reader = gguf.GGUFReader(path)
    assert reader.alignment == 64
    for key, value in metadata.items():
        assert reader.get_field(key).contents() == value, key
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert list(found) == ["w", *PACKED]
    assert found["w"].shape.tolist() == [64, 6]
    np.testing.assert_array_equal(found["w"].data, WEIGHTS)
    with open_gguf(path) as model:
        for name, data in PACKED.items():
            assert found[name].data_offset == model.tensors[name].offset
            assert found[name].tensor_type.name == name
            if order == "little":
                np.testing.assert_array_equal(found[name].data, data)
