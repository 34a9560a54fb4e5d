"""Block layouts of the GGML types before GGUF, and how each is seen as one of today.

    revision 0   ggml, ggmf v1, ggjt v1, rwkv.cpp 100; up to 12 May 2023
    revision 1   ggjt v2 and quantisation version 1; up to 19 May 2023
    revision 2   ggjt v3, ggcc, quantisation version 2, rwkv.cpp 101: today's blocks

    type   values   revision 0                                revision 1        revision 2
    Q4_0   32       f32 d, u8[16] pairs             20 bytes  f32 d, halves     f16 d, halves     18 bytes
    Q4_1   32       f32 d, f32 m, u8[16] pairs      24        halves            f16 d, f16 m      20
    Q4_2   16       f16 d, u8[8] pairs              10        gone
    Q4_3   16       f16 d, f16 m, u8[8] pairs       12        gone
    Q5_0   32       f16 d, u32 fifth bits, pairs    22        halves            halves            22
    Q5_1   32       f16 d, f16 m, u32 fifth, pairs  24        halves            halves            24
    Q8_0   32       f32 d, s8[32]                   36        the same          f16 d, s8[32]     34
    Q2_K to Q6_K    -                                         -                 today's

    pairs    byte j has value 2 j in its low nibble and 2 j + 1 in its high one
    halves   byte j has value j in its low nibble and j + 16 in its high one

A value is d * (q - 8), d * q + m, d * (q - 16), d * q + m, d * q, as it is today. Turning pairs into halves
loses nothing. A float32 scale fits into today's float16 only if it happens to be one: then the block is
today's, else its values are given as F32. Scales of revision 1 do fit where the weights came from float16,
as Q4_0 then divides a float16 by 8; those of revision 0 (a seventh of the largest value) never do.

The first Q4_0 of all, of 10 March 2023, and the first Q4_1, up to 17 March, kept all scales of a row before all
its nibbles, in as many bytes; nothing in a file tells them from revision 0, as which they are read.

Source: ggml.c of llama.cpp from March to June 2023, and its changes 1405 and 1508.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from furet.dtypes import TensorType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Block:
    """One type of one revision.

    values   of a block
    nbytes   of a block
    seen     the type of today that holds the same values; F32 where none does
    scales   float32 numbers at its beginning which in `seen` are float16
    pairs    whether nibbles lie in pairs
    """

    name: str
    values: int
    nbytes: int
    seen: TensorType
    scales: int = 0
    pairs: bool = False

    @property
    def as_is(self) -> bool:
        """Whether the bytes are those of the type of today."""
        return not self.scales and not self.pairs


def _today(kind: TensorType) -> Block:
    return Block(kind.name, kind.block, kind.block_bytes, kind)


def _old(revision: int) -> dict[str, Block]:
    pairs = revision == 0
    blocks = [
        Block("Q4_0", 32, 20, TensorType.Q4_0, scales=1, pairs=pairs),
        Block("Q4_1", 32, 24, TensorType.Q4_1, scales=2, pairs=pairs),
        Block("Q5_0", 32, 22, TensorType.Q5_0, pairs=pairs),
        Block("Q5_1", 32, 24, TensorType.Q5_1, pairs=pairs),
        Block("Q8_0", 32, 36, TensorType.Q8_0, scales=1),
    ]
    if revision == 0:
        blocks += [
            Block("Q4_2", 16, 10, TensorType.F32, pairs=True),
            Block("Q4_3", 16, 12, TensorType.F32, pairs=True),
        ]
    return {block.name: block for block in blocks}


_FLOATS = {kind.name: _today(kind) for kind in (TensorType.F32, TensorType.F16)}
_NOW = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K"
REVISIONS: tuple[dict[str, Block], ...] = (
    _FLOATS | _old(0),
    _FLOATS | _old(1),
    _FLOATS | {name: _today(TensorType[name]) for name in _NOW.split()},
)

_IDS = (
    *("F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K"),
)
_RWKV_IDS = ("F32", "F16", "Q4_0", "Q4_1", "Q4_1_O", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0")


_BEYOND_HALF = 0x1FFF  # bits of a float32 that are zero in all that a float16 can be


def type_name(number: int, rwkv: bool) -> str:
    """What a type number of a file stands for; rwkv.cpp counts in its own way."""
    names = _RWKV_IDS if rwkv else _IDS
    return names[number] if number < len(names) else f"number {number}"


def fits(block: Block, data: NDArray[np.uint8]) -> bool:
    """Whether every float32 scale of these blocks is a float16. [n * nbytes]"""
    import numpy as np

    scales = np.ascontiguousarray(data.reshape(-1, block.nbytes)[:, : 4 * block.scales]).view("<f4")
    if np.bitwise_or.reduce(scales.view("<u4"), axis=None) & _BEYOND_HALF:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((scales.astype(np.float16).astype(np.float32) == scales).all())


def recast(block: Block, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blocks in the layout of `block.seen`, scales rounded to float16. [n * nbytes] -> [n * seen bytes]"""
    import numpy as np

    old = data.reshape(-1, block.nbytes)
    head = 4 * block.scales
    with np.errstate(over="ignore", invalid="ignore"):
        scales = old[:, :head].view("<f4").astype("<f2").view(np.uint8)
    parts = [scales.reshape(len(old), -1), old[:, head:-16], old[:, -16:]]
    if block.pairs:
        q = _unpaired(old[:, -16:])
        parts[2] = q[:, :16] | (q[:, 16:] << np.uint8(4))
    return np.ascontiguousarray(np.concatenate(parts, axis=1)).reshape(-1)


def decode(block: Block, data: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The values of blocks, every step one float32 operation. [n * nbytes] -> [n * values]"""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return _DECODERS[block.name](data.reshape(-1, block.nbytes), block.pairs).reshape(-1)


def _unpaired(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Nibbles in pairs, in the order of their values. [n, m] -> [n, 2 m]"""
    import numpy as np

    return np.stack([packed & np.uint8(15), packed >> np.uint8(4)], axis=-1).reshape(len(packed), -1)


def _nibbles(packed: NDArray[np.uint8], pairs: bool) -> NDArray[np.float32]:
    import numpy as np

    halves = np.concatenate([packed & np.uint8(15), packed >> np.uint8(4)], axis=1)
    return (_unpaired(packed) if pairs else halves).astype(np.float32)


def _symmetric(old: NDArray[np.uint8], pairs: bool) -> NDArray[np.float32]:
    """Q4_0 and Q4_2: d * (q - 8)."""
    import numpy as np

    d, packed = (old[:, :4].view("<f4"), old[:, 4:]) if old.shape[1] == 20 else (_half(old, 0), old[:, 2:])
    values: NDArray[np.float32] = d * (_nibbles(packed, pairs) - np.float32(8))
    return values


def _shifted(old: NDArray[np.uint8], pairs: bool) -> NDArray[np.float32]:
    """Q4_1 and Q4_3: d * q + m."""
    if old.shape[1] == 24:
        d, m, packed = old[:, :4].view("<f4"), old[:, 4:8].view("<f4"), old[:, 8:]
    else:
        d, m, packed = _half(old, 0), _half(old, 2), old[:, 4:]
    values: NDArray[np.float32] = d * _nibbles(packed, pairs) + m
    return values


def _eight(old: NDArray[np.uint8], pairs: bool) -> NDArray[np.float32]:
    """Q8_0: d * q."""
    import numpy as np

    values: NDArray[np.float32] = old[:, :4].view("<f4") * old[:, 4:].view(np.int8).astype(np.float32)
    return values


def _half(old: NDArray[np.uint8], at: int) -> NDArray[np.float32]:
    import numpy as np

    return old[:, at : at + 2].view("<f2").astype(np.float32)


_DECODERS: dict[str, Callable[[NDArray[np.uint8], bool], NDArray[np.float32]]] = {
    "Q4_0": _symmetric,
    "Q4_1": _shifted,
    "Q4_2": _symmetric,
    "Q4_3": _shifted,
    "Q8_0": _eight,
}
