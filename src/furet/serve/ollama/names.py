"""What Ollama's clients call a model."""

from __future__ import annotations

LATEST = ":latest"  # clients add it to names without a tag


def known_as(name: str) -> str:
    """A model's name as furet has it."""
    return name.removesuffix(LATEST)
