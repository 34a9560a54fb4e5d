"""Responses that later requests may refer to: in memory, bounded, the oldest forgotten first."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from furet.serve.limits import MAX_KEPT

MOST = 1024


@dataclass(frozen=True)
class Kept:
    """A response and the conversation up to it.

    messages    as in a job, without the instructions, the answer last
    """

    response: dict[str, Any]
    messages: list[dict[str, Any]]


class Responses:
    """Those that are kept, by id; as JSON, whose size is known, and a fraction of that of the objects it stands for."""

    def __init__(self, most: int = MOST, most_bytes: int = MAX_KEPT) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, str] = OrderedDict()

    def keep(self, response: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        """Keep one; one that is larger than all may be is not kept."""
        kept = json.dumps([response, messages])
        if len(kept) > self._most_bytes:
            return
        self._kept[response["id"]] = kept
        self._bytes += len(kept)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def get(self, id: str) -> Kept | None:
        """The one of this id, which is the last to be forgotten now."""
        if id not in self._kept:
            return None
        self._kept.move_to_end(id)
        return Kept(*json.loads(self._kept[id]))

    def forget(self, id: str) -> bool:
        """Forget one; whether it was there."""
        kept = self._kept.pop(id, "")
        self._bytes -= len(kept)
        return bool(kept)
