"""Programs against the reference: on the NumPy core, which rounds to float32, and on the built one."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
from forwards import NAMES, TOKENS, Forwards, source
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.errors import UnsupportedModel
from furet.families import read_model
from furet.ops import native, reference
from furet.ops import passes as passes_module

MIXED = {"*": "Q4_K", "attn_v": "Q6_K", "ffn_up": "F16", "attn_output": "Q8_0"}
QUANTISED = {"C": 256, "H": 4, "K": 2, "F": 512}


def run(forward: Any, made: tiny.TinyModel, rows: Sequence[int]) -> NDArray[np.float32]:
    """Logits of TOKENS at the rows, on whichever core is `furet._core`. -> [R, V]"""
    from furet import _core

    compiled = native.compile(forward, made, max_tokens=len(TOKENS), max_rows=len(TOKENS))
    out = np.full((len(rows), compiled.vocab), np.nan, np.float32)
    runs = [(compiled.new_cache(len(TOKENS)), len(TOKENS))]
    pool = _core.Pool(2) if hasattr(_core, "Pool") else None
    compiled.program.step(pool, TOKENS, runs, np.array(rows, np.int32), out)
    return out


def expected(forward: Any, made: tiny.TinyModel, rows: Sequence[int]) -> NDArray[np.float64]:
    return reference.step(forward, reference.decoder(made), TOKENS, [(reference.Cache(), len(TOKENS))], rows)


@pytest.mark.parametrize(
    "rows", [range(len(TOKENS)), [11], [3, 0, 7], []], ids=["all", "last", "some", "none"]
)
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("types", ["F32", "Q8_0", MIXED], ids=["floats", "q8", "mixed"])
def test_families_on_the_numpy_core(
    stand_in: ModuleType, architecture: str, types: Any, rows: Sequence[int]
) -> None:
    made = tiny.model(architecture, types=types, **QUANTISED)
    forward = read_model(made).forward
    np.testing.assert_allclose(run(forward, made, rows), expected(forward, made, rows), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("types", ["F32", "Q8_0"])
def test_unusual_forwards_on_the_numpy_core(stand_in: ModuleType, name: str, types: str) -> None:
    made, rows = source(types), [2, 11, 5]
    forward = getattr(Forwards(SimpleNamespace(**made.tensors)), name)
    wanted = expected(forward, made, rows)
    np.testing.assert_allclose(run(forward, made, rows), wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("left_out", [rewrite.__name__ for rewrite in passes_module.NATIVE])
def test_no_pass_leans_on_another(
    stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    """With any pass left out, float weights give the same answer."""
    kept = tuple(rewrite for rewrite in passes_module.NATIVE if rewrite.__name__ != left_out)
    monkeypatch.setattr(passes_module, "NATIVE", kept)
    made, rows = source("F32"), [2, 11, 5]
    for name in NAMES:
        forward = getattr(Forwards(SimpleNamespace(**made.tensors)), name)
        wanted = expected(forward, made, rows)
        np.testing.assert_allclose(run(forward, made, rows), wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


def test_window_and_stored_factors_reach_the_core(stand_in: ModuleType) -> None:
    made = tiny.model("llama", optional=("rope_freqs",), keys={"attention.sliding_window": 4})
    forward = read_model(made).forward
    np.testing.assert_allclose(run(forward, made, [11]), expected(forward, made, [11]), rtol=0, atol=2e-5)


def test_big_endian_tensors_are_turned(stand_in: ModuleType) -> None:
    from furet.files.gguf_endian import swapped

    made = tiny.model("llama", types=MIXED, **QUANTISED)
    turned = tiny.TinyModel(made.metadata, made.tensors, dict(made.blocks), "big")
    for name, tensor in made.tensors.items():
        turned.blocks[name] = swapped(tensor.type, made.blocks[name])
    forward = read_model(made).forward
    np.testing.assert_array_equal(run(forward, turned, [11]), run(forward, made, [11]))
    np.testing.assert_array_equal(expected(forward, turned, [11]), expected(forward, made, [11]))


def test_type_that_the_core_cannot_read_is_named(stand_in: ModuleType) -> None:
    made = tiny.model("llama", types={"*": "F32", "ffn_up": "Q5_0"})
    with pytest.raises(UnsupportedModel, match=r"blk\.0\.ffn_up\.weight is of type Q5_0") as caught:
        run(read_model(made).forward, made, [0])
    assert "Q4_K" in caught.value.hint


# The native core keeps keys and values in float16 and quantises activations to 8 bits in blocks of 32. Both
# errors are random; against the spread of the logits they were measured at up to 0.0005 and 0.033 (root mean
# square). A transposed head or a misplaced block gives more than 1.
FLOAT_ERROR, Q8_ERROR = 0.001, 0.06


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("kind", [kind.name for kind in TensorType if kind.name in tiny.TYPES])
def test_every_readable_type_on_the_native_core(architecture: str, kind: str) -> None:
    core = pytest.importorskip("furet._core")
    assert TensorType[kind] in core.readable_types()
    made = tiny.model(architecture, types=kind, **QUANTISED)
    forward, rows = read_model(made).forward, list(range(len(TOKENS)))
    wanted = expected(forward, made, rows)
    error = np.sqrt(np.mean((run(forward, made, rows) - wanted) ** 2)) / wanted.std()
    assert error < (FLOAT_ERROR if TensorType[kind].block == 1 else Q8_ERROR)


@pytest.mark.parametrize("rows", [[11], [3, 0, 7], []], ids=["last", "some", "none"])
def test_wanted_rows_are_those_of_all_rows_on_the_native_core(rows: list[int]) -> None:
    """To the bit, although the last layer then runs on other rows side by side."""
    pytest.importorskip("furet._core")
    made = tiny.model("llama", types=MIXED, **QUANTISED)
    forward = read_model(made).forward
    np.testing.assert_array_equal(run(forward, made, rows), run(forward, made, range(len(TOKENS)))[rows])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("types", ["F32", "Q8_0"])
def test_unusual_forwards_on_the_native_core(name: str, types: str) -> None:
    pytest.importorskip("furet._core")
    made, rows = source(types), list(range(len(TOKENS)))
    forward = getattr(Forwards(SimpleNamespace(**made.tensors)), name)
    wanted = expected(forward, made, rows)
    error = np.sqrt(np.mean((run(forward, made, rows) - wanted) ** 2)) / wanted.std()
    assert error < (FLOAT_ERROR if types == "F32" else Q8_ERROR)
