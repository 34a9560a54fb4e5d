"""The list of models as Anthropic's official client reads it, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from fastapi import FastAPI, Request
from serve.ollama.live import serving

from furet.errors import BadRequest
from furet.serve.anthropic import listing
from furet.serve.names import Listed

MODELS = [Listed(f"hf:org/m{n}", f"m{n}" if n % 2 else None, 1, 1_750_000_000.0, "") for n in range(7)]
NAMES = [each.name for each in MODELS]


@pytest.fixture
def client() -> Iterator[anthropic.Anthropic]:
    app = FastAPI()

    @app.get("/v1/models")
    async def listed(request: Request) -> dict[str, Any]:
        assert listing.wanted(request.headers)
        return listing.models_page(MODELS, request.query_params)

    @app.get("/v1/models/{name:path}")
    async def one(name: str) -> dict[str, Any]:
        return listing.model_info(next(each for each in MODELS if name in (each.ref, each.alias)))

    with serving(app) as address:
        yield anthropic.Anthropic(base_url=address, api_key="none", max_retries=0)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_the_client_reads_all_pages(client: anthropic.Anthropic, limit: int) -> None:
    found = list(client.models.list(limit=limit))
    assert [each.id for each in found] == NAMES
    assert all(each.type == "model" and each.display_name and each.created_at.year == 2025 for each in found)


def test_the_client_reads_backwards_from_a_model(client: anthropic.Anthropic) -> None:
    page = client.models.list(limit=2, before_id=NAMES[5])
    assert [each.id for each in page.data] == NAMES[3:5] and page.has_more
    first = client.models.list(limit=3, before_id=NAMES[3])
    assert [each.id for each in first.data] == NAMES[:3] and not first.has_more


def test_one_model_goes_by_both_of_its_names(client: anthropic.Anthropic) -> None:
    assert client.models.retrieve("m1").id == client.models.retrieve("hf:org/m1").id == "m1"


def test_there_may_be_none() -> None:
    assert listing.models_page([], {}) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("limit", text) for text in ("0", "1001", "-1", "²", "")), ("after_id", "x"), ("before_id", ""), ("page", "2")],
)
def test_a_parameter_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        listing.models_page(MODELS, {name: value})
