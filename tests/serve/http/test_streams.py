"""Answers as they are made: what is sent when, and what happens when nobody reads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from serve.fake_models import FakeModels

from furet.errors import Busy, WorkerDied
from furet.serve import sse
from furet.serve.app import ServerSettings, create_app

CHAT = {"model": "fake", "messages": [{"role": "user", "content": "one two three four five"}]}
PATHS = [
    ("/v1/chat/completions", CHAT),
    ("/v1/completions", {"model": "fake", "prompt": "one two three four", "max_tokens": 9}),
    ("/v1/responses", {"model": "fake", "input": "one two three four"}),
    ("/v1/chat/completions", {**CHAT, "n": 3}),
    ("/v1/messages", {**CHAT, "max_tokens": 50}),
    ("/api/chat", CHAT),
    ("/api/generate", {"model": "fake", "prompt": "one two three four"}),
]


class Caller:
    """One request and its reader, driven by hand.

    sent    what the application has sent
    said    set whenever it sends
    """

    def __init__(self, models: FakeModels, **settings: Any) -> None:
        self.app = create_app(models, ServerSettings(**settings))  # type: ignore[arg-type]
        self.sent: list[dict[str, Any]] = []
        self.said = asyncio.Event()
        self.leaves = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()

    async def call(self, path: str, body: dict[str, Any]) -> None:
        """Until the application is done with the request."""
        content = json.dumps(body).encode()
        messages = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)
            self.said.set()
            await self.takes.wait()

        headers = [(b"host", b"localhost:8080"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*headers, (b"content-length", str(len(content)).encode())],
            "server": ("127.0.0.1", 8080),
            "root_path": "",
            "http_version": "1.1",
        }
        await asyncio.wait_for(self.app(scope, receive, send), 20)  # type: ignore[arg-type]

    async def heard(self, wanted: int) -> None:
        """Until so many messages have been sent."""
        while len(self.sent) < wanted:
            self.said.clear()
            await asyncio.wait_for(self.said.wait(), 20)

    @property
    def text(self) -> str:
        """All bodies together."""
        return b"".join(each.get("body", b"") for each in self.sent).decode()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "body"), PATHS)
def test_who_leaves_ends_the_answer_at_once(path: str, body: dict[str, Any], stream: bool) -> None:
    async def run() -> None:
        models = FakeModels()
        models.gate = asyncio.Event()  # no answer gets beyond its first event
        caller = Caller(models)
        calling = asyncio.ensure_future(caller.call(path, {**body, "stream": stream}))
        while models.running < body.get("n", 1):
            await asyncio.sleep(0)
        caller.leaves.set()
        await calling
        assert models.running == 0 and models.closed == body.get("n", 1)

    asyncio.run(run())


def test_frames_are_sent_as_they_are_made() -> None:
    async def run() -> None:
        models = FakeModels()
        models.gate = asyncio.Event()
        caller = Caller(models)
        calling = asyncio.ensure_future(caller.call("/v1/chat/completions", {**CHAT, "stream": True}))
        await caller.heard(2)
        assert caller.sent[0]["status"] == 200 and '"role":"assistant"' in caller.text and "one" not in caller.text
        models.gate.set()
        await calling
        assert caller.text.endswith("data: [DONE]\n\n") and caller.sent[-1] == {
            "type": "http.response.body",
            "body": b"",
            "more_body": False,
        }

    asyncio.run(run())


def read_slowly(models: FakeModels) -> asyncio.Event:
    """Set when the prompt has been read: before that there is no event."""
    read = asyncio.Event()

    async def run(model: str, job: Any) -> Any:
        await read.wait()
        async for event in FakeModels().run(model, job):
            yield event

    models.run = run  # type: ignore[method-assign, assignment]
    return read


def test_comments_tell_that_a_prompt_is_being_read() -> None:
    async def run() -> None:
        models = FakeModels()
        read = read_slowly(models)
        caller = Caller(models, keep_alive=0.01)
        calling = asyncio.ensure_future(caller.call("/v1/chat/completions", {**CHAT, "stream": True}))
        await caller.heard(4)
        assert set(caller.text.split("\n\n")) == {sse.COMMENT.decode().strip(), ""}
        read.set()
        await calling
        assert "data: [DONE]" in caller.text

    asyncio.run(run())


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_a_failure_before_the_first_token_has_a_status(path: str, body: dict[str, Any]) -> None:
    async def run() -> None:
        models = FakeModels()
        models.before = Busy("128 requests wait")
        caller = Caller(models)
        await caller.call(path, {**body, "stream": True})
        assert caller.sent[0]["status"] == 503 and "128 requests wait" in caller.text

    asyncio.run(run())


@pytest.mark.parametrize("error", [WorkerDied("the process was killed"), RuntimeError("a secret")])
@pytest.mark.parametrize(("path", "body"), PATHS)
def test_a_failure_amid_the_answer_is_an_event(path: str, body: dict[str, Any], error: Exception) -> None:
    async def run() -> None:
        models = FakeModels()
        models.after = error
        caller = Caller(models)
        await caller.call(path, {**body, "stream": True})
        assert caller.sent[0]["status"] == 200 and not caller.sent[-1]["more_body"]
        last = caller.text.strip().splitlines()[-1]
        told = json.dumps(json.loads(last.removeprefix("data: ")))
        assert "error" in told and "secret" not in told
        assert ("the process was killed" in told) == isinstance(error, WorkerDied)
        assert "[DONE]" not in caller.text and models.running == 0

    asyncio.run(run())


def test_a_reader_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STALLED", 0.02)

    async def run() -> None:
        models = FakeModels()
        caller = Caller(models, keep_alive=0.01)
        caller.takes.clear()
        await caller.call("/v1/chat/completions", {**CHAT, "stream": True})
        assert models.running == 0 and models.closed == 1

    asyncio.run(run())


def test_a_reader_that_takes_not_even_the_beginning_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STALLED", 0.02)

    async def run() -> None:
        models = FakeModels()
        read_slowly(models)
        caller = Caller(models, keep_alive=0.01)
        caller.takes.clear()
        await caller.call("/v1/chat/completions", {**CHAT, "stream": True})
        assert len(caller.sent) == 1

    asyncio.run(run())
