"""Several sequences in one step: the bits of each are those it has alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tiny

from furet.engine.backend import Backend, Run
from furet.engine.load import open_model
from furet.engine.plan import BackendName

TEXTS = [[7, 3, 99, 12], [200], [5, 5, 5, 5, 5, 5, 5], [41, 42]]
MODELS = [("llama", "Q4_K"), ("qwen2", "Q8_0")]


@contextmanager
def opened(path: Path, architecture: str, types: str, backend: BackendName, threads: int = 2) -> Iterator[Backend]:
    wide = {"C": 256, "F": 256} if types == "Q4_K" else {}
    tiny.write(path, tiny.model(architecture, types=types, tokenizer=True, **wide))
    loaded = open_model(path, threads=threads, context=64, backend=backend)
    try:
        yield loaded.backend
    finally:
        loaded.file.close()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("architecture", "types"), MODELS)
def test_a_token_of_each(architecture: str, types: str, threads: int, tmp_path: Path) -> None:
    with opened(tmp_path / "tiny.gguf", architecture, types, "native", threads) as backend:
        alone, together = ([backend.new_cache(64) for _ in TEXTS] for _ in range(2))
        for caches in (alone, together):
            for cache, text in zip(caches, TEXTS, strict=True):
                backend.step([Run(text, cache, 0)], np.empty((0, backend.vocab), np.float32))
        expected, found = (np.empty((len(TEXTS), backend.vocab), np.float32) for _ in range(2))
        for token in (9, 8, 250):
            for row, cache in enumerate(alone):
                backend.step([Run([token + row], cache)], expected[row : row + 1])
            backend.step([Run([token + row], cache) for row, cache in enumerate(together)], found)
            assert np.array_equal(expected, found)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize(("architecture", "types"), MODELS[:1])
def test_runs_of_any_length(architecture: str, types: str, backend: BackendName, tmp_path: Path) -> None:
    """Whole prompts in one step, beside sequences that go on."""
    with opened(tmp_path / "tiny.gguf", architecture, types, backend) as model:
        wanted = [min(row, len(text)) for row, text in enumerate(TEXTS)]
        expected, found = (np.empty((sum(wanted), model.vocab), np.float32) for _ in range(2))
        caches = [model.new_cache(64) for _ in TEXTS]
        for row, text in enumerate(TEXTS):
            at = sum(wanted[:row])
            model.step([Run(text, model.new_cache(64), wanted[row])], expected[at : at + wanted[row]])
        model.step([Run(*each) for each in zip(TEXTS, caches, wanted, strict=True)], found)
        assert np.array_equal(expected, found)
        assert [cache.length for cache in caches] == [len(text) for text in TEXTS]
