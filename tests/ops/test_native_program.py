"""Whole programs against the reference, and against themselves with a pass left out."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
from forwards import NAMES, TOKENS, Forwards, source
from numpy.typing import NDArray

from furet import _core
from furet.dtypes import TensorType
from furet.errors import UnsupportedModel
from furet.families import read_model
from furet.ops import native, reference
from furet.ops import passes as passes_module

MIXED = {"*": "Q4_K", "attn_v": "Q6_K", "ffn_up": "F16", "attn_output": "Q8_0"}
QUANTISED = {"C": 256, "H": 4, "K": 2, "F": 512}


def run(forward: Any, made: tiny.TinyModel, rows: Sequence[int]) -> NDArray[np.float32]:
    """Logits of TOKENS at the rows. -> [R, V]"""
    compiled = native.compile(forward, made, max_tokens=len(TOKENS), max_rows=len(TOKENS))
    out = np.full((len(rows), compiled.vocab), np.nan, np.float32)
    runs = [(compiled.new_cache(len(TOKENS)), len(TOKENS))]
    compiled.program.step(_core.Pool(2), TOKENS, runs, np.array(rows, np.int32), out)
    return out


def expected(forward: Any, made: tiny.TinyModel, rows: Sequence[int]) -> NDArray[np.float64]:
    return reference.step(forward, reference.decoder(made), TOKENS, [(reference.Cache(), len(TOKENS))], rows)


# The native core keeps keys and values in float16 and quantises activations to 8 bits in blocks of 32. Both
# errors are random; against the spread of the logits they were measured at up to 0.0005 and 0.033 (root mean
# square). A transposed head or a misplaced block gives more than 1.
FLOAT_ERROR, Q8_ERROR = 0.001, 0.06


def error(got: NDArray[np.float32], wanted: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std())


@pytest.mark.parametrize("types", ["F32", "Q8_0"])
@pytest.mark.parametrize("left_out", [rewrite.__name__ for rewrite in passes_module.NATIVE])
def test_no_pass_changes_a_bit(monkeypatch: pytest.MonkeyPatch, left_out: str, types: str) -> None:
    """Whichever pass is left out; only quantised weights cannot do without theirs."""
    if left_out == "quantise_inputs" and types != "F32":
        return
    made, rows = source(types), [2, 11, 5]
    forwards = Forwards(SimpleNamespace(**made.tensors))
    wanted = [run(getattr(forwards, name), made, rows) for name in NAMES]
    kept = tuple(rewrite for rewrite in passes_module.NATIVE if rewrite.__name__ != left_out)
    monkeypatch.setattr(passes_module, "NATIVE", kept)
    for name, logits in zip(NAMES, wanted, strict=True):
        np.testing.assert_array_equal(run(getattr(forwards, name), made, rows), logits, name)


def test_window_and_stored_factors_reach_the_core() -> None:
    made = tiny.model("llama", optional=("rope_freqs",), keys={"attention.sliding_window": 4})
    forward = read_model(made).forward
    assert error(run(forward, made, [11]), expected(forward, made, [11])) < FLOAT_ERROR


def test_big_endian_tensors_are_turned() -> None:
    from furet.files.gguf_endian import swapped

    made = tiny.model("llama", types=MIXED, **QUANTISED)
    turned = tiny.TinyModel(made.metadata, made.tensors, dict(made.blocks), "big")
    for name, tensor in made.tensors.items():
        turned.blocks[name] = swapped(tensor.type, made.blocks[name])
    forward = read_model(made).forward
    np.testing.assert_array_equal(run(forward, turned, [11]), run(forward, made, [11]))
    np.testing.assert_array_equal(expected(forward, turned, [11]), expected(forward, made, [11]))


def test_type_that_the_core_cannot_read_is_named() -> None:
    made = tiny.model("llama")
    up = made.tensors["blk.0.ffn_up.weight"]
    made.tensors[up.name] = tiny.TinyTensor(up.name, TensorType.IQ2_XXS, up.shape)
    with pytest.raises(UnsupportedModel, match=r"blk\.0\.ffn_up\.weight is of type IQ2_XXS") as caught:
        run(read_model(made).forward, made, [0])
    assert "Q4_K" in caught.value.hint


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("kind", [kind.name for kind in TensorType if kind.name in tiny.TYPES])
def test_every_readable_type(architecture: str, kind: str) -> None:
    assert TensorType[kind] in _core.readable_types()
    made = tiny.model(architecture, types=kind, **QUANTISED)
    forward, rows = read_model(made).forward, list(range(len(TOKENS)))
    wanted = expected(forward, made, rows)
    assert error(run(forward, made, rows), wanted) < (FLOAT_ERROR if TensorType[kind].block == 1 else Q8_ERROR)


@pytest.mark.parametrize("rows", [[11], [3, 0, 7], []], ids=["last", "some", "none"])
def test_wanted_rows_are_those_of_all_rows(rows: list[int]) -> None:
    """To the bit, although the last layer then runs on other rows side by side."""
    made = tiny.model("llama", types=MIXED, **QUANTISED)
    forward = read_model(made).forward
    np.testing.assert_array_equal(run(forward, made, rows), run(forward, made, range(len(TOKENS)))[rows])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("types", ["F32", "Q8_0"])
def test_unusual_forwards(name: str, types: str) -> None:
    made, rows = source(types), list(range(len(TOKENS)))
    forward = getattr(Forwards(SimpleNamespace(**made.tensors)), name)
    wanted = expected(forward, made, rows)
    assert error(run(forward, made, rows), wanted) < (FLOAT_ERROR if types == "F32" else Q8_ERROR)
