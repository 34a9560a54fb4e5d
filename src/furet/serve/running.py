"""The server from its socket to its end: models, application, HTTP, signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from furet.errors import BadRequest, FuretError
from furet.serve.admission import is_loopback
from furet.serve.app import create_app
from furet.serve.limits import HEAD_SECONDS, MAX_HEADERS, ServerSettings
from furet.serve.models import Models

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from furet.chat.store import Store

CONNECTIONS = 1024  # at once; more are answered 503
FAREWELL = 1  # seconds that connections have, once the server is to end


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes a free one.

    raises  BadRequest for an address that this machine does not have, and for a port that is taken
    """
    if not 0 <= port <= 65535:
        raise BadRequest(f"port: got {port}, wanted 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError, OverflowError) as error:
        raise BadRequest(f"host: {host!r:.80}, port {port}: {error}", "127.0.0.1 is this machine alone") from None
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere this would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(CONNECTIONS)
    except OSError as error:
        listening.close()
        reason = error.strerror or type(error).__name__
        hint = "`--port 0` takes a free one; another furet may be running already"
        raise BadRequest(f"cannot listen at {host}, port {port}: {reason}", hint) from None
    return listening


def require_guarded(host: str, token: str | None, insecure: bool) -> None:
    """Raise BadRequest for an address that others can reach, unless a token is set or the operator insists."""
    if token is None and not insecure and not is_loopback(host):
        raise BadRequest(
            f"host: {host!r:.80} can be reached by others, and no token is set",
            "set one with FURET_TOKEN or --token; --insecure serves everybody who gets there",
        )


async def serve(
    models: Models,
    settings: ServerSettings,
    listening: socket.socket,
    *,
    store: Store | None,
    ready: Callable[[], None],
) -> int:
    """Serve until a signal says to end; its number. A second one ends the process at once.

    store   conversations of the page; None: no page
    ready   called when requests are answered
    raises  FuretErrors of loading the models to keep
    """
    told = asyncio.Event()
    with _signals(told) as numbers:
        try:
            if not await _unless(told, models.start()):
                return numbers[0]
            app = create_app(models, settings, store, page=store is not None)
            server = _server(app)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            if server.started:
                ready()
            waiting = asyncio.create_task(told.wait())
            await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            server.should_exit = True
            if store is not None:
                app.state.farewell()  # open pages would hold it up
            await models.close()  # what is being answered ends with an error, and its connection with it
            await serving
            if not numbers:
                raise FuretError("the server ended by itself", "its log says why")
            return numbers[0]
        finally:
            await models.close()


async def _unless(told: asyncio.Event, starting: Coroutine[None, None, None]) -> bool:
    """Whether it came to its end before the event did."""
    task, waiting = asyncio.create_task(starting), asyncio.create_task(told.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if told.is_set():
        task.cancel()
        with suppress(asyncio.CancelledError, FuretError):
            await task
        return False
    await task
    return True


class Protocol(H11Protocol):
    """A connection, which is closed when no whole head of a request comes: silent ones would lock everybody out.

    uvicorn bounds only the time after an answer, and that for a single byte no more.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It waits for its first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It waits for nothing."""
        super().connection_lost(exc)
        self._stop_waiting()

    def handle_events(self) -> None:
        """A head may be there now."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """It waits for its next request, unless that is there already."""
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is answered:
            self._await_head()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()


class _Server(uvicorn.Server):
    """Without signal handlers of its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            lifespan="on",
            http=Protocol,  # h11 bounds what a head may hold; httptools, taken where it is installed, does not
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # anybody can write these
            server_header=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=2 * MAX_HEADERS,
            timeout_graceful_shutdown=FAREWELL,
        )
    )


@contextmanager
def _signals(told: asyncio.Event) -> Iterator[list[int]]:
    """Sets the event at the first SIGINT or SIGTERM; which came is in the list. The second one ends the process."""
    loop = asyncio.get_running_loop()
    numbers: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if numbers:
            os._exit(128 + number)  # the models' processes end with this one
        numbers.append(number)
        loop.call_soon_threadsafe(told.set)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
