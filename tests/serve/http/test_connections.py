"""Connections through a socket: who brings no request does not keep others out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from serve.fake_models import FakeModels

from furet.serve import running
from furet.serve.app import ServerSettings, create_app

SECONDS = 0.3
Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost:%d\r\n\r\n"


@asynccontextmanager
async def serving(models: FakeModels) -> AsyncIterator[tuple[Open, int]]:
    """What opens a connection to a server, and its port."""
    listening = running.listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = running._server(create_app(models, ServerSettings(port=port), page=False))  # type: ignore[arg-type]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield lambda: asyncio.open_connection("127.0.0.1", port), port
    finally:
        server.should_exit = True
        await task


def run(monkeypatch: pytest.MonkeyPatch, work: Callable[[FakeModels, Open, int], Awaitable[Any]]) -> None:
    monkeypatch.setattr(running, "HEAD_SECONDS", SECONDS)
    monkeypatch.setattr(running, "CONNECTIONS", 10)

    async def main() -> None:
        models = FakeModels()
        async with serving(models) as (connect, port):
            await asyncio.wait_for(work(models, connect, port), 20)

    asyncio.run(main())


async def dripped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write a byte at a time, until the server has closed."""
    ended = asyncio.create_task(reader.read())
    while not ended.done():
        writer.write(b"x")
        await asyncio.sleep(SECONDS / 10)
    with suppress(ConnectionError):
        await ended


def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(models: FakeModels, connect: Open, port: int) -> None:
        many = [await connect() for _ in range(20)]
        assert await asyncio.gather(*(reader.read() for reader, _ in many)) == [b""] * 20
        reader, writer = await connect()
        writer.write(HEALTH % port)
        assert b"200 OK" in await reader.readline()

    run(monkeypatch, work)


def test_one_whose_head_drips_is_closed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(models: FakeModels, connect: Open, port: int) -> None:
        reader, writer = await connect()
        writer.write(b"GET /health HTTP/1.1\r\nX: ")
        await dripped(reader, writer)
        reader, writer = await connect()
        writer.write(HEALTH % port)
        assert b"200 OK" in await reader.readline()
        writer.write(b"GET /")  # the next one
        await dripped(reader, writer)

    run(monkeypatch, work)


def test_one_that_waits_for_its_answer_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(models: FakeModels, connect: Open, port: int) -> None:
        models.gate = asyncio.Event()
        reader, writer = await connect()
        body = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "one"}]}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {len(body)}\r\n"
        asked = head.encode() + b"Content-Type: application/json\r\n\r\n" + body
        writer.write(asked + HEALTH % port)  # and for another one
        await asyncio.sleep(3 * SECONDS)
        models.gate.set()
        answers = await reader.readuntil(b"models_loaded")
        assert answers.count(b"200 OK") == 2

    run(monkeypatch, work)
