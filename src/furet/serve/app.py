"""The server's application: every API over one set of models."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from furet.serve.limits import ServerSettings as ServerSettings

if TYPE_CHECKING:
    from furet.serve.models import Models


def create_app(models: Models, settings: ServerSettings, store: Any = None, page: bool = True) -> FastAPI:
    """The application; whoever made the models closes them.

    store   the conversations that the page shows, `furet.chat.store.Store`
    page    whether to serve the page
    """
    app = FastAPI(title="furet", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    for name in ("openai", "ollama", "anthropic"):
        if find_spec(f"furet.serve.{name}"):
            app.include_router(import_module(f"furet.serve.{name}").router(models))
    if page and find_spec("furet.serve.page"):
        app.include_router(import_module("furet.serve.page").router(models, store))
    return app
