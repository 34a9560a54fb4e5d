"""Responses that later requests may refer to: in memory, bounded, the oldest forgotten first."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

MOST = 1024
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Kept:
    """A response and the conversation up to it.

    messages    as in a job, without the instructions, the answer last
    size        bytes of both as JSON
    """

    response: dict[str, Any]
    messages: list[dict[str, Any]]
    size: int


class Responses:
    """Those that are kept, by id."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, response: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        """Keep one; one that is larger than all may be is not kept."""
        size = len(json.dumps([response, messages]))
        if size > self._most_bytes:
            return
        self._kept[response["id"]] = Kept(response, messages, size)
        self._bytes += size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].size

    def get(self, id: str) -> Kept | None:
        """The one of this id, which is the last to be forgotten now."""
        if id in self._kept:
            self._kept.move_to_end(id)
        return self._kept.get(id)

    def forget(self, id: str) -> bool:
        """Forget one; whether it was there."""
        kept = self._kept.pop(id, None)
        self._bytes -= kept.size if kept else 0
        return kept is not None
