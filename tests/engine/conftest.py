"""A tiny model as a file, and models loaded from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny

from furet.engine.load import open_model
from furet.engine.model import Model


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of 2 layers with a tokenizer of 261 tokens, trained for 256."""
    return tiny.write(tmp_path_factory.mktemp("models") / "tiny.gguf", tiny.model(tokenizer=True))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vocabularies are cached beside the test files, not in the user's folder."""
    monkeypatch.setenv("FURET_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def load(path: Path) -> Iterator[Callable[..., Model]]:
    """Loads the tiny model, or the one at `at`; closes it after the test."""
    loaded: list[Model] = []

    def load(at: Path = path, seed: int | None = None, **options: object) -> Model:
        loaded.append(Model(open_model(at, **{"threads": 1, **options}), seed))
        return loaded[-1]

    yield load
    for model in loaded:
        model.close()


@pytest.fixture
def model(load: Callable[..., Model]) -> Model:
    return load()
