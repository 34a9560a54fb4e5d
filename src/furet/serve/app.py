"""The server's application: every API over one set of models, behind one guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fastapi import FastAPI

import furet
from furet.serve import errors, plain
from furet.serve.guard import Guard
from furet.serve.limits import ServerSettings as ServerSettings
from furet.serve.metrics import Metered, Metrics

if TYPE_CHECKING:
    from furet.chat.store import Store
    from furet.serve.models import Models


def create_app(models: Models, settings: ServerSettings, store: Store | None = None, page: bool = True) -> FastAPI:
    """The application; whoever made the models and the store closes them.

    store   the conversations that the page shows; without one there is no page
    page    whether to serve the page
    """
    from furet.serve import anthropic, ollama, openai

    # The pages that show the schema load scripts from elsewhere; the schema itself stays.
    app = FastAPI(title="furet", version=furet.__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.settings = settings
    metrics = Metrics(models)
    counted = cast("Models", Metered(models, metrics))
    errors.install(app)
    own = (anthropic.router(counted), plain.router(counted, metrics))
    for router in (*openai.routers(counted), *ollama.routers(counted), *own):
        # Into one list: routers that are included are looked through several times for every request.
        app.router.routes.extend(router.routes)
    if page and store is not None:
        from furet.serve import page as pages

        app.include_router(pages.router(counted, store))
    app.add_middleware(Guard, settings=settings, seen=metrics.seen)
    return app
