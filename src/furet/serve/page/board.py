"""Telling pages what happens: a queue for each open page, and what is put into all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from furet.serve import sse

MAX_WAITING = 1024
"""Events that a page may be behind; one that falls back further is left, and catches up when it comes again."""

MAX_PAGES = 256
LISTED = ("chat", "chats", "gone")


@dataclass(eq=False)
class Page:
    """An open page.

    chat    the chat that it shows, or ""
    events  that it has not been sent yet; None: it has fallen behind, or the server ends
    """

    chat: str
    events: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING + 1))


class Board:
    """All open pages of one server; used on its event loop alone."""

    def __init__(self) -> None:
        self._pages: set[Page] = set()
        self.listed = 0  # of these, those that change the list of chats
        self.told = 0  # events so far: what was read from the store at that time is at least as new as these

    @contextmanager
    def page(self, chat: str) -> Iterator[Page]:
        """A page that is told of everything from here on; one that waits for too many others leaves first."""
        if len(self._pages) >= MAX_PAGES:
            self._leave(next(iter(self._pages)))
        page = Page(chat)
        self._pages.add(page)
        try:
            yield page
        finally:
            self._pages.discard(page)

    def tell(self, kind: str, data: Any, chat: str | None = None) -> None:
        """Tell all pages, or those that show one chat."""
        self.told += 1
        if kind in LISTED:
            self.listed += 1
        numbers = {"number": self.told, "listed": self.listed}
        event = sse.frame({**data, **numbers} if isinstance(data, dict) else data, kind)
        for page in list(self._pages):
            if chat is not None and page.chat != chat:
                continue
            if page.events.qsize() >= MAX_WAITING:
                self._leave(page)
            else:
                page.events.put_nowait(event)

    def close(self) -> None:
        """End the streams of all pages."""
        for page in list(self._pages):
            self._leave(page)

    def _leave(self, page: Page) -> None:
        self._pages.discard(page)
        page.events.put_nowait(None)
