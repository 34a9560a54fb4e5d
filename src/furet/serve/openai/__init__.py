"""The OpenAI API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

if TYPE_CHECKING:
    from furet.serve.models import Models


def router(models: Models) -> APIRouter:
    """The routes under /v1."""
    return APIRouter()
