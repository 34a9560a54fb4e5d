"""Routes that belong to no API: health, metrics, and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from furet.serve.jobs import Detokenize, Tokenize
from furet.serve.limits import MAX_NAME, MAX_TEXT
from furet.serve.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from furet.serve.models import Models

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Token = Annotated[int, Field(ge=0, lt=1 << 31)]


class Strict(BaseModel):
    """A body in which every field is known and of its type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TokenizeRequest(Strict):
    """with_pieces: each token with the text that it stands for."""

    model: Name
    content: Annotated[str, Field(max_length=MAX_TEXT)]
    add_special: bool = True
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeRequest(Strict):
    """tokens: ids."""

    model: Name
    tokens: Annotated[list[Token], Field(max_length=1 << 20)]


def router(models: Models, metrics: Metrics) -> APIRouter:
    """/health, /metrics, /tokenize, /detokenize."""
    routes = APIRouter()

    @routes.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> dict[str, Any]:
        """Whether the server is alive; no token is wanted, and nothing private told."""
        return {"status": "ok", "models_loaded": len(models.loaded())}

    @routes.get("/metrics")
    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @routes.post("/tokenize")
    async def tokenize(body: TokenizeRequest) -> dict[str, Any]:
        """{"tokens": [int]}, or with pieces {"tokens": [{"id", "piece"}]}."""
        job = Tokenize(body.content, body.add_special, body.parse_special, body.with_pieces)
        value = await models.result(body.model, job)
        if not body.with_pieces:
            return {"tokens": value["tokens"]}
        pairs = zip(value["tokens"], value["pieces"], strict=True)
        return {"tokens": [{"id": id, "piece": piece} for id, piece in pairs]}

    @routes.post("/detokenize")
    async def detokenize(body: DetokenizeRequest) -> dict[str, Any]:
        """{"content": str}."""
        return {"content": (await models.result(body.model, Detokenize(body.tokens)))["text"]}

    return routes
