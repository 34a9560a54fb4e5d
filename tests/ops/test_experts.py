"""Mixtures of experts on the native core: against the reference, and equal to the bit however the work is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.ops import Ops, X, native, passes, reference
from furet.ops.trace import trace

if TYPE_CHECKING:
    from furet import _core

pytest.importorskip("furet._core")

V = 61  # tokens
ERROR = {"F32": 1e-5, "F16": 1e-5, "BF16": 1e-5, "Q8_0": 0.03, "Q4_K": 0.03, "Q6_K": 0.03, "Q3_K": 0.03}


def source(types: str, experts: int, width: int, inner: int) -> tiny.TinyModel:
    """A router and experts of some type between an embedding and a head of floats."""
    made = tiny.TinyModel({})
    shapes = {
        "embed": (V, width), "router": (experts, width), "head": (V, width), "shared": (width, width),
        "gate": (experts, inner, width), "up": (experts, inner, width), "down": (experts, width, inner),
    }  # fmt: skip
    for name, shape in shapes.items():
        kind = TensorType[types if len(shape) == 3 else "F32"]
        flat = (shape[0] * shape[1], shape[2]) if len(shape) == 3 else shape
        made.put(name, kind, shape, tiny.random_blocks(name, kind, flat))
    router = 10 * made.blocks["router"].view(np.float32)  # so that experts differ in weight
    made.blocks["router"] = router.view(np.uint8)
    return made


def forward(made: tiny.TinyModel, used: int, normalise: bool = True) -> Any:
    """One feed-forward of experts as in Mixtral and Qwen, beside a dense one."""
    w = made.tensors

    def run(op: Ops[X]) -> X:
        x = op.embed(w["embed"])
        route = op.route(op.linear(x, w["router"]), used, normalise)
        spread = op.dispatch(x, route)
        gate, up = op.expert_linear(spread, w["gate"], route), op.expert_linear(spread, w["up"], route)
        y = op.combine(op.expert_linear(op.activate(gate, "silu") * up, w["down"], route), route)
        return op.linear(op.rows(x + y + op.linear(x, w["shared"])), w["head"])

    return run


class Native:
    """A compiled forward with one thread pool; every step begins a new sequence."""

    def __init__(self, run: Any, made: tiny.TinyModel, threads: int = 2, packed: bool = True) -> None:
        from furet import _core

        self.pool = _core.Pool(threads)

        def pack(matrices: Mapping[str, _core.Weight]) -> None:
            room = _core.Packed(sum(weight.packed_bytes for weight in matrices.values()) if packed else 0)
            for weight in matrices.values() if packed else ():
                weight.pack(self.pool, room)

        self.compiled = native.compile(run, made, max_tokens=96, max_rows=96, pack=pack)

    def __call__(self, tokens: NDArray[np.int32], rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        wanted = np.arange(len(tokens), dtype=np.int32) if rows is None else np.asarray(rows, np.int32)
        out = np.full((len(wanted), self.compiled.vocab), np.nan, np.float32)
        runs = [(self.compiled.new_cache(len(tokens)), len(tokens))]
        self.compiled.program.step(self.pool, tokens, runs, wanted, out)
        return out


def expected(run: Any, made: tiny.TinyModel, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
    return reference.step(run, reference.decoder(made), tokens, [(reference.Cache(), len(tokens))])


def tokens(count: int, seed: int = 0) -> NDArray[np.int32]:
    return np.random.RandomState(seed).randint(0, V, count).astype(np.int32)


@pytest.mark.parametrize("used", [1, 2, 5])
@pytest.mark.parametrize("types", list(ERROR))
def test_experts_agree_with_the_reference(types: str, used: int) -> None:
    made = source(types, experts=5, width=256, inner=256)
    run = forward(made, used, normalise=used != 2)
    step = Native(run, made)
    for count in (1, 2, 40):
        wanted = expected(run, made, tokens(count, used))
        error = np.sqrt(np.mean((step(tokens(count, used)) - wanted) ** 2)) / wanted.std()
        assert error < ERROR[types], (count, error)


@pytest.mark.parametrize(
    ("types", "width", "inner"), [("F32", 40, 23), ("Q8_0", 96, 32), ("Q4_0", 32, 64), ("F16", 24, 8)]
)
def test_rows_of_an_expert_are_never_those_of_another(types: str, width: int, inner: int) -> None:
    """Experts whose rows are no multiple of what the kernels take at a time, packed or not."""
    made = source(types, experts=7, width=width, inner=inner)
    run = forward(made, 3)
    wanted, got = expected(run, made, tokens(33)), Native(run, made)(tokens(33))
    assert np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std() < (1e-5 if types[0] == "F" else 0.03)
    np.testing.assert_array_equal(Native(run, made, packed=False)(tokens(33)), got)


@pytest.mark.parametrize("types", ["F16", "Q8_0", "Q4_K"])
def test_bits_do_not_depend_on_threads_company_or_chunks(types: str) -> None:
    made = source(types, experts=6, width=256, inner=256)
    run = forward(made, 2)
    whole = Native(run, made, threads=1)(tokens(90))
    for threads, chunk in ((2, 90), (3, 90), (3, 7), (1, 1)):
        step = Native(run, made, threads=threads, packed=threads != 2)
        parts = [step(tokens(90)[at : at + chunk]) for at in range(0, 90, chunk)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_wanted_rows_alone_go_through_the_experts() -> None:
    made = source("Q8_0", experts=5, width=64, inner=64)
    run = forward(made, 2)
    code = passes.lower(trace(run))
    assert [type(step).__name__ for step in code][:2] == ["Embed", "TakeRows"]
    step = Native(run, made)
    np.testing.assert_array_equal(step(tokens(30), [29, 3]), step(tokens(30))[[29, 3]])
    assert step(tokens(30), []).shape == (0, V)


def test_gate_and_up_share_one_instruction_and_one_quantisation() -> None:
    code = passes.lower(trace(forward(source("Q8_0", 5, 64, 64), 2)))
    names = [type(step).__name__ for step in code]
    assert names.count("ExpertLinear") == 2 and "Dispatch" not in names
    assert names.count("Quantise") == 1 and names.count("Gated") == 1
    gated = next(step for step in code if type(step).__name__ == "Gated")
    assert gated.writes[0].kind == "q8" and gated.writes[0].each == 2


def test_a_dispatch_that_something_else_reads_stays() -> None:
    made = source("F32", experts=5, width=40, inner=40)
    w = made.tensors

    def run(op: Ops[X]) -> X:
        x = op.embed(w["embed"])
        route = op.route(op.linear(x, w["router"]), 3, False)
        spread = op.dispatch(x, route)
        y = op.combine(op.expert_linear(spread, w["down"], route) + spread, route)
        return op.linear(op.rows(y), w["head"])

    wanted, got = expected(run, made, tokens(20)), Native(run, made)(tokens(20))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * wanted.std())


def test_route_is_taken_where_it_is_needed_whole_and_in_part() -> None:
    """A shift keeps the experts' sum whole; the rows wanted read the same route."""
    made = source("F32", experts=5, width=40, inner=40)
    w = made.tensors

    def run(op: Ops[X]) -> X:
        x = op.embed(w["embed"])
        route = op.route(op.linear(x, w["router"]), 2, False)
        y = op.expert_linear(op.dispatch(x, route), w["down"], route)
        mixed = op.combine(y, route)
        q = op.attention(0, mixed, mixed, mixed, 1, 1, 0.1)
        return op.linear(op.rows(q + op.combine(y + y, route)), w["head"])

    step, wanted = Native(run, made), expected(run, made, tokens(20))
    np.testing.assert_allclose(step(tokens(20)), wanted, rtol=0, atol=1e-3 * wanted.std())
    np.testing.assert_array_equal(step(tokens(20), [7, 19]), step(tokens(20))[[7, 19]])


def test_of_equal_scores_the_lower_expert_comes_first() -> None:
    made = source("F32", experts=6, width=16, inner=16)
    made.blocks["router"] = np.zeros((6, 16), np.float32).view(np.uint8).reshape(-1)
    run = forward(made, 2)
    wanted, got = expected(run, made, tokens(9)), Native(run, made)(tokens(9))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * wanted.std())


def test_a_broken_score_spoils_its_own_row_and_no_other() -> None:
    made = source("Q8_0", experts=6, width=64, inner=64)
    run = forward(made, 3)
    clean = Native(run, made)(tokens(30))
    for value in (np.nan, np.inf, -np.inf):
        spoilt = tokens(30)[5]
        embed = made.blocks["embed"].view(np.float32).reshape(V, 64).copy()
        embed[spoilt, 3] = value
        other = tiny.TinyModel({}, dict(made.tensors), {**made.blocks, "embed": embed.view(np.uint8).reshape(-1)})
        got, bad = Native(run, other)(tokens(30)), tokens(30) == spoilt
        assert not np.isfinite(got[bad]).all(axis=1).any()
        np.testing.assert_array_equal(got[~bad], clean[~bad])


def test_plan_counts_experts_and_their_rows() -> None:
    from furet import _core
    from furet.ops.dry import needs

    made = source("Q8_0", experts=6, width=64, inner=96)
    run = forward(made, 3)
    figures = needs(run, context=64, max_tokens=32, max_rows=32)
    assert figures.weights == sum(blocks.nbytes for blocks in made.blocks.values())
    compiled = native.compile(run, made, max_tokens=32, max_rows=32)
    assert figures.arena == compiled.arena_bytes >= 32 * 3 * _core.buffer_row_bytes("f32", 96)
