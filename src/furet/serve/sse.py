"""Answers sent while they are made, and answers that nobody waits for any more.

A stream begins when its first frame is there, so that what fails before has a status of its own; where the first
frame takes long, because a long prompt is being read, it begins without. Whoever leaves ends the answer: the
generator of the frames is closed at once. So does a reader that takes nothing for a minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from furet.serve.errors import Failure, failure_of

STALLED = 60.0  # seconds
COMMENT = b": still here\n\n"
DONE = b"data: [DONE]\n\n"
Frames = AsyncGenerator[bytes, None]
Value = TypeVar("Value")


def frame(data: Any, event: str = "") -> bytes:
    """One server-sent event, its data as JSON."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode("utf-8", "replace")


def stream(
    request: Request,
    frames: Frames,
    failed: Callable[[Failure], bytes],
    *,
    media_type: str = "text/event-stream",
    comment: bytes = COMMENT,
) -> Response:
    """The response that sends frames as they come.

    failed      the frame that tells of a failure when the stream has begun
    comment     what says that the server is alive, where there is nothing to say; b"": nothing does

    The response raises what the frames raise before the first, and ClientDisconnect.
    """
    quiet = float(request.app.state.settings.keep_alive)
    return _Stream(frames, failed, media_type=media_type, comment=comment, quiet=quiet)


async def whole(request: Request, work: Coroutine[Any, Any, Value]) -> Value:
    """What the work gives, unless the client leaves before: then it is cancelled, and ClientDisconnect raised."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        await _end(task, gone)


class _Stream(StreamingResponse):
    def __init__(
        self, frames: Frames, failed: Callable[[Failure], bytes], *, media_type: str, comment: bytes, quiet: float
    ) -> None:
        super().__init__(frames, headers={"x-accel-buffering": "no"}, media_type=media_type)
        self._frames, self._failed = frames, failed
        self._comment, self._quiet = comment, quiet
        self._begun = False
        self._since = 0.0  # when something was given to the connection last, and whether it has been taken
        self._taken = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pumping = asyncio.ensure_future(self._pump(send))
        others = [asyncio.ensure_future(_left(receive)), asyncio.ensure_future(self._watch(send))]
        try:
            await asyncio.wait([pumping, *others], return_when=asyncio.FIRST_COMPLETED)
            if not self._begun and others[0].done():
                raise ClientDisconnect
            if pumping.done():
                pumping.result()
        finally:
            await _end(pumping, *others)
            await self._frames.aclose()

    async def _pump(self, send: Send) -> None:
        """Send all frames and the end; raises what they raise before the first."""
        try:
            async for frame in self._frames:
                await self._begin(send)
                await self._send(send, _body(frame))
        except Exception as error:
            if not self._begun:
                raise
            await self._send(send, _body(self._failed(failure_of(error))))
        await self._begin(send)
        await self._send(send, _body(b"", more=False))

    async def _watch(self, send: Send) -> None:
        """Begin, and comment, where there is nothing to say; returns when the reader takes nothing any more."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._quiet)
            await asyncio.wait_for(self._begin(send), STALLED)
            waited = loop.time() - self._since
            if not self._taken and waited > STALLED:
                return
            if self._taken and waited >= self._quiet and self._comment:
                await asyncio.wait_for(self._send(send, _body(self._comment)), STALLED)

    async def _begin(self, send: Send) -> None:
        if not self._begun:
            self._begun = True
            await self._send(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _send(self, send: Send, message: Message) -> None:
        self._taken, self._since = False, asyncio.get_running_loop().time()
        await send(message)
        self._taken = True


def _body(content: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


async def _left(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what is not done, and wait until it is."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
