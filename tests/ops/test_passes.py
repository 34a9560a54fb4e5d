"""Each pass on the smallest program that shows it, and the whole of a layer as it goes to the core."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tiny
from forwards import NAMES, Forwards, silu, weights

from furet.dtypes import TensorType
from furet.families import read_model
from furet.ops import Ops, passes
from furet.ops.cache_shape import cache_shape
from furet.ops.instructions import Linear
from furet.ops.listing import listing
from furet.ops.trace import trace
from furet.ops.values import Instruction, Value

W = weights()
Q = tiny.TinyTensor("quantised", TensorType.Q8_0, (64, 64))
EMBED = tiny.TinyTensor("embed", TensorType.F32, (97, 64))


def after(
    rewrite: Callable[[list[Instruction]], list[Instruction]], body: Callable[[Ops[Value], Value], Value]
) -> str:
    """The names of the instructions of embed, body, head, after one pass."""

    def forward(op: Ops[Value]) -> Value:
        return op.linear(op.rows(body(op, op.embed(EMBED))), W.head)

    return " ".join(type(step).__name__ for step in rewrite(trace(forward)))


def test_silu_and_product_become_swiglu_whichever_comes_first() -> None:
    fused = "Embed Linear Linear Gated TakeRows Linear"
    assert after(passes.fuse_gates, lambda op, x: silu(op, op.linear(x, Q)) * op.linear(x, Q)) == (
        "Embed Linear Linear Gated TakeRows Linear"
    )
    assert after(passes.fuse_gates, lambda op, x: op.linear(x, Q) * silu(op, op.linear(x, Q))) == fused


def test_gate_and_both_its_linears_become_one() -> None:
    def fused(code: list[Instruction]) -> list[Instruction]:
        return passes.gate_linears(passes.join_linears(passes.fuse_gates(code)))

    def with_bias(op: Ops[Value], x: Value) -> Value:
        return silu(op, op.linear(x, W.square, W.bias)) * op.linear(x, W.square)

    def read_again(op: Ops[Value], x: Value) -> Value:
        up = op.linear(x, Q)
        return silu(op, op.linear(x, W.square)) * up + up

    one = "Embed GatedLinear TakeRows Linear"
    assert after(fused, lambda op, x: silu(op, op.linear(x, Q)) * op.linear(x, W.square)) == one
    assert after(fused, lambda op, x: op.linear(x, W.square) * silu(op, op.linear(x, Q))) == one
    assert after(fused, lambda op, x: silu(op, op.linear(x, Q)) * x) == "Embed Linear Gated TakeRows Linear"
    assert after(fused, with_bias) == "Embed Linear Gated TakeRows Linear"
    assert after(fused, read_again) == "Embed Linear Gated Add TakeRows Linear"


def test_silu_that_is_read_again_stays() -> None:
    def body(op: Ops[Value], x: Value) -> Value:
        s = silu(op, x)
        return s * x + s

    assert after(passes.fuse_gates, body) == "Embed Activate Multiply Add TakeRows Linear"


def test_residual_goes_into_the_linear() -> None:
    assert after(passes.add_residuals, lambda op, x: x + op.linear(x, Q)) == "Embed Linear TakeRows Linear"
    assert after(passes.add_residuals, lambda op, x: op.linear(x, Q) + x) == "Embed Linear TakeRows Linear"


def test_two_residuals_of_a_parallel_block_go_into_one_linear_each() -> None:
    """The second takes the sum of the first as its residual."""
    text = after(passes.add_residuals, lambda op, x: x + op.linear(x, Q) + op.linear(silu(op, x), Q))
    assert text == "Embed Linear Activate Linear TakeRows Linear"


def test_linear_that_is_read_again_keeps_its_value() -> None:
    def body(op: Ops[Value], x: Value) -> Value:
        y = op.linear(x, Q)
        return silu(op, y) + y

    assert after(passes.add_residuals, body) == "Embed Linear Activate Add TakeRows Linear"


def test_one_quantisation_serves_all_readers_and_floats_need_none() -> None:
    def body(op: Ops[Value], x: Value) -> Value:
        return op.linear(x, Q) * op.linear(x, Q) * op.linear(x, W.square)

    text = after(passes.quantise_inputs, body)
    assert text == "Embed Quantise Linear Linear Multiply Linear Multiply TakeRows Linear"


def test_norm_writes_q8_itself_unless_its_floats_are_read() -> None:
    def quantised(code: list[Instruction]) -> list[Instruction]:
        return passes.quantise_at_the_source(passes.quantise_inputs(code))

    def alone(op: Ops[Value], x: Value) -> Value:
        return op.linear(op.rms_norm(x, W.norm, 1e-5), Q)

    def with_reader(op: Ops[Value], x: Value) -> Value:
        h = op.rms_norm(x, W.norm, 1e-5)
        return op.linear(h, Q) + h

    assert after(quantised, alone) == "Embed RmsNorm Linear TakeRows Linear"
    assert after(quantised, with_reader) == "Embed RmsNorm Quantise Linear Add TakeRows Linear"


@pytest.mark.parametrize(("heads", "fused"), [(2, True), (4, False)])
def test_attention_writes_q8_where_heads_are_whole_blocks(heads: int, fused: bool) -> None:
    """Heads of 32 hold one block of q8; of heads of 16, two would share a block."""

    def body(op: Ops[Value], x: Value) -> Value:
        return op.linear(op.attention(0, x, x, x, heads, heads, 1.0), Q)

    text = after(lambda code: passes.quantise_at_the_source(passes.quantise_inputs(code)), body)
    assert ("Quantise" not in text) == fused


def test_linears_of_one_input_become_one_but_for_those_with_a_residual() -> None:
    def body(op: Ops[Value], x: Value) -> Value:
        y = op.linear(x, W.square, W.bias)
        return op.linear(silu(op, x), W.square) * y * op.linear(x, Q)

    joined = "Embed Linear Activate Linear Multiply Multiply TakeRows Linear"
    assert after(passes.join_linears, body) == joined
    code = passes.join_linears(trace(lambda op: op.linear(op.rows(body(op, op.embed(EMBED))), W.head)))
    assert next(step.biases for step in code if isinstance(step, Linear)) == (W.bias, None)

    def residual(op: Ops[Value], x: Value) -> Value:
        return x + op.linear(x, Q) + op.linear(x, Q)

    both = after(lambda code: passes.join_linears(passes.add_residuals(code)), residual)
    assert both == "Embed Linear Linear TakeRows Linear"


def test_rows_move_up_to_what_needs_all_tokens() -> None:
    """Everything after the attention runs on the wanted rows alone; the embedding is read on both sides."""

    def body(op: Ops[Value], x: Value) -> Value:
        x = x + op.attention(0, x, x, x, 4, 4, 1.0)
        return x + op.linear(op.rms_norm(x, W.norm, 1e-5), Q)

    text = after(passes.take_rows_early, body)
    assert text == "Embed TakeRows Attention TakeRows Add RmsNorm Linear Add Linear"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("types", ["F32", "Q8_0"])
def test_every_pass_leaves_a_sound_program(name: str, types: str) -> None:
    """Each value is written once, before it is read; the logits come last."""
    code = trace(getattr(Forwards(weights(types)), name))
    for rewrite in passes.NATIVE:
        code = rewrite(code)
        known: set[Value] = set()
        for step in code:
            assert known.issuperset(step.reads), f"{rewrite.__name__}: {step} reads too early"
            assert known.isdisjoint(step.writes), f"{rewrite.__name__}: {step} writes twice"
            known.update(step.writes)
        assert code[-1].writes[0].kind == "out"


def test_program_of_a_layer() -> None:
    """A llama layer with a quantised and a float type: what goes to the core, line by line."""
    types = {"*": "Q8_0", "ffn_up": "F16", "output": "F16"}
    model = read_model(tiny.model("llama", types=types, L=1, C=128, H=4, K=2))
    text = listing(passes.lower(trace(model.forward)))
    assert text.replace(".weight", "").splitlines() == [
        "t0:f32[128] = Embed token_embd",
        "r1:f32[128] = TakeRows t0",
        "t2:q8[128] = RmsNorm t0 blk.0.attn_norm 1e-05",
        "t3:f32[128], t4:f32[64], t5:f32[64] = Linear t2 blk.0.attn_q blk.0.attn_k blk.0.attn_v",
        "t6:f32[128] = Rotate t3 4",
        "t7:f32[64] = Rotate t4 2",
        "t8:f32[128] = Attention 0 t6 t7 t5 4 2 0.176777 0 0 0",
        "r9:f32[128] = TakeRows t8",
        "r10:q8[128] = Quantise r9",
        "r11:f32[128] = Linear r10 blk.0.attn_output r1",
        "r12:f32[128] = RmsNorm r11 blk.0.ffn_norm 1e-05",
        "r13:q8[128] = Quantise r12",
        "r14:f32[96] = Linear r13 blk.0.ffn_gate",
        "r15:f32[96] = Linear r12 blk.0.ffn_up",
        "r16:q8[96] = Gated silu r14 r15",
        "r17:f32[128] = Linear r16 blk.0.ffn_down r11",
        "r18:f32[128] = RmsNorm r17 output_norm 1e-05",
        "logits:out[97] = Linear r18 output",
    ]


def test_cache_shape_is_what_attention_appends() -> None:
    model = read_model(tiny.model("llama", L=3, K=2, D=32))
    assert cache_shape(trace(model.forward)).layers == 3 * ((2, 32),)


def test_trace_names_the_op_and_the_tensor_that_disagree() -> None:
    with pytest.raises(AssertionError, match=r"linear: down \(64, 96\) for rows of 64"):
        trace(lambda op: op.linear(op.rows(op.embed(EMBED)), W.down))
    with pytest.raises(AssertionError, match="rows asked for"):
        trace(lambda op: op.linear(op.embed(EMBED), W.head))
