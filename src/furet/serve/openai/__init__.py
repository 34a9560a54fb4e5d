"""The OpenAI API, as the official clients speak it.

    chat            /v1/chat/completions; chat_request is what it takes
    completions     /v1/completions
    embeddings      /v1/embeddings
    models          /v1/models
    responses/      /v1/responses
    messages, forms     of requests: conversations; tools and what an answer must look like
    answers         several answers at once, log-probabilities, usage
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

if TYPE_CHECKING:
    from furet.serve.models import Models


def routers(models: Models) -> tuple[APIRouter, ...]:
    """The routes under /v1."""
    from furet.serve.openai import chat, completions, embeddings, responses
    from furet.serve.openai import models as listing

    return tuple(part.router(models) for part in (chat, completions, responses, embeddings, listing))
