"""Ollama's API: lines of JSON, models by short names.

    bodies      what clients send
    options     their options in furet's words
    turns       their messages and tools, likewise
    replies     answers as lines
    answering   /api/chat, /api/generate, /api/embed, /api/embeddings
    library     /api/tags, ps, show, pull, delete; what is refused: copy, create, push, blobs
    details     what a model's file says of itself
    keep        keep_alive
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

if TYPE_CHECKING:
    from furet.serve.models import Models


def routers(models: Models) -> tuple[APIRouter, ...]:
    """The routes of Ollama's API."""
    from furet.serve.ollama import answering, library
    from furet.serve.ollama.keep import Departures

    return answering.router(models, Departures(models)), library.router(models)
