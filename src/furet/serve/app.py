"""The server's application: every API over one set of models, behind one guard."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, FastAPI

import furet
from furet.serve import errors, plain
from furet.serve.guard import Guard
from furet.serve.limits import ServerSettings as ServerSettings
from furet.serve.metrics import Metered, Metrics

if TYPE_CHECKING:
    from furet.serve.models import Models

APIS = ("openai", "ollama", "anthropic")


def create_app(models: Models, settings: ServerSettings, store: Any = None, page: bool = True) -> FastAPI:
    """The application; whoever made the models closes them.

    store   the conversations that the page shows, `furet.chat.store.Store`
    page    whether to serve the page
    """
    # The pages that show the schema load scripts from elsewhere; the schema itself stays.
    app = FastAPI(title="furet", version=furet.__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.settings = settings
    metrics = Metrics(models)
    counted = cast("Models", Metered(models, metrics))
    errors.install(app)
    app.include_router(plain.router(counted, metrics))
    for name in APIS:
        if (make := _router(name)) is not None:
            app.include_router(make(counted))
    if page and (make := _router("page")) is not None:
        app.include_router(make(counted, store))
    app.add_middleware(Guard, settings=settings, seen=metrics.seen)
    return app


def _router(name: str) -> Callable[..., APIRouter] | None:
    """What makes the routes of a part, where it is there."""
    if find_spec(f"furet.serve.{name}") is None:
        return None
    return getattr(import_module(f"furet.serve.{name}"), "router", None)
