"""How long a model stays in memory after an answer: `keep_alive`.

Without it, a model stays as long as `furet serve --keep-alive` says, else until another one needs its memory. A number
of seconds, or a duration as Go writes them ("5m", "1h30m"), unloads it when it was idle for so long, 0 at once; a
negative one keeps it for good.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from math import inf
from time import time
from typing import TYPE_CHECKING

from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.serve.models import Loaded, Models

LONGEST = 365 * 86400.0  # seconds; longer is for good
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"\d{1,18}(?:\.\d{1,18})?"
_DURATION = re.compile(rf"(-?)((?:{_NUMBER}(?:ns|us|µs|ms|s|m|h)){{1,8}})", re.ASCII)
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|ms|s|m|h)")


def seconds(keep_alive: int | float | str) -> float:
    """How long a model is to stay; infinity for good. BadRequest for what is no duration."""
    if isinstance(keep_alive, str):
        length = _parsed(keep_alive)
    else:
        length = float(keep_alive) if abs(keep_alive) <= LONGEST else inf if keep_alive > 0 else -1.0
    return length if 0 <= length <= LONGEST else inf


class Departures:
    """When models are to leave memory, as requests say. One that the operator has pinned never leaves."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._pinned: set[str] = set()  # by requests

    async def set(self, model: str, stay: float) -> None:
        """Let a model that was just used leave after so many seconds without work."""
        if stay == inf:
            if not any(each.pinned for each in self._models.loaded() if each.name == model):
                self._pinned.add(model)
                await self._models.pin(model, True)
            return
        if model in self._pinned:
            self._pinned.discard(model)
            await self._models.pin(model, False)
        await self._models.let_stay(model, stay)


def leaves(loaded: Loaded) -> datetime:
    """When a model leaves as things stand; far in the future when nothing but others' need makes it."""
    at = time() + LONGEST if loaded.expires is None else loaded.expires
    return datetime.fromtimestamp(at, timezone.utc)


def _parsed(text: str) -> float:
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if not found:
        raise BadRequest(f"keep_alive: got {text!r}, wanted seconds or a duration such as 5m")
    length = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(found[2]))
    return -1.0 if found[1] and length else length
