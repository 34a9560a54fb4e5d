"""The page: a messenger for the models on this machine, at /ui/.

    files       the page itself: HTML, CSS and modules from `furet/serve/web`
    live        what it begins with, and what happens from then on, as server-sent events
    chats       chats, messages, search, presets
    library     models: plan, download, load, delete
    transfer    export and import
    answers     answers, made by tasks of the server
    board       the open pages, and telling them
    markdown, highlight, sanitise       text that models wrote, as HTML that is safe to show
    views, bodies, samplers     records as JSON, what may be sent, settings with their explanations
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI

if TYPE_CHECKING:
    from furet.chat.store import Store
    from furet.serve.models import Models


def router(models: Models, store: Store) -> APIRouter:
    """The page's routes; whoever made the models and the store closes them, after the application has ended."""
    from furet.serve.page import chats, files, library, live, transfer
    from furet.serve.page.answers import Answers
    from furet.serve.page.board import Board

    board = Board()
    answers = Answers(models, store, board)
    pulls = library.Pulls(models, board)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.farewell = board.close  # for whoever ends the server: open streams would hold it up
        yield
        board.close()
        await pulls.close()
        await answers.close()

    whole = APIRouter(lifespan=lifespan)
    for part in (
        live.routes(models, store, answers, board, pulls),
        chats.routes(store, answers, board),
        library.routes(models, pulls, board),
        transfer.routes(store, board),
        files.routes(),  # last: it has a route for every path
    ):
        whole.include_router(part)
    return whole
