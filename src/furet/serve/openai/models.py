"""/v1/models: what is on this machine, in the shape of the API that asks; Anthropic's has the same path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from furet.serve.anthropic import listing

if TYPE_CHECKING:
    from furet.serve.models import Models
    from furet.serve.names import Listed


def router(models: Models) -> APIRouter:
    """The two routes."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.get("/v1/models")
    async def listed(request: Request) -> dict[str, Any]:
        """All models."""
        if listing.wanted(request.headers):
            return listing.models_page(models.installed(), request.query_params)
        return {"object": "list", "data": [_shown(each) for each in models.installed()]}

    @routes.get("/v1/models/{name:path}")
    async def one(name: str, request: Request) -> dict[str, Any]:
        """One model, by any of its names."""
        found = await models.find(name)
        if listing.wanted(request.headers):
            return listing.model_info(found)
        return {**_shown(found), "id": name}

    return routes


def _shown(model: Listed) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.modified),
        "owned_by": "furet",
    }
