"""A family is supported when its logits are those of the reference package, near and far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity.checkpoint import cases, save, stored
from parity.logits import loaded, native_logits, reference_logits

from furet.convert.hugging_face import open_folder
from furet.convert.write import write_model
from furet.families import read_model
from furet.files.gguf import open_gguf

NATIVE = 0.02  # of the largest logit: keys and values are float16 there


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
    wanted = stored(name).logits
    got = native_logits(core, case, source, model)
    assert np.abs(got - wanted).max() < NATIVE * np.abs(wanted).max()
