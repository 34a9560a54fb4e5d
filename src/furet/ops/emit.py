"""One instruction of the flat program as a call of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from furet.ops import Tensor, bias
from furet.ops.fused import Gated, GatedLinear, Quantise
from furet.ops.instructions import (
    Activate,
    Add,
    Affine,
    AttendAll,
    Attention,
    Clamp,
    Columns,
    Combine,
    Convolve,
    Dispatch,
    Embed,
    EmbedPositions,
    ExpertLinear,
    HeadDot,
    L2Norm,
    LayerNorm,
    Linear,
    Multiply,
    Recall,
    Recurrent,
    Remember,
    RmsNorm,
    Rotate,
    Route,
    Scale,
    SelectiveScan,
    Shift,
    SoftCap,
    Subtract,
    TakeRows,
    Wkv4,
    Wkv7,
)
from furet.ops.rope import Rope
from furet.ops.values import Instruction, Value

if TYPE_CHECKING:
    from furet import _core


@dataclass(frozen=True)
class Handles:
    """What the core knows the values, tensors (by name) and angles of a program by.

    rows        tensors looked up by token
    positions   tensors looked up by position
    floats      small tensors, in their shapes
    key_biases  what keys are held without, by keys
    states      of recurrent instructions, by name
    """

    buffers: Mapping[Value, int]
    rows: Mapping[str, _core.Weight]
    positions: Mapping[str, _core.Weight]
    matrices: Mapping[str, _core.Weight]
    floats: Mapping[str, NDArray[np.float32]]
    angles: Mapping[tuple[Rope, Tensor | None], int]
    key_biases: Mapping[Value, int]
    states: Mapping[str, int]

    def vector(self, tensor: Tensor) -> NDArray[np.float32]:
        """A tensor as one row of values."""
        return self.floats[tensor.name].reshape(-1)

    def by_columns(self, tensor: Tensor) -> NDArray[np.float32]:
        """A matrix with a row for each column of x, turned and as one row of values."""
        return np.ascontiguousarray(self.floats[tensor.name].T).reshape(-1)

    def vector_or_none(self, tensor: Tensor | None, width: int) -> NDArray[np.float32] | None:
        """A tensor repeated to the width of a row, or None for none."""
        if tensor is None:
            return None
        values = self.vector(tensor)
        return np.tile(values, width // len(values))

    def row_or_none(self, tensor: Tensor | None, row: int, width: int) -> NDArray[np.float32] | None:
        """A row of a table, or None for none."""
        return None if tensor is None else self.floats[tensor.name].reshape(-1, width)[row]

    def by_distance(self, table: Tensor | None, both_ways: bool) -> NDArray[np.float32] | None:
        """A bias by distance and head from one by bucket, or None for none."""
        return None if table is None else bias.by_distance(self.floats[table.name], both_ways)


def emit(program: _core.Program, step: Instruction, at: Handles) -> None:
    """Append one instruction to the program."""
    place = at.buffers
    match step:
        case Embed(weight, out):
            program.embed(at.rows[weight.name], place[out])
        case EmbedPositions(weight, offset, out):
            program.embed_positions(at.positions[weight.name], offset, place[out])
        case TakeRows(x, out):
            program.take_rows(place[x], place[out])
        case Linear(x, weights, biases, outs, residual):
            program.linear(
                place[x],
                [at.matrices[weight.name] for weight in weights],
                [at.vector(each) if each else None for each in biases],
                [place[out] for out in outs],
                place[residual] if residual else -1,
            )
        case GatedLinear(x, (gate, up), function, out):
            program.gated_linear(place[x], at.matrices[gate.name], at.matrices[up.name], function, place[out])
        case Rotate(x, heads, rope, factors, out):
            assert place[x] == place[out], "the core rotates in place"
            program.rope(place[x], x.width // heads, at.angles[rope, factors], rope.style)
        case Attention() | AttendAll() | Remember() | Recall():
            _emit_attention(program, step, at)
        case Route() | Dispatch() | ExpertLinear() | Combine():
            _emit_experts(program, step, at)
        case Recurrent():
            _emit_recurrent(program, step, at)
        case _:
            _emit_row_by_row(program, step, at)


def _emit_attention(program: _core.Program, step: Instruction, at: Handles) -> None:
    place = at.buffers
    match step:
        case Attention(layer, q, k, v, heads, _, scale, window, soft_cap, alibi, distances, out):
            program.attention(
                place[q], place[k], place[v], layer, q.width // heads, scale, window, place[out], soft_cap,
                bias.slopes(heads, alibi).astype(np.float32) if alibi else None,
                at.by_distance(distances, both_ways=False), -bias.FARTHEST, at.key_biases.get(k, -1),
            )  # fmt: skip
        case AttendAll(q, k, v, heads, scale, distances, out):
            table = at.by_distance(distances, both_ways=True)
            program.attend_all(
                place[q], place[k], place[v], q.width // heads, scale, place[out], table, -bias.FARTHEST,
                at.key_biases.get(k, -1),
            )  # fmt: skip
        case Remember(layer, k, v, heads, out):
            program.remember(place[k], place[v], layer, k.width // heads)
            if place[out] != place[k]:
                program.columns(place[k], 0, place[out])
        case Recall(layer, q, heads, scale, out):
            program.recall(place[q], layer, q.width // heads, scale, place[out])


def _emit_experts(program: _core.Program, step: Instruction, at: Handles) -> None:
    place = at.buffers
    match step:
        case Route(scores, _, normalise, out):
            program.route(place[scores], normalise, place[out])
        case Dispatch(x, route, out):
            program.dispatch(place[x], place[route], place[out])
        case ExpertLinear(x, weights, route, outs):
            experts = [at.matrices[weight.name] for weight in weights]
            program.expert_linear(place[x], experts, place[route], [place[out] for out in outs])
        case Combine(x, route, out):
            program.combine(place[x], place[route], place[out])


def _emit_recurrent(program: _core.Program, step: Recurrent, at: Handles) -> None:
    place, state = at.buffers, at.states[step.state]
    match step:
        case Shift(_, x, out):
            program.shift(state, place[x], place[out])
        case Convolve(_, x, weight, bias, out):
            taps = at.by_columns(weight)
            program.convolve(state, place[x], taps, at.vector(bias) if bias else None, place[out])
        case SelectiveScan(_, x, dt, b, c, rates, skip, out):
            by_columns = at.by_columns(rates)
            program.selective_scan(
                state, place[x], place[dt], place[b], place[c], by_columns, at.vector(skip), place[out]
            )
        case Wkv4(_, k, v, decay, first, out):
            program.wkv4(state, place[k], place[v], at.vector(decay), at.vector(first), place[out])
        case Wkv7(_, r, decay, k, v, a, b, heads, out):
            program.wkv7(
                state, place[r], place[decay], place[k], place[v], place[a], place[b], heads, place[out]
            )
        case _:
            raise AssertionError(f"no native form of {type(step).__name__}")


def _emit_row_by_row(program: _core.Program, step: Instruction, at: Handles) -> None:
    place = at.buffers
    match step:
        case RmsNorm(x, weight, eps, out):
            program.rms_norm(place[x], at.vector(weight), eps, place[out])
        case LayerNorm(x, weight, added, eps, groups, out):
            scale, shift = at.vector_or_none(weight, x.width), at.vector_or_none(added, x.width)
            assert scale is not None
            program.layer_norm(place[x], scale, shift, groups, eps, place[out])
        case L2Norm(x, heads, eps, out):
            program.l2_norm(place[x], heads, eps, place[out])
        case HeadDot(a, b, heads, out):
            program.head_dot(place[a], place[b], heads, place[out])
        case Quantise(x, out):
            program.quantise(place[x], place[out])
        case Affine(x, w, b, row, out):
            vectors = at.row_or_none(w, row, x.width), at.row_or_none(b, row, x.width)
            program.affine(place[x], *vectors, place[out])
        case Activate(x, function, out):
            program.activate(function, place[x], 0.0, place[out])
        case Scale(x, factor, out):
            program.activate("scale", place[x], factor, place[out])
        case SoftCap(x, cap, out):
            program.activate("soft_cap", place[x], cap, place[out])
        case Clamp(x, bound, out):
            program.activate("clamp", place[x], bound, place[out])
        case Gated(function, gate, up, out):
            program.gated(function, place[gate], place[up], place[out])
        case Columns(x, start, out):
            program.columns(place[x], start, place[out])
        case Add(a, b, out):
            program.add(place[a], place[b], place[out])
        case Subtract(a, b, out):
            program.subtract(place[a], place[b], place[out])
        case Multiply(a, b, out):
            program.multiply(place[a], place[b], place[out])
        case _:
            raise AssertionError(f"no native form of {type(step).__name__}")
