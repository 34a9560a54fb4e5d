"""Values to blocks: by hand, against the `gguf` package, and back within what the type can hold."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.errors import UnsupportedModel
from furet.quant import CHUNK, decode, encode

ENCODED = (TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0)


def stored(kind: TensorType, values: list[float]) -> str:
    return encode(kind, np.array(values, np.float32)).tobytes().hex(" ").upper()


def test_f16_by_hand() -> None:
    assert stored(TensorType.F16, [-1.5, 2.0**-24]) == "00 BE 01 00"
    # Between 1 and 1 + 2^-10: half-way goes to the even one, a little more goes up.
    assert stored(TensorType.F16, [1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-20]) == "00 3C 02 3C 01 3C"
    assert stored(TensorType.F16, [65504, 1e6, -1e6]) == "FF 7B 00 7C 00 FC"


def test_bf16_by_hand() -> None:
    assert stored(TensorType.BF16, [-1.5, 0.0, -0.0]) == "C0 BF 00 00 00 80"
    assert stored(TensorType.BF16, [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-16]) == "80 3F 82 3F 81 3F"
    assert stored(TensorType.BF16, [float("inf"), 3.4e38]) == "80 7F 80 7F"  # beyond the largest


def test_a_nan_stays_one_as_bf16() -> None:
    nans = np.array([0x7F800001, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    assert np.isnan(decode(TensorType.BF16, encode(TensorType.BF16, nans), (3,))).all()


def test_q8_0_by_hand() -> None:
    # d = 127 / 127 = 1 (00 3C); halves go away from zero: 0.5 -> 1, -0.5 -> -1, 2.5 -> 3
    values = [127.0, -127.0, 0.5, -0.5, 2.5, 0.49] + [0.0] * 26
    assert stored(TensorType.Q8_0, values) == "00 3C 7F 81 01 FF 03 00" + " 00" * 26
    assert stored(TensorType.Q8_0, [0.0] * 32) == " ".join(["00"] * 34)


def samples() -> NDArray[np.float32]:
    """Rows of every size, zeros and a few huge values among them."""
    random = np.random.RandomState(3)
    values = random.standard_normal((300, 64)) * np.exp2(random.randint(-30, 15, (300, 1)))
    values[7], values[8, :32], values[9, 5] = 0, 0, 6e4
    return values.astype(np.float32)


@pytest.mark.parametrize("kind", ENCODED, ids=lambda kind: kind.name)
def test_bytes_are_those_of_the_gguf_package(kind: TensorType) -> None:
    quants = pytest.importorskip("gguf.quants")
    from gguf import GGMLQuantizationType

    wanted = quants.quantize(samples(), GGMLQuantizationType[kind.name])
    np.testing.assert_array_equal(encode(kind, samples()), wanted.view(np.uint8).reshape(-1))


@pytest.mark.parametrize(
    ("kind", "share"), [(TensorType.F32, 0), (TensorType.F16, 2.0**-11), (TensorType.BF16, 2.0**-8)]
)
def test_a_float_is_met_within_half_a_step(kind: TensorType, share: float) -> None:
    values = samples()[np.abs(samples()) > 1e-4]
    back = decode(kind, encode(kind, values), values.shape)
    assert (np.abs(back - values) <= share * np.abs(values)).all()


def test_q8_0_is_met_within_half_a_step_of_its_block() -> None:
    values = samples()[:150]
    blocks = values.reshape(-1, 32)
    back = decode(TensorType.Q8_0, encode(TensorType.Q8_0, values), values.shape).reshape(-1, 32)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    normal = largest[:, 0] > 127 * 6.2e-5  # where the scale is a normal float16
    assert (np.abs(back - blocks) <= largest / 127 * (0.5 + 127 * 2.0**-11))[normal].all() and normal.sum() > 90


def test_storing_what_was_stored_changes_nothing() -> None:
    blocks = encode(TensorType.Q8_0, np.random.RandomState(4).standard_normal((64, 32)).astype(np.float32))
    again = encode(TensorType.Q8_0, decode(TensorType.Q8_0, blocks, (64, 32)))
    np.testing.assert_array_equal(decode(TensorType.Q8_0, again, (64, 32)), decode(TensorType.Q8_0, blocks, (64, 32)))


def test_a_long_tensor_is_encoded_as_its_parts() -> None:
    values = np.random.RandomState(5).standard_normal((CHUNK // 32 + 3, 32)).astype(np.float32)
    whole = encode(TensorType.Q8_0, values)
    np.testing.assert_array_equal(whole[-34 * 5 :], encode(TensorType.Q8_0, values[-5:]))


def test_a_type_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="Q4_K") as caught:
        encode(TensorType.Q4_K, np.zeros((1, 256), np.float32))
    assert "F16" in caught.value.hint and "Q8_0" in caught.value.hint
