"""Ollama's API over models that are pretended: called without a socket, and by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest
import tiny
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels
from serve.ollama.live import serving

from furet.serve.app import ServerSettings, create_app
from furet.serve.names import Listed


class FakeModelsWithFiles(FakeModels):
    """As pretended, but with files to read."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        named = {"fake": "hf:test/fake:Q4_1", "fake-embed": "hf:test/fake-embed", None: "hf:test/broken"}
        self._files = [
            Listed(ref, alias, 98_000_000, 1_750_000_000.0, str(folder / f"{alias or 'broken'}.gguf"))
            for alias, ref in named.items()
        ]

    def installed(self) -> list[Listed]:
        return self._files


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers, one that embeds, and a file that is no model."""
    folder = tmp_path_factory.mktemp("models")
    tiny.write(folder / "fake.gguf", tiny.model("llama", types="Q4_0", tokenizer=True))
    keys = {"attention.layer_norm_epsilon": 1e-12}
    tiny.write(folder / "fake-embed.gguf", tiny.model("bert", tokenizer=True, keys=keys))
    (folder / "broken.gguf").write_bytes(b"GGUF" + b"\xff" * 60)
    return folder


@pytest.fixture
def models(folder: Path) -> FakeModels:
    return FakeModelsWithFiles(folder)


@pytest.fixture
def app(models: FakeModels) -> Any:
    return create_app(models, ServerSettings(), page=False)  # type: ignore[arg-type]


@pytest.fixture
def http(app: Any) -> Iterator[TestClient]:
    """For requests that the official client does not make."""
    with TestClient(app, base_url="http://localhost:8080", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(app: Any) -> Iterator[ollama.Client]:
    with serving(app) as address:
        yield ollama.Client(host=address)
