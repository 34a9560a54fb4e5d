"""How long a model stays in memory after an answer: `keep_alive`.

Without it, furet keeps a model until another one needs its memory. A number of seconds, or a duration as Go writes
them ("5m", "1h30m"), unloads it when it was idle for so long, 0 at once; a negative one keeps it for good.
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta, timezone
from math import inf
from time import time
from typing import TYPE_CHECKING

from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.serve.models import Models

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
    """When models are to leave memory; used inside one event loop. One that the operator has pinned never leaves."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pinned: set[str] = set()  # by requests
        self._leaving: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly

    async def set(self, model: str, stay: float) -> None:
        """Let a model that was just used leave after so many seconds without work."""
        self._forget(model)
        if stay == inf:
            if not any(each.pinned for each in self._models.loaded() if each.name == model):
                self._pinned.add(model)
                await self._models.pin(model, True)
            return
        if model in self._pinned:
            self._pinned.discard(model)
            await self._models.pin(model, False)
        if stay == 0:
            await self._leave(model, stay)
        else:
            self._arm(model, stay, stay)

    def at(self, model: str) -> datetime:
        """When it leaves as things stand; far in the future when nothing but others' need makes it."""
        timer = self._timers.get(model)
        left = LONGEST if timer is None else timer.when() - asyncio.get_running_loop().time()
        return datetime.now(timezone.utc) + timedelta(seconds=left)

    def _arm(self, model: str, after: float, stay: float) -> None:
        def leave() -> None:
            task = asyncio.ensure_future(self._leave(model, stay))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

        self._timers[model] = asyncio.get_running_loop().call_later(after, leave)

    async def _leave(self, model: str, stay: float) -> None:
        """Unload it, unless somebody has used it since; then look again."""
        self._forget(model)
        found = next((each for each in self._models.loaded() if each.name == model), None)
        if found is None or found.pinned:
            return
        idle = time() - found.last_used
        if found.running or found.waiting:
            self._arm(model, max(stay, 1.0), stay)
        elif idle < stay:
            self._arm(model, stay - idle, stay)
        else:
            await self._models.unload(model)

    def _forget(self, model: str) -> None:
        if timer := self._timers.pop(model, None):
            timer.cancel()


def _parsed(text: str) -> float:
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if not found:
        raise BadRequest(f"keep_alive: got {text!r}, wanted seconds or a duration such as 5m")
    length = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(found[2]))
    return -1.0 if found[1] and length else length
