"""decode: which types it knows, what it gives and refuses, and the `gguf` package as a second opinion."""

from __future__ import annotations

import re

import numpy as np
import pytest

from furet.dtypes import TensorType
from furet.errors import ModelFileError, UnsupportedModel
from furet.quant import decode, supported

T = TensorType
READABLE = {
    *(T.F32, T.F16, T.BF16),
    *(T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0),
    *(T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.Q8_K),
    *(T.IQ4_NL, T.IQ4_XS, T.MXFP4, T.TQ1_0, T.TQ2_0),
}
UNREADABLE = set(TensorType) - READABLE
UNKNOWN_TO_GGUF = {T.Q8_K}  # the package has no decoder for it


def random_bytes(kind: TensorType, blocks: int) -> np.ndarray:
    """Any bytes at all: scales come out NaN and infinite now and then, and must do so in both decoders."""
    return np.random.default_rng(int(kind)).integers(0, 256, blocks * kind.block_bytes, dtype=np.uint8)


def test_the_folder_holds_the_promised_formats():
    assert set(supported()) == READABLE


@pytest.mark.parametrize("kind", sorted(READABLE - UNKNOWN_TO_GGUF), ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning:gguf")
def test_random_bytes_give_the_values_of_the_gguf_package(kind: TensorType):
    quants = pytest.importorskip("gguf.quants")
    from gguf import GGMLQuantizationType

    data = random_bytes(kind, 2000).reshape(10, -1)
    with np.errstate(all="ignore"):
        theirs = quants.dequantize(data, GGMLQuantizationType(int(kind)))
    ours = decode(kind, data.reshape(-1), theirs.shape)
    assert ours.dtype == np.float32
    number = ~np.isnan(theirs)
    assert number.mean() > 0.8, "almost nothing was compared"
    np.testing.assert_array_equal(np.isnan(ours), ~number)
    np.testing.assert_array_equal(ours[number].view(np.uint32), theirs[number].view(np.uint32))


@pytest.mark.parametrize("kind", sorted(READABLE), ids=lambda kind: kind.name)
def test_rows_are_independent(kind: TensorType):
    """Catches blocks that are mixed up once there are several."""
    data = random_bytes(kind, 6)
    rows = decode(kind, data, (3, 2 * kind.block))
    for row, values in zip(data.reshape(3, -1), rows, strict=True):
        np.testing.assert_array_equal(decode(kind, row, (2 * kind.block,)), values)


@pytest.mark.parametrize("kind", sorted(READABLE), ids=lambda kind: kind.name)
def test_bytes_of_a_file_are_left_alone(kind: TensorType):
    """A view at an odd address that cannot be written, as a mapped file gives; the values do not alias it."""
    data = np.frombuffer(b"\x00" + random_bytes(kind, 1).tobytes(), np.uint8)[1:]
    values = decode(kind, data, (1, kind.block))
    assert values.flags.writeable and not np.shares_memory(values, data)


@pytest.mark.parametrize("kind", sorted(READABLE), ids=lambda kind: kind.name)
def test_no_rows_are_no_values(kind: TensorType):
    assert decode(kind, np.empty(0, np.uint8), (0, kind.block)).shape == (0, kind.block)


def test_large_tensors_are_decoded_in_parts(monkeypatch: pytest.MonkeyPatch):
    data = random_bytes(T.Q4_1, 77)
    whole = decode(T.Q4_1, data, (77, 32))
    monkeypatch.setattr("furet.quant.CHUNK", 10 * 32)  # seven parts of ten blocks and one of seven
    np.testing.assert_array_equal(decode(T.Q4_1, data, (77, 32)), whole)


@pytest.mark.parametrize("kind", sorted(UNREADABLE), ids=lambda kind: kind.name)
def test_other_types_are_refused_by_name(kind: TensorType):
    with pytest.raises(UnsupportedModel, match=rf"\b{kind.name}\b") as refusal:
        decode(kind, random_bytes(kind, 1), (1, kind.block))
    assert "Q4_K" in refusal.value.hint


@pytest.mark.parametrize("given", [0, 17, 19, 36])
def test_bytes_and_shape_must_agree(given: int):
    with pytest.raises(ModelFileError, match=re.escape(f"[1, 32] values of Q4_0 take 18 bytes, got {given}")):
        decode(TensorType.Q4_0, np.zeros(given, np.uint8), (1, 32))


def test_a_row_is_whole_blocks():
    with pytest.raises(ModelFileError, match="Q4_0 stores 32 values to a block, but a row has 16"):
        decode(TensorType.Q4_0, np.zeros(18, np.uint8), (2, 16))
