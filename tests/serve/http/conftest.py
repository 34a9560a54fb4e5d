"""The whole application over models that are pretended, called without a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels

from furet.serve.app import ServerSettings, create_app


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def client(models: FakeModels) -> Callable[..., TestClient]:
    """`client(token=..., ...)`: settings of the server; called at http://localhost:8080."""

    def client(**settings: Any) -> TestClient:
        app = create_app(models, ServerSettings(**settings))  # type: ignore[arg-type]
        return TestClient(app, "http://localhost:8080", raise_server_exceptions=False, follow_redirects=False)

    return client
