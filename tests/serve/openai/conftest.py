"""The official client against models that are pretended, through a socket."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from serve.fake_models import FakeModels
from serve.ollama.live import serving

from furet.serve.app import ServerSettings, create_app


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def client(models: FakeModels) -> Iterator[openai.OpenAI]:
    """The official client, which does not try again."""
    app = create_app(models, ServerSettings(), page=False)  # type: ignore[arg-type]
    with serving(app) as address, openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as client:
        yield client
