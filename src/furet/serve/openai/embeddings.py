"""/v1/embeddings: vectors of texts.

    honoured    model, input (a text, texts, token ids, lists of token ids), encoding_format; and `truncate`, which
                cuts texts longer than the context instead of refusing them
    accepted    user; dimensions, when it is what the model gives
    refused     everything else
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from furet.errors import BadRequest
from furet.serve import sse
from furet.serve.fields import Label, Name, Strict, Tokens, Words
from furet.serve.jobs import Embed

if TYPE_CHECKING:
    from furet.serve.models import Models

MAX_INPUTS = 2048
Ids = Annotated[Tokens, Field(min_length=1)]
Many = Field(min_length=1, max_length=MAX_INPUTS)


class EmbeddingsRequest(Strict):
    """Vectors of texts are wanted."""

    model: Name
    input: Words | Ids | Annotated[list[Words], Many] | Annotated[list[Ids], Many]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    truncate: bool | None = None
    user: Label | None = None


def router(models: Models) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/embeddings")
    async def embeddings(body: EmbeddingsRequest, request: Request) -> Response:
        """Vectors of texts."""
        value = await sse.whole(request, models.result(body.model, Embed(_texts(body.input), bool(body.truncate))))
        vectors = value["vectors"]
        if body.dimensions not in (None, len(vectors[0])):
            raise BadRequest(f"dimensions: got {body.dimensions}, and the vectors of this model have {len(vectors[0])}")
        encode = _base64 if body.encoding_format == "base64" else list
        data = [
            {"object": "embedding", "index": place, "embedding": encode(vector)} for place, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": value["tokens"], "total_tokens": value["tokens"]}
        return JSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})

    return routes


def _texts(given: Any) -> list[Any]:
    """Texts, or lists of token ids."""
    return [given] if isinstance(given, str) or isinstance(given[0], int) else given


def _base64(vector: list[float]) -> str:
    return b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
