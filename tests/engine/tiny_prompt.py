"""A prompt for the tiny model."""

from __future__ import annotations

PROMPT = [104, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100, 258]  # 12 ids of its vocabulary
