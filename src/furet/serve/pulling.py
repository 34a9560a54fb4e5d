"""A download in a thread, its progress told in the asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread

from furet.errors import Busy, DownloadFailed, FuretError
from furet.files import store


@dataclass(frozen=True)
class PullProgress:
    """How far a download is.

    label   what is being done: a file's name, or that another process downloads it
    done    bytes
    total   bytes, None while unknown
    """

    label: str
    done: int
    total: int | None


class _Left(Exception):
    """Nobody waits for the download."""


async def pull(ref: str, offline: bool | None, over: Callable[[], None]) -> AsyncGenerator[PullProgress, None]:
    """Bring a model here; leaving the generator stops that, and what has come is kept for the next time.

    A reader who is slow is told the latest only.

    over    called once, when the thread has ended: one that nobody waits for may wait for the network a while longer
    raises  as `furet.files.store.pull`; Busy
    """
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[PullProgress | FuretError | None] = asyncio.Queue(1)
    left = Flag()

    def put(what: PullProgress | FuretError | None) -> None:
        if news.full():
            news.get_nowait()
        news.put_nowait(what)

    def tell(label: str, done: int, total: int | None) -> None:
        if left.is_set():
            raise _Left
        loop.call_soon_threadsafe(put, PullProgress(label, done, total))

    def work() -> None:
        end: FuretError | None = None
        try:
            store.pull(ref, progress=tell, offline=offline)
        except FuretError as error:
            end = error
        except _Left:
            pass
        except Exception as error:
            end = DownloadFailed(f"{ref}: {type(error).__name__} while downloading")
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(put, end)
            loop.call_soon_threadsafe(over)

    # No thread of the loop's pool: the end of the server would wait for it.
    try:
        Thread(target=work, daemon=True).start()
    except RuntimeError:
        over()
        raise Busy("the system gives no more threads", "ask again later") from None
    try:
        while (what := await news.get()) is not None:
            if isinstance(what, FuretError):
                raise what
            yield what
    finally:
        left.set()
