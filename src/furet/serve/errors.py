"""What a failure is called over HTTP: one table of errors, and the shape that each API gives them.

    OpenAI      {"error": {"message", "type", "param", "code"}}
    Ollama      {"error": message}
    Anthropic   {"type": "error", "error": {"type", "message"}}
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from furet.errors import (
    BadRequest,
    Busy,
    ContextOverflow,
    DoesNotFit,
    DownloadFailed,
    FuretError,
    ModelFileError,
    NotFound,
    UnsupportedModel,
    WorkerDied,
)

STATUS: Mapping[type[FuretError], tuple[int, str]] = {
    BadRequest: (400, "invalid_request"),
    ContextOverflow: (400, "context_length_exceeded"),
    NotFound: (404, "model_not_found"),
    ModelFileError: (422, "invalid_model_file"),
    UnsupportedModel: (422, "unsupported_model"),
    DownloadFailed: (502, "download_failed"),
    WorkerDied: (502, "worker_died"),
    Busy: (503, "overloaded"),
    DoesNotFit: (507, "does_not_fit"),
    FuretError: (500, "failed"),
}
RETRY_AFTER = 1  # seconds, when the server is busy
_CODES = {
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "request_too_large",
    414: "request_too_large",
    415: "unsupported_media_type",
    421: "wrong_host",
    431: "request_too_large",
    503: "overloaded",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_FIELD = re.compile(r"([a-z_][a-z0-9_.\[\]]{0,80}): ")

log = logging.getLogger("furet.serve")
_short = Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60


@dataclass(frozen=True)
class Failure:
    """A failure as every API tells it.

    status      of HTTP
    code        a word for programs
    message     for people
    param       the field at fault, when there is one
    headers     that go with it
    """

    status: int
    code: str
    message: str
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def status_of(error: FuretError) -> tuple[int, str]:
    """The status and code of an error: those of its class, or of the nearest class above it."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def failure_of(error: Exception) -> Failure:
    """What an error is to the caller. One that nobody foresaw is logged, and told by an id alone."""
    if isinstance(error, FuretError):
        status, code = status_of(error)
        message = f"{error.message}; {error.hint}" if error.hint else error.message
        field = _FIELD.match(error.message) if status == 400 else None
        return Failure(status, code, _printable(message), field and field[1], _retry(status))
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "invalid_request")
        headers = tuple((error.headers or {}).items())
        return Failure(error.status_code, code, _printable(str(error.detail)), None, headers)
    id = secrets.token_hex(8)
    log.error("failure %s", id, exc_info=error)
    return Failure(500, "internal_error", f"the server failed; its log says why under {id}")


def refusal(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Failure:
    """A failure that a status alone names."""
    return Failure(status, _CODES.get(status, "invalid_request"), _printable(message), None, headers)


def shaped(path: str, failure: Failure) -> dict[str, Any]:
    """The JSON of a failure, as the API that the path belongs to gives it."""
    if path.startswith("/api/"):
        return {"error": failure.message}
    if path.startswith("/v1/messages"):
        kind = _ANTHROPIC_TYPES.get(failure.status, "invalid_request_error" if failure.status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": failure.message}}
    kind = "invalid_request_error" if failure.status < 500 else "server_error"
    error = {"message": failure.message, "type": kind, "param": failure.param, "code": failure.code}
    return {"error": error}


def respond(path: str, failure: Failure) -> JSONResponse:
    """The whole answer to a request that failed."""
    return JSONResponse(shaped(path, failure), failure.status, dict(failure.headers))


def install(app: FastAPI) -> None:
    """Make an application answer all failures so."""

    async def failed(request: Request, error: Exception) -> Response:
        return respond(request.url.path, failure_of(error))

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it

    for kind in (FuretError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, failed)
    app.add_exception_handler(ClientDisconnect, gone)


def path_of(location: Sequence[int | str], body: Any) -> str:
    """A place in a body as people write it: ("messages", 0, "user", "name") is messages[0].name.

    Steps that are not in the body name a kind of value that was tried; the last one may be missing in it.
    """
    path = ""
    for place, step in enumerate(location):
        found = isinstance(body, dict) and step in body
        if isinstance(step, int):
            path += f"[{step}]"
            body = body[step] if isinstance(body, list) and step < len(body) else None
        elif found or (isinstance(body, dict) and place == len(location) - 1):
            path += f".{step}" if path else step
            body = body.get(step)
    return path


def _invalid(error: RequestValidationError) -> Failure:
    """The failure of a request that is not of the form wanted: its first error, of those the deepest in the body."""
    first = max(error.errors(), key=lambda each: len(re.findall(r"[.\[]", path_of(each["loc"][1:], error.body))))
    at = path_of(first["loc"][1:], error.body) or str(first["loc"][-1])
    return Failure(400, "invalid_request", _printable(f"{at}: {_complaint(first)}"), _printable(at))


def _complaint(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, from pydantic's words."""
    kind, says, got = error["type"], str(error["msg"])[:300], _short.repr(error.get("input"))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        context = error["ctx"]
        return f"{context['discriminator']}: wanted one of {context['expected_tags']}" if "tag" in context else says
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "missing":
        return "missing"
    if says.startswith("Input should be "):
        return f"got {got}, wanted {says.removeprefix('Input should be ')}"
    return f"got {got}: {says.removeprefix('Value error, ')}"


def _retry(status: int) -> tuple[tuple[str, str], ...]:
    """What tells clients whether to try again."""
    if status == 503:
        return (("Retry-After", str(RETRY_AFTER)),)
    return (("x-should-retry", "false"),) if status in (500, 507) else ()


def _printable(text: str) -> str:
    """Text that UTF-8 can write, of a length that people read."""
    return text[:2000].encode("utf-8", "replace").decode()
