"""Who may speak to the server, and what a request must look like; what is not allowed here reaches nothing else.

A web page that somebody visits can send requests to this machine, so being on loopback proves nothing. In this order:

    headers     few and small
    Host        a loopback name or address and the server's port, or an allowed name: a page cannot get in by
                pointing its own name at this machine
    Origin      the server's own, or an allowed one; where browsers say Sec-Fetch-Site, the same holds for that
    token       when one is set, on every path but /health: `Authorization: Bearer`, `x-api-key`, or the cookie that
                opening /?token=... sets
    body        application/json, not compressed, within the limit, and JSON without surprises
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from furet.errors import FuretError
from furet.serve.admission import Headers, check_form, check_host, check_origin, headers_of, same, shows_token
from furet.serve.bodies import Room, TooLarge, TooSlow, check_json, read_body
from furet.serve.errors import Failure, failure_of, refusal, respond
from furet.serve.limits import BODY_SECONDS, MAX_BODIES, ServerSettings
from furet.serve.signin import let_in, sign_in

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
LARGE = 1 << 20  # bytes
_UTF8 = ("", "charset=utf-8", 'charset="utf-8"')
_HEADER_NAMES = re.compile(r"[A-Za-z0-9-]+(, ?[A-Za-z0-9-]+){0,49}")

log = logging.getLogger("furet.serve")


class Guard:
    """The outermost layer of the application.

    seen    told the scope and the status of every request, when its answer begins
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, seen: Callable[[Scope, int], None]) -> None:
        self._app = app
        self._settings = settings
        self._seen = seen
        self._bodies = Room(MAX_BODIES)
        self._checking = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens, and once."""
        started = False
        headers = headers_of(scope)

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": self._secured(message.get("headers", []), headers)}
                self._seen(scope, message["status"])
            await send(message)

        try:
            response = self._instead(scope, headers)
            if response is None:
                with self._bodies.held() as take:  # until it is answered: the application keeps what it has read
                    checked = await self._checked_body(headers, receive, take)
                    if checked is not None:
                        await self._app(scope, checked, answer)
                return
        except Exception as error:
            if started:  # the application has answered for it, or could not
                log.error("an answer broke off: %s", type(error).__name__)
                return
            response = respond(scope["path"], error.failure if isinstance(error, Refused) else failure_of(error))
        await response(scope, receive, answer)

    def _instead(self, scope: Scope, headers: Headers) -> Response | None:
        """What to answer instead of going on: refusals, preflights, and the way in for browsers."""
        settings, path, method = self._settings, scope["path"], scope["method"]
        failure = check_form(scope) or check_host(scope, headers, settings) or check_origin(scope, headers, settings)
        if failure is not None:
            raise Refused(failure)
        if method == "OPTIONS":
            return _preflight(headers)
        if settings.token is None or (path == "/health" and method in ("GET", "HEAD")):
            return None
        if shows_token(headers, settings):
            return None
        if path == "/" and method == "GET":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            scope["query_string"] = b""  # what logs requests prints it
            if same(given, settings.token):
                return let_in(settings)
            if given:
                return sign_in(wrong=True)
        if method == "GET" and "text/html" in headers.get("accept", ""):
            return sign_in(wrong=False)
        raise Refused(refusal(401, "a token is wanted, as Authorization: Bearer", (("WWW-Authenticate", "Bearer"),)))

    async def _checked_body(self, headers: Headers, receive: Receive, take: Callable[[int], None]) -> Receive | None:
        """What gives the application the body again, once it is found good; None when the client left."""
        length = headers.get("content-length", "0")
        if length == "0" and "transfer-encoding" not in headers:
            return receive
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refused(refusal(415, "Content-Encoding: wanted a body that is not compressed"))
        kind, _, parameters = headers.get("content-type", "").lower().partition(";")
        if kind.strip() != "application/json" or parameters.strip() not in _UTF8:
            raise Refused(refusal(415, "Content-Type: wanted application/json, in UTF-8"))
        most = self._settings.max_body
        try:
            if length.isdigit() and int(length[:20]) > most:
                raise TooLarge
            body = await read_body(receive, most, BODY_SECONDS, take)
        except TooLarge:
            raise Refused(refusal(413, f"the body: wanted at most {most} bytes")) from None
        except TooSlow:
            raise Refused(refusal(408, f"the body: wanted within {BODY_SECONDS:.0f} seconds")) from None
        if body is None:
            return None
        if len(body) > LARGE:
            async with self._checking:  # one at a time, as that takes its size twice more
                await asyncio.to_thread(check_json, body)  # others are answered meanwhile
        else:
            check_json(body)
        rest = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return rest.pop() if rest else await receive()

        return again

    def _secured(self, raw: list[tuple[bytes, bytes]], request: Headers) -> list[tuple[bytes, bytes]]:
        """The headers of an answer with those that protect it; what the application has set itself stays."""
        had = {name.lower() for name, _ in raw}
        added = {name: value for name, value in SECURITY_HEADERS.items() if name.encode() not in had}
        if (origin := request.get("origin", "")) in self._settings.allowed_origins:
            added["cross-origin-resource-policy"] = "cross-origin"
            added["access-control-allow-origin"] = origin
            added["access-control-expose-headers"] = "retry-after"
            added["vary"] = "origin"
        return [*raw, *((name.encode(), value.encode("latin-1")) for name, value in added.items())]


class Refused(FuretError):
    """A request that goes no further, and the failure that says so."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _preflight(headers: Headers) -> Response:
    """The answer to a browser that asks whether a page may call; `_secured` adds the origin where it is allowed."""
    wanted = headers.get("access-control-request-headers", "")
    allowed = wanted if _HEADER_NAMES.fullmatch(wanted) else "authorization, content-type"
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
            "access-control-allow-headers": allowed,
            "access-control-max-age": "600",
        },
    )
