"""Servers on ports of their own, for clients that speak through sockets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM
from threading import Event, Thread
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """Says when it listens, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = Event()

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.listening.set()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of a server of an application, in a thread until the end of the block."""
    server = _Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=5))
    thread = Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(30) and server.started, "the server does not start"
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@contextmanager
def furet_serve(*arguments: str) -> Iterator[str]:
    """The address of `furet serve` in a process of its own."""
    command = [sys.executable, "-m", "furet", "serve", "--port", "0", "--no-page", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://"), f"the server does not start: {process.wait(30)}"
            yield address
        finally:
            process.terminate()
    assert process.returncode in (0, -SIGTERM), process.returncode
