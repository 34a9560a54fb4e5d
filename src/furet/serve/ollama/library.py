"""The models of this machine, in Ollama's words: listed, described, fetched and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

import furet
from furet.serve.errors import refusal, respond
from furet.serve.ollama import bodies, details, replies
from furet.serve.ollama.keep import leaves
from furet.serve.sse import stream, whole

if TYPE_CHECKING:
    from furet.serve.models import Loaded, Models
    from furet.serve.names import Listed

REFUSED = {
    "/create": "models are made with `furet quantize` and `furet convert`, not over HTTP",
    "/copy": "models have the names that they were fetched by",
    "/push": "furet sends no model anywhere",
}


def router(models: Models) -> APIRouter:
    """/api/tags, ps, show, pull, delete, version, and clear refusals of what furet does not do."""
    routes = APIRouter(tags=["ollama"])

    @routes.head("/", include_in_schema=False)
    async def alive() -> Response:
        """What clients ask before anything else."""
        return Response()

    @routes.get("/api/version")
    @routes.head("/api/version", include_in_schema=False)
    async def version() -> Response:
        """The version of furet."""
        return JSONResponse({"version": furet.__version__})

    @routes.get("/api/tags")
    @routes.head("/api/tags", include_in_schema=False)
    async def tags() -> Response:
        """The models on this machine."""
        found = await asyncio.to_thread(models.installed)
        facts = await asyncio.to_thread(lambda: [_facts(each) for each in found])
        return JSONResponse({"models": [_listed(*pair) for pair in zip(found, facts, strict=True)]})

    @routes.get("/api/ps")
    async def ps() -> Response:
        """The models in memory."""
        listed = {each.name: each for each in await asyncio.to_thread(models.installed)}
        found = [(each, listed.get(each.name)) for each in models.loaded()]
        facts = await asyncio.to_thread(lambda: [_facts(listed) for _, listed in found])
        shown = [_running(*pair, of) for pair, of in zip(found, facts, strict=True)]
        return JSONResponse({"models": shown})

    @routes.post("/api/show")
    async def show(body: bodies.Show) -> Response:
        """A model at length, from its file; it is not loaded."""
        why = "a model is shown as its file is"
        bodies.refuse(body, system=why, template=why, options=why)
        listed = await models.find(bodies.named(body))
        card = await asyncio.to_thread(details.read_card, Path(listed.path), verbose=bool(body.verbose))
        return JSONResponse(_shown(listed, card))

    @routes.post("/api/pull")
    async def pull(body: bodies.Pull, request: Request) -> Response:
        """Fetch a model, and say how far it is."""
        why = "the hub is asked with the server's HF_TOKEN"
        bodies.refuse(body, insecure="downloads are always checked", username=why, password=why)
        lines = _pulled(models, bodies.named(body))
        if body.stream is False:
            return JSONResponse((await whole(request, replies.all_of(lines)))[-1])
        return stream(request, replies.all_written(lines), replies.failed, media_type=replies.NDJSON, comment=b"")

    @routes.delete("/api/delete")
    async def delete(body: bodies.Named) -> Response:
        """Delete a model from the disk."""
        await models.delete(bodies.named(body))
        return Response()

    for path, why in REFUSED.items():
        routes.add_api_route(f"/api{path}", _refusing(why), methods=["POST"], include_in_schema=False)
    return routes


def _listed(listed: Listed, facts: details.Details) -> dict[str, Any]:
    return {
        "name": listed.name,
        "model": listed.name,
        "modified_at": _date(listed.modified),
        "size": listed.bytes,
        "digest": _digest(listed),
        "details": facts.shown(),
    }


def _running(loaded: Loaded, listed: Listed | None, facts: details.Details) -> dict[str, Any]:
    return {
        "name": loaded.name,
        "model": loaded.name,
        "size": loaded.bytes,
        "size_vram": 0,
        "digest": _digest(listed) if listed else "",
        "details": facts.shown(),
        "context_length": loaded.context,
        "expires_at": leaves(loaded).isoformat(),
    }


def _facts(listed: Listed | None) -> details.Details:
    return details.details_of(Path(listed.path)) if listed else details.Details()


def _shown(listed: Listed, card: details.Card) -> dict[str, Any]:
    metadata = {**card.metadata, "general.parameter_count": card.details.parameters}
    return {
        "modelfile": f"FROM {listed.name}\n",
        "parameters": "",
        "template": card.template,
        "license": card.license,
        "details": card.details.shown(),
        "model_info": metadata,
        "capabilities": _capabilities(card),
        "modified_at": _date(listed.modified),
    }


def _capabilities(card: details.Card) -> list[str]:
    """What clients may ask of it; every model that answers may be given tools."""
    if card.details.kind == "encoder":
        return ["embedding"]
    return [] if card.details.kind is None else ["completion", "tools"]


async def _pulled(models: Models, ref: str) -> AsyncGenerator[replies.Line, None]:
    """How a download gets on; the last line says that it is done."""
    async with aclosing(models.pull(ref)) as steps:
        async for step in steps:
            total = {} if step.total is None else {"total": step.total}
            yield {"status": f"pulling {step.label}", "digest": step.label, "completed": step.done, **total}
    yield {"status": "success"}


def _digest(listed: Listed) -> str:
    """What tells one state of a model on the disk from another: SHA-256 of its entry in the list, not of its bytes."""
    return sha256(f"{listed.ref}\n{listed.bytes}\n{listed.modified}".encode()).hexdigest()


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def _refusing(why: str) -> Any:
    async def refused(request: Request) -> Response:
        return respond(request.url.path, refusal(501, f"not supported: {why}"))

    return refused
