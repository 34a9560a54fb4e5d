"""Anthropic's API over models that are pretended: called without a socket, and by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels
from serve.ollama.live import serving

from furet.serve.app import ServerSettings, create_app

TOKEN = "a token of tests"


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def app(models: FakeModels) -> Any:
    return create_app(models, ServerSettings(token=TOKEN), page=False)  # type: ignore[arg-type]


@pytest.fixture
def http(app: Any) -> Iterator[TestClient]:
    """For requests that the official client does not make."""
    headers = {"x-api-key": TOKEN, "anthropic-version": "2023-06-01"}
    with TestClient(app, base_url="http://localhost:8080", headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def address(app: Any) -> Iterator[str]:
    with serving(app) as address:
        yield address


@pytest.fixture
def client(address: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=address, api_key=TOKEN, max_retries=0)
