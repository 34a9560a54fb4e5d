"""The dry run's figures against the file and against what is allocated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny

from furet import _core
from furet.families import read_model
from furet.ops import native
from furet.ops.dry import needs

SIZES = {"C": 256, "F": 512}


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_the_tensors_of_the_file_each_once(tied: bool) -> None:
    made = tiny.model(
        "qwen2", types={"*": "Q4_K", "attn_v": "Q6_K"}, optional=() if tied else ("output",), **SIZES
    )
    got = needs(read_model(made).forward, context=100, max_tokens=8)
    assert got.weights == sum(block.nbytes for block in made.blocks.values())


def test_arena_is_what_the_program_gets() -> None:
    made = tiny.model("llama", types="Q8_0", **SIZES)
    forward = read_model(made).forward
    compiled = native.compile(forward, made, max_tokens=8, max_rows=3)
    assert needs(forward, context=100, max_tokens=8, max_rows=3).arena == compiled.arena_bytes
    assert needs(forward, context=100, max_tokens=9, max_rows=3).arena > compiled.arena_bytes


def test_cache_grows_with_context_and_sequences() -> None:
    forward = read_model(tiny.model("llama", L=3, K=2, D=32)).forward
    one = needs(forward, context=100, max_tokens=8)
    assert one.cache == _core.Cache.bytes([(2, 32)] * 3, [], [], 100)
    assert needs(forward, context=100, sequences=4, max_tokens=8) == replace(one, cache=4 * one.cache)


def test_keys_and_values_in_blocks_take_their_bytes() -> None:
    forward = read_model(tiny.model("llama", L=3, K=2, D=32)).forward
    found = {kv: needs(forward, context=100, max_tokens=8, kv=kv).cache for kv in ("f16", "q8_0", "q4_0")}
    assert found == {"f16": 3 * 128 * 4 * 64, "q8_0": 3 * 128 * 4 * 34, "q4_0": 3 * 128 * 4 * 18}


def test_threads_that_share_keys_note_parts_down() -> None:
    """16 floats and a head's sums for each query and 256 tokens, of steps so short that the keys are what is shared."""
    forward = read_model(tiny.model("llama", H=4, K=2, D=32)).forward
    assert _core.part_bytes(4, 2, 32, 1, 8) == 8 * 4 * (16 + 32) * 4
    assert _core.part_bytes(4, 2, 32, 1, 512) == 24 * 4 * (16 + 32) * 4
    assert _core.part_bytes(4, 2, 32, 3, 512) == 72 * 4 * (16 + 32) * 4
    one, two = (needs(forward, context=1024, max_tokens=8, threads=threads) for threads in (1, 2))
    assert two.cache - one.cache == 4 * _core.part_bytes(4, 2, 32, 1, 8)


def test_other_figures() -> None:
    forward = read_model(tiny.model("llama")).forward
    got = needs(forward, context=100, max_tokens=8, max_rows=2, threads=3)
    assert got.logits == 2 * 97 * 4 and got.scratch == _core.scratch_bytes(3) + _core.part_bytes(4, 2, 16, 1, 8)
    parts = (got.weights, got.copies, got.cache, got.arena, got.logits, got.scratch)
    assert got.total == sum(parts)


def test_norms_and_biases_are_copied_as_float32() -> None:
    """Two norms a layer and one at the end, three biases a layer; however they are stored."""
    made = tiny.model("qwen2")
    tensor = made.tensors["output_norm.weight"]
    made.tensors[tensor.name] = replace(tensor, type=tiny.TensorType.F16)
    got = needs(read_model(made).forward, context=100, max_tokens=8)
    assert got.copies == 4 * (5 * 64 + 2 * (64 + 32 + 32))


def test_figures_need_no_data() -> None:
    """A header is enough: a model of a hundred layers, of which no byte exists."""
    made = tiny.model("llama", L=100)
    made.blocks.clear()
    assert needs(read_model(made).forward, context=8192, max_tokens=128).total > 0
