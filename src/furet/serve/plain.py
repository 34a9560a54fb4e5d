"""Routes that belong to no API: health, metrics, and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response

from furet.serve.fields import Name, Strict, Tokens, Words
from furet.serve.jobs import Detokenize, Tokenize
from furet.serve.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from furet.serve.models import Models

class TokenizeRequest(Strict):
    """with_pieces: each token with the text that it stands for."""

    model: Name
    content: Words
    add_special: bool = True
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeRequest(Strict):
    """tokens: ids."""

    model: Name
    tokens: Tokens


def router(models: Models, metrics: Metrics) -> APIRouter:
    """/health, /metrics, /tokenize, /detokenize."""
    routes = APIRouter()

    @routes.get("/health")
    @routes.head("/health", include_in_schema=False)
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
