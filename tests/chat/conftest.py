"""A tiny model that one can talk with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny

from furet.chat.model import Model, load


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vocabularies are cached beside the test files, not in the user's folder."""
    monkeypatch.setenv("FURET_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Model]]:
    """Loads a tiny model after `change` was done to its metadata."""
    loaded: list[Model] = []

    def make(change: Callable[[dict], None] = lambda metadata: None, context: int = 256, **options) -> Model:
        source = tiny.model(tokenizer=True, keys={"context_length": context})
        change(source.metadata)
        path = tiny.write(tmp_path / f"tiny{len(loaded)}.gguf", source)
        loaded.append(load(path, threads=1, **options))
        return loaded[-1]

    yield make
    for model in loaded:
        model.close()


@pytest.fixture
def model(make: Callable[..., Model]) -> Model:
    return make()
