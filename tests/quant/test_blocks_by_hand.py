"""Every format against a block decoded by hand; the expected values show their arithmetic.

Halves used below: 0.25 = 00 34, 0.5 = 00 38, 1 = 00 3C, 2 = 00 40, -2 = 00 C0 (little endian).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.quant import decode

RAMP = (
    "10 32 54 76 98 BA DC FE " * 2
)  # halves: 0 2 4 .. 14 twice in the low nibbles, 1 3 5 .. 15 twice in the high


def values(kind: TensorType, block: str | bytes) -> NDArray[np.float32]:
    data = np.frombuffer(bytes.fromhex(block) if isinstance(block, str) else block, np.uint8)
    return decode(kind, data, (1, kind.block))[0]


def check(kind: TensorType, block: str | bytes, expected: list[float] | NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(values(kind, block), np.array(expected, np.float32))


def test_f32():
    check(TensorType.F32, "00 00 C0 3F", [1.5])  # sign 0, exponent 127, mantissa 1.1b


def test_f16():
    check(TensorType.F16, "00 BE", [-1.5])  # sign 1, exponent 15, mantissa 1.1b
    check(TensorType.F16, "01 00", [2.0**-24])  # the smallest subnormal


def test_bf16():
    check(TensorType.BF16, "C0 BF", [-1.5])  # the upper half of BF C0 00 00


def test_q4_0():
    low = [-4, -3, -2, -1, 0, 1, 2, 3]  # 0.5 * (0 - 8), 0.5 * (2 - 8), ... 0.5 * (14 - 8)
    high = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]  # 0.5 * (1 - 8), ... 0.5 * (15 - 8)
    check(TensorType.Q4_0, "00 38" + RAMP, low * 2 + high * 2)


def test_q4_1():
    low = [-2, -1, 0, 1, 2, 3, 4, 5]  # 0.5 * 0 - 2, 0.5 * 2 - 2, ... 0.5 * 14 - 2
    high = [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]  # 0.5 * 1 - 2, ... 0.5 * 15 - 2
    check(TensorType.Q4_1, "00 38 00 C0" + RAMP, low * 2 + high * 2)


def test_q5_0():
    with_bit = [0, 1, 2, 3, 4, 5, 6, 7]  # bits 0 to 7 are set: 0.5 * (16 + 0 - 16), ... 0.5 * (16 + 14 - 16)
    without = [-8, -7, -6, -5, -4, -3, -2, -1]  # 0.5 * (0 - 16), ... 0.5 * (14 - 16)
    high = [-7.5, -6.5, -5.5, -4.5, -3.5, -2.5, -1.5, -0.5]  # 0.5 * (1 - 16), ... 0.5 * (15 - 16)
    last = [7.5]  # bit 31 is set: 0.5 * (16 + 15 - 16)
    check(TensorType.Q5_0, "00 38 FF 00 00 80" + RAMP, with_bit + without + high + high[:7] + last)


def test_q5_1():
    low = [-2, -1, 0, 1, 2, 3, 4, 5]  # 0.5 * 0 - 2, ... 0.5 * 14 - 2
    high = [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]  # 0.5 * 1 - 2, ... 0.5 * 15 - 2
    raised = [6, 7, 8, 9, 10, 11, 12, 13]  # bits 8 to 15 are set: 0.5 * (16 + 0) - 2, ...
    check(TensorType.Q5_1, "00 38 00 C0 00 FF 00 00" + RAMP, low + raised + high * 2)


def test_q8_0():
    quants = "00 01 7F 80 FF" + "00" * 27
    check(
        TensorType.Q8_0, "00 38" + quants, [0, 0.5, 63.5, -64, -0.5] + [0] * 27
    )  # 0.5 * 0, 1, 127, -128, -1


def test_q8_k():
    quants = "01" + "00" * 254 + "80"
    sums = "FF" * 32  # take no part
    check(TensorType.Q8_K, "00 00 80 3E" + quants + sums, [0.25] + [0] * 254 + [-32])  # 0.25 * 1 and * -128


def test_q2_k():
    block = bytearray(84)
    block[:16] = bytes(b | (15 - b) << 4 for b in range(16))  # block b: scale b, minimum 15 - b
    block[16] = 0b11_10_01_00  # values 0, 32, 64, 96 have q = 0, 1, 2, 3
    block[16 + 63] = 0b01_00_00_10  # values 128 + 31 + 0, 32, 64, 96 have q = 2, 0, 0, 1
    block[80:] = bytes.fromhex("00 38 00 34")  # d = 0.5, m = 0.25
    expected = np.repeat([-0.25 * (15 - b) for b in range(16)], 16)  # where q = 0
    expected[32] = 0.5 * 2 * 1 - 0.25 * 13  # block 2
    expected[64] = 0.5 * 4 * 2 - 0.25 * 11  # block 4
    expected[96] = 0.5 * 6 * 3 - 0.25 * 9  # block 6
    expected[159] = 0.5 * 9 * 2 - 0.25 * 6  # block 9
    expected[255] = 0.5 * 15 * 1 - 0.25 * 0  # block 15
    check(TensorType.Q2_K, bytes(block), expected)


def test_q3_k():
    block = bytearray(110)
    block[0] = 0b1000_0001  # third bit of values 0 and 128 + 96
    block[32] = 0b11_10_01_00  # lower bits of values 0, 32, 64, 96
    block[96] = 0x53  # lower bits of scale 0 are 3, of scale 8 are 5
    block[104] = 0b11_01_00_10  # upper bits of scales 0, 4, 8, 12 are 2, 0, 1, 3
    block[108:] = bytes.fromhex("00 38")  # d = 0.5
    scale = np.full(16, -32)  # 0 - 32
    scale[0] = 2 * 16 + 3 - 32
    scale[8] = 1 * 16 + 5 - 32
    scale[12] = 3 * 16 + 0 - 32
    expected = np.repeat(0.5 * scale * -4, 16)  # q = 0
    expected[0] = 0.5 * 3 * (4 + 0 - 4)
    expected[32] = 0.5 * -32 * (1 - 4)  # block 2
    expected[64] = 0.5 * -32 * (2 - 4)  # block 4
    expected[96] = 0.5 * -32 * (3 - 4)  # block 6
    expected[224] = 0.5 * -32 * (4 + 0 - 4)  # block 14
    check(TensorType.Q3_K, bytes(block), expected)


K_HEADER = bytes.fromhex("00 38 00 34") + bytes(  # d = 0.5, m = 0.25
    [
        0b10_000011,  # scale of block 0 is 3; upper bits of the scale of block 4 are 2
        0,
        0,
        0b01_000000,  # scale of block 3 is 0; upper bits of the scale of block 7 are 1
        0b11_000101,  # minimum of block 0 is 5; upper bits of the minimum of block 4 are 3
        0,
        0,
        0b00_000111,  # minimum of block 3 is 7; upper bits of the minimum of block 7 are 0
        0x96,  # block 4: lower bits of the scale are 6, of the minimum 9
        0,
        0,
        0x0F,  # block 7: lower bits of the scale are 15, of the minimum 0
    ]
)
K_SCALE = [3, 0, 0, 0, 2 * 16 + 6, 0, 0, 1 * 16 + 15]
K_MINIMUM = [5, 0, 0, 7, 3 * 16 + 9, 0, 0, 0]


def test_q4_k():
    quants = bytearray(128)
    quants[0] = 0xF2  # value 0 is 2, value 32 is 15
    quants[64] = 0x0A  # value 128 is 10
    quants[127] = 0xC0  # value 255 is 12
    expected = np.repeat([-0.25 * minimum for minimum in K_MINIMUM], 32)  # q = 0
    expected[0] = 0.5 * 3 * 2 - 0.25 * 5
    expected[32] = 0.5 * 0 * 15 - 0.25 * 0
    expected[128] = 0.5 * 38 * 10 - 0.25 * 57
    expected[255] = 0.5 * 31 * 12 - 0.25 * 0
    check(TensorType.Q4_K, K_HEADER + bytes(quants), expected)


def test_q5_k():
    fifth = bytearray(32)
    fifth[0] = 0b0001_0001  # values 0 and 128
    fifth[31] = 0b1000_0000  # value 255
    quants = bytearray(128)
    quants[0] = 0x02  # value 0 is 2
    quants[127] = 0xC0  # value 255 is 12
    expected = np.repeat([-0.25 * minimum for minimum in K_MINIMUM], 32)
    expected[0] = 0.5 * 3 * (16 + 2) - 0.25 * 5
    expected[128] = 0.5 * 38 * (16 + 0) - 0.25 * 57
    expected[255] = 0.5 * 31 * (16 + 12) - 0.25 * 0
    check(TensorType.Q5_K, K_HEADER + bytes(fifth) + bytes(quants), expected)


def test_q6_k():
    block = bytearray(210)
    block[0] = 0xA5  # lower bits of value 0 are 5, of value 64 are 10
    block[128] = 0b11_01_00_10  # upper bits of values 0, 32, 64, 96 are 2, 0, 1, 3
    block[128 + 63] = 0b10_00_00_00  # upper bits of value 255 are 2
    block[192:208] = bytes(
        [1, 0, 2, 0, 0xFF, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]
    )  # 1 0 2 0 -1 0 3 0 ... -128
    block[208:] = bytes.fromhex("00 38")  # d = 0.5
    expected = np.repeat(
        0.5 * np.array([1, 0, 2, 0, -1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, -128]) * -32, 16
    )  # q = 0
    expected[0] = 0.5 * 1 * (2 * 16 + 5 - 32)
    expected[32] = 0.5 * 2 * (0 - 32)
    expected[64] = 0.5 * -1 * (1 * 16 + 10 - 32)
    expected[96] = 0.5 * 3 * (3 * 16 + 0 - 32)
    expected[255] = 0.5 * -128 * (2 * 16 + 0 - 32)
    check(TensorType.Q6_K, bytes(block), expected)


def test_iq4_nl():
    low = [-127, -83, -49, -22, 1, 25, 53, 89]  # levels 0, 2, 4 .. 14
    high = [-104, -65, -35, -10, 13, 38, 69, 113]  # levels 1, 3, 5 .. 15
    check(TensorType.IQ4_NL, "00 40" + RAMP, [2 * level for level in low * 2 + high * 2])


def test_iq4_xs():
    block = bytearray(136)
    block[:2] = bytes.fromhex("00 38")  # d = 0.5
    block[2:4] = bytes.fromhex("02 40")  # upper scale bits: block 0 has 2, block 7 has 1, the others 0
    block[4:8] = bytes.fromhex(
        "43 00 00 F0"
    )  # lower scale bits: block 0 has 3, block 1 has 4, block 7 has 15
    block[8] = 0xF8  # value 0 is level 8, value 16 is level 15
    scales = [2 * 16 + 3 - 32, 4 - 32, -32, -32, -32, -32, -32, 1 * 16 + 15 - 32]
    expected = np.repeat([0.5 * scale * -127 for scale in scales], 32)  # level 0
    expected[0] = 0.5 * 3 * 1
    expected[16] = 0.5 * 3 * 113
    check(TensorType.IQ4_XS, bytes(block), expected)


def test_mxfp4():
    low = [0, 2, 4, 8, 0, -2, -4, -8]  # codes 0, 2, 4 .. 14, doubled
    high = [1, 3, 6, 12, -1, -3, -6, -12]  # codes 1, 3, 5 .. 15, doubled
    check(TensorType.MXFP4, "7F" + RAMP, [level / 2 for level in low * 2 + high * 2])  # 2^(127 - 128) = 1/2
    assert values(TensorType.MXFP4, "00" + RAMP)[16] == 2.0**-128  # a float32 subnormal
    assert values(TensorType.MXFP4, "FF" + RAMP)[16] == 2.0**127


def test_tq1_0():
    block = bytearray(54)
    block[0] = 123  # 123 * 3 = 1 * 256 + 113; 113 * 3 = 1 * 256 + 83; 83 * 3 = 0 * 256 + 249;
    #                 249 * 3 = 2 * 256 + 235; 235 * 3 = 2 * 256 + 193: digits 1 1 0 2 2
    block[47] = 255  # digits 2 2 2 2 2
    block[51] = 200  # 200 * 3 = 2 * 256 + 88; 88 * 3 = 1 * 256 + 8; 8 * 3 = 24; 24 * 3 = 72: digits 2 1 0 0
    block[52:] = bytes.fromhex("00 38")  # d = 0.5
    expected = np.full(256, 0.5 * (0 - 1))  # digit 0
    expected[[0, 32, 64, 96, 128]] = [0.5 * (digit - 1) for digit in (1, 1, 0, 2, 2)]
    expected[[175, 191, 207, 223, 239]] = 0.5 * (2 - 1)
    expected[[243, 247, 251, 255]] = [0.5 * (digit - 1) for digit in (2, 1, 0, 0)]
    check(TensorType.TQ1_0, bytes(block), expected)


def test_tq2_0():
    block = bytearray(66)
    block[0] = 0b11_10_01_00  # values 0, 32, 64, 96 have q = 0, 1, 2, 3
    block[63] = 0b10_00_00_00  # value 255 has q = 2
    block[64:] = bytes.fromhex("00 38")  # d = 0.5
    expected = np.full(256, 0.5 * (0 - 1))  # q = 0
    expected[[0, 32, 64, 96]] = [0.5 * (q - 1) for q in (0, 1, 2, 3)]
    expected[255] = 0.5 * (2 - 1)
    check(TensorType.TQ2_0, bytes(block), expected)
