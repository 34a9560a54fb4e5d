"""/v1/models: what is on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from furet.errors import NotFound

if TYPE_CHECKING:
    from furet.serve.models import Models
    from furet.serve.names import Listed


def router(models: Models) -> APIRouter:
    """The two routes."""
    routes = APIRouter()

    @routes.get("/v1/models")
    async def listed() -> dict[str, Any]:
        """All models."""
        return {"object": "list", "data": [_shown(each) for each in models.installed()]}

    @routes.get("/v1/models/{name:path}")
    async def one(name: str) -> dict[str, Any]:
        """One model, by either of its names."""
        for each in models.installed():
            if name in (each.alias, each.ref):
                return {**_shown(each), "id": name}
        raise NotFound(f"{name:.200}: no such model", "GET /v1/models lists those on this machine")

    return routes


def _shown(model: Listed) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.modified),
        "owned_by": "furet",
    }
