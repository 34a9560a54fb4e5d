"""The whole application over models that are pretended, called without a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from serve.fake_models import FakeModels

from furet.serve.app import ServerSettings, create_app

TOKEN = "a token of tests"


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def client(models: FakeModels) -> Callable[..., httpx.AsyncClient]:
    """`client(token=..., ...)`: settings of the server; called at http://localhost:8080."""

    def client(**settings: Any) -> httpx.AsyncClient:
        app: Any = create_app(models, ServerSettings(**settings), page=False)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080")

    return client
