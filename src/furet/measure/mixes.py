"""Which type each matrix has in a file of a given kind: the names that people know, and what stands behind them.

A K-quant file is a mix: the head, and in some layers the values of attention and the down projection, get more bits.
The rules are those of llama.cpp's quantiser without an importance matrix, and so are the fall-backs for rows that are
no multiple of 256.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from furet.dtypes import TensorType
from furet.errors import BadRequest

T = TensorType


@dataclass(frozen=True)
class Place:
    """Where a matrix stands: what its family calls it, its layer of `layers`, and H / K of the model."""

    attribute: str
    layer: int
    layers: int
    grouping: int

    @property
    def favoured(self) -> bool:
        """Whether the layer is among those that get more bits: the first and last eighth, and every third."""
        eighth = self.layers // 8
        return self.layer < eighth or self.layer >= 7 * self.layers // 8 or (self.layer - eighth) % 3 == 2


Rule = Callable[[Place], "TensorType | None"]


@dataclass(frozen=True)
class Mix:
    """A kind of file.

    base        type of a matrix without a rule
    head        type of the matrix that gives the logits
    rules       type by attribute; None: base
    file_type   its number in `general.file_type`
    """

    base: TensorType
    head: TensorType
    rules: dict[str, Rule]
    file_type: int


def _favoured(kind: TensorType) -> Rule:
    return lambda place: kind if place.favoured else None


def _first(part: int, kind: TensorType, other: TensorType | None = None) -> Rule:
    """The first L / part layers, and what the others get."""
    return lambda place: kind if place.layer < place.layers // part else other


def _layers(count: int, kind: TensorType, other: TensorType | None = None) -> Rule:
    return lambda place: kind if place.layer < count else other


def _grouped(kind: TensorType, other: TensorType | None = None) -> Rule:
    """Where at least four query heads share their keys, so that the values are small."""
    return lambda place: kind if place.grouping >= 4 else other


def _always(kind: TensorType) -> Rule:
    return lambda place: kind


def _plain(kind: TensorType, file_type: int) -> Mix:
    return Mix(kind, kind, {}, file_type)


_IQ4: dict[str, Rule] = {"attn_v": _grouped(T.Q5_K), "ffn_down": _first(8, T.Q5_K)}

MIXES = {
    "f32": _plain(T.F32, 0),
    "f16": _plain(T.F16, 1),
    "bf16": _plain(T.BF16, 32),
    "q8_0": _plain(T.Q8_0, 7),
    "q6_k": _plain(T.Q6_K, 18),
    "q5_k_m": Mix(T.Q5_K, T.Q6_K, {"attn_v": _favoured(T.Q6_K), "ffn_down": _favoured(T.Q6_K)}, 17),
    "q5_k_s": Mix(T.Q5_K, T.Q6_K, {}, 16),
    "q5_1": Mix(T.Q5_1, T.Q6_K, {}, 9),
    "q5_0": Mix(T.Q5_0, T.Q6_K, {}, 8),
    "q4_k_m": Mix(T.Q4_K, T.Q6_K, {"attn_v": _favoured(T.Q6_K), "ffn_down": _favoured(T.Q6_K)}, 15),
    "q4_k_s": Mix(T.Q4_K, T.Q6_K, {"attn_v": _layers(4, T.Q5_K), "ffn_down": _first(8, T.Q5_K)}, 14),
    "q4_1": Mix(T.Q4_1, T.Q6_K, {}, 3),
    "q4_0": Mix(T.Q4_0, T.Q6_K, {}, 2),
    "iq4_nl": Mix(T.IQ4_NL, T.Q6_K, _IQ4, 25),
    "iq4_xs": Mix(T.IQ4_XS, T.Q6_K, _IQ4, 30),
    "mxfp4": Mix(T.MXFP4, T.Q8_0, {}, 38),
    "q3_k_l": Mix(
        T.Q3_K, T.Q6_K, dict.fromkeys(("attn_v", "ffn_down", "attn_output"), _always(T.Q5_K)), 13
    ),
    "q3_k_m": Mix(
        T.Q3_K,
        T.Q6_K,
        {
            "attn_v": _layers(2, T.Q5_K, T.Q4_K),
            "ffn_down": _first(16, T.Q5_K, T.Q4_K),
            "attn_output": _always(T.Q4_K),
        },
        12,
    ),
    "q3_k_s": Mix(T.Q3_K, T.Q6_K, {}, 11),
    "q2_k": Mix(
        T.Q2_K,
        T.Q6_K,
        {"attn_v": _grouped(T.Q4_K, T.Q3_K), "ffn_down": _always(T.Q3_K), "attn_output": _always(T.Q3_K)},
        10,
    ),
}
ALSO = {"q5_k": "q5_k_m", "q4_k": "q4_k_m", "q3_k": "q3_k_m"}

_FALLBACK = {
    **dict.fromkeys((T.Q2_K, T.Q3_K), T.Q4_0),
    **{T.Q4_K: T.Q5_0, T.Q5_K: T.Q5_1, T.Q6_K: T.Q8_0, T.IQ4_XS: T.IQ4_NL},
}


def find_mix(name: str) -> Mix:
    """The mix of that name, in letters of either case; raises BadRequest when there is none."""
    wanted = name.lower()
    found = MIXES.get(ALSO.get(wanted, wanted))
    if found is None:
        raise BadRequest(f"there is no type {name!r}", f"choose one of {', '.join(MIXES)}")
    return found


def matrix_type(mix: Mix, place: Place, columns: int, *, head: bool) -> TensorType:
    """The type of a matrix of so many columns; `head` says that it gives the logits."""
    rule = mix.rules.get(place.attribute)
    kind = mix.head if head else (rule(place) if rule else None) or mix.base
    if columns % kind.block:
        kind = _FALLBACK.get(kind, T.F16)
    return T.F16 if columns % kind.block else kind
