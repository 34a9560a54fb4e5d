"""A family is supported when its logits are those of the reference package, near and far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.checkpoint import Case, cases, save, stored

from furet.convert.hugging_face import open_folder
from furet.convert.seen import SeenModel
from furet.convert.write import write_model
from furet.families import read_model
from furet.families.family import Family
from furet.files.gguf import open_gguf
from furet.ops import native, reference

CHUNK = 512  # a prompt goes in by chunks, for the scores of a chunk are [H, chunk, S]
NATIVE = 0.02  # of the largest logit: keys and values are float16 there


def loaded(name: str, folder: Path) -> tuple[Case, SeenModel, Family]:
    """The checkpoint of a case as a program would load it."""
    _, case = cases()[name]
    source = open_folder(save(name, folder), tokenizer=False)
    model = read_model(source)
    model.context = case.context or model.context
    return case, source, model


def reference_logits(case: Case, source: SeenModel, model: Family, chunk: int = CHUNK) -> NDArray[np.float64]:
    """Logits of the reference ops at the rows of a case. -> [R, V]"""
    cache, decode, logits = reference.Cache(), reference.decoder(source), []
    prompt = case.tokens(model.config.vocab)
    if case.kind == "answer":
        text = case.source_tokens(model.config.vocab)
        reference.step(model.encode, decode, text, [(cache, len(text))], [])  # type: ignore[attr-defined]
        cache.length = 0
    for start in range(0, case.length, chunk):
        tokens = prompt[start : start + chunk]
        rows = [row - start for row in case.rows if start <= row < start + len(tokens)]
        logits.append(reference.step(model.forward, decode, tokens, [(cache, len(tokens))], rows))
    return np.concatenate(logits)


@pytest.mark.parametrize("name", cases())
def test_logits_are_those_of_the_reference_package(name: str, tmp_path: Path) -> None:
    np.testing.assert_allclose(reference_logits(*loaded(name, tmp_path)), stored(name).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", {fixture: name for name, (fixture, _) in cases().items()}.values())
def test_a_torch_file_and_a_gguf_file_hold_the_same_model(name: str, tmp_path: Path) -> None:
    """What `furet convert` writes from one is, bit for bit, what a folder of the other is seen as."""
    folders = {torch: tmp_path / f"{torch=}" for torch in (False, True)}
    for torch, folder in folders.items():
        folder.mkdir()
        save(name, folder, torch=torch)
    path = tmp_path / "model.gguf"
    with open_folder(folders[True], tokenizer=False) as source:
        write_model(source, path)
    with open_gguf(path) as written, open_folder(folders[False], tokenizer=False) as source:
        read_model(written, path)
        for key, value in source.metadata.items():
            if key != "general.name":
                found = written.metadata[key]
                assert value == (found if isinstance(found, int | float | str) else list(found))
        for tensor in source.tensors.values():
            assert written.tensors[tensor.name].shape == tensor.shape
            np.testing.assert_array_equal(written.data(tensor.name), source.data(tensor.name))


@pytest.mark.parametrize("name", cases())
def test_native_logits_are_those_of_the_reference_package(name: str, tmp_path: Path) -> None:
    core = pytest.importorskip("furet._core")
    case, source, model = loaded(name, tmp_path)
    if case.kind != "decoder":
        pytest.skip("runs in tests/engine")
    pool, size = core.Pool(2), 64
    compiled = native.compile(model.forward, source, max_tokens=size, max_rows=size)
    cache, logits = compiled.new_cache(case.length), []
    prompt = case.tokens(model.config.vocab).astype(np.int32)
    for start in range(0, case.length, size):
        tokens = prompt[start : start + size]
        out = np.empty((len(tokens), compiled.vocab), np.float32)
        everything = np.arange(len(tokens), dtype=np.int32)
        compiled.program.step(pool, tokens, [(cache, len(tokens))], everything, out)
        logits.append(out)
    wanted = stored(name).logits
    got = np.concatenate(logits)[case.rows]
    assert np.abs(got - wanted).max() < NATIVE * np.abs(wanted).max()
