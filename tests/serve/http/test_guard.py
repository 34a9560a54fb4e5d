"""The token, the form of requests, and the headers of answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels

from furet.chat.store import Store
from furet.errors import BadRequest
from furet.serve.admission import cookie_value
from furet.serve.app import ServerSettings, create_app
from furet.serve.guard import Guard

TOKEN = "a token of tests"
Client = Callable[..., TestClient]
TOKENIZE = {"model": "fake", "content": "a b"}


def routes(app: Any) -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers, wherever it is mounted."""
    found: list[Any] = list(app.routes)
    while found:
        route = found.pop()
        found += getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", [])
        if hasattr(route, "methods") and hasattr(route, "path"):
            for method in route.methods or ():
                yield method, route.path


def test_every_route_but_health_wants_the_token(models: FakeModels, tmp_path: Path) -> None:
    store = Store(tmp_path / "chats.sqlite")
    app = create_app(models, ServerSettings(token=TOKEN), store)  # type: ignore[arg-type]
    called = TestClient(app, "http://localhost:8080")
    found = sorted(set(routes(app)))
    assert {path for _, path in found} >= {
        "/health", "/metrics", "/tokenize", "/detokenize", "/openapi.json", "/v1/models", "/v1/chat/completions",
        "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/responses/{id}", "/v1/messages", "/api/chat",
        "/", "/ui/", "/ui/{path:path}", "/ui/api/start",
    }  # fmt: skip
    for method, path in found:
        at = path.replace("{", "").replace("}", "").replace(":path", "")
        for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": ""}, {"cookie": "furet_8080=x"}):
            response = called.request(method, at, headers=headers, json={} if method == "POST" else None)
            assert response.status_code == (200 if path == "/health" else 401), (method, path)
    store.close()


def test_what_is_no_route_wants_the_token_as_well(client: Client) -> None:
    called = client(token=TOKEN)
    for path in ("/nothing", "/health/", "//health", "/health/..", "/HEALTH", "/v1", "/docs"):
        assert called.get(path).status_code == 401
    assert called.post("/health", json={}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer {TOKEN}"},
        {"x-api-key": TOKEN},
        {"cookie": f"furet_8080={cookie_value(TOKEN)}"},
        {"cookie": f'a={{"x": 1}}; b; furet_8080={cookie_value(TOKEN)}; c="'},
    ],
)
def test_the_token_is_shown_in_three_ways(client: Client, headers: dict[str, str]) -> None:
    assert client(token=TOKEN).get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"x-api-key": cookie_value(TOKEN)},
        {"cookie": f"furet_8080={TOKEN}"},
        {"cookie": f"furet_8081={cookie_value(TOKEN)}"},
        {"cookie": "a=b; ;;=\x7f"},
    ],
)
def test_what_is_not_the_token_is_refused_in_the_shape_of_the_api(client: Client, headers: dict[str, str]) -> None:
    called = client(token=TOKEN)
    response = called.get("/v1/models", headers=headers)
    assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert called.get("/api/tags", headers=headers).json() == {"error": response.json()["error"]["message"]}
    kind = called.post("/v1/messages", headers=headers, json={}).json()["error"]["type"]
    assert kind == "authentication_error"


def test_without_a_token_any_key_will_do(client: Client) -> None:
    assert client().get("/v1/models", headers={"authorization": "Bearer sk-nothing"}).status_code == 200


def test_a_browser_exchanges_the_token_for_a_cookie(client: Client) -> None:
    called = client(token=TOKEN)
    asked = called.get("/", headers={"accept": "text/html,*/*"})
    assert asked.status_code == 401 and "<form" in asked.text and TOKEN not in asked.text
    assert "script" not in asked.headers["content-security-policy"]
    assert "<form" in called.get("/ui/", headers={"accept": "text/html"}).text
    wrong = called.get("/", params={"token": "wrong token"})
    assert wrong.status_code == 401 and "wrong token" not in wrong.text and "set-cookie" not in wrong.headers
    let_in = called.get("/", params={"token": TOKEN})
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/")
    cookie = let_in.headers["set-cookie"]
    assert TOKEN not in cookie and "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert called.get("/v1/models").status_code == 200  # the client has kept the cookie


def test_the_token_of_a_link_is_not_left_for_logs() -> None:
    seen: list[bytes] = []
    guard = Guard(_never, ServerSettings(token=TOKEN), lambda scope, status: seen.append(scope["query_string"]))
    status, _, _ = _asgi(guard, query=f"token={TOKEN}".replace(" ", "+").encode(), path="/", method="GET")
    assert status == 303 and seen == [b""]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain; application/json", 415),
        ("application/jsonx", 415),
        ("", 415),
    ],
)
def test_bodies_are_json_and_say_so(client: Client, kind: str, wanted: int) -> None:
    response = client().post("/tokenize", content=json.dumps(TOKENIZE), headers={"content-type": kind})
    assert response.status_code == wanted, response.text


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
def test_compressed_bodies_are_refused(client: Client, coding: str) -> None:
    headers = {"content-encoding": coding, "content-type": "application/json"}
    assert client().post("/tokenize", content=b"\x1f\x8b", headers=headers).status_code == 415


def test_a_body_is_counted_as_it_is_read(client: Client) -> None:
    called = client(max_body=1000)
    fits = json.dumps(TOKENIZE).encode().ljust(1000)
    headers = {"content-type": "application/json"}
    assert called.post("/tokenize", content=fits, headers=headers).status_code == 200
    assert called.post("/tokenize", content=fits + b" ", headers=headers).status_code == 413
    assert called.post("/v1/messages", content=fits + b" ", headers=headers).json()["type"] == "error"


@pytest.mark.parametrize("length", [None, b"10", b"-1", b"abc", b"9" * 5000])
def test_a_body_in_pieces_is_counted_whatever_its_header_says(length: bytes | None) -> None:
    """Not read further than the limit."""
    given = 0

    async def receive() -> dict[str, Any]:
        nonlocal given
        given += 1
        return {"type": "http.request", "body": b" " * 400, "more_body": True}

    guard = Guard(_never, ServerSettings(max_body=1000), lambda scope, status: None)
    headers = [(b"transfer-encoding", b"chunked")] if length is None else [(b"content-length", length)]
    status, _, _ = _asgi(guard, headers=[*headers, (b"content-type", b"application/json")], receive=receive)
    assert status == 413 and given <= 3


def test_bodies_of_all_requests_share_their_room_from_the_first_piece_to_the_end_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("furet.serve.guard.MAX_BODIES", 1000)

    async def requests() -> None:
        reached, done = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            reached.set()
            await done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        guard = Guard(app, ServerSettings(), lambda scope, status: None)

        def request(*pieces: str) -> tuple[asyncio.Queue[Any], asyncio.Task[Any]]:
            body: asyncio.Queue[Any] = asyncio.Queue()
            for piece in pieces:
                body.put_nowait({"type": "http.request", "body": piece.encode(), "more_body": True})
            headers = [(b"content-length", b"9"), (b"content-type", b"application/json")]
            return body, asyncio.create_task(_answer(guard, headers, body.get))

        end = {"type": "http.request", "body": b"", "more_body": False}
        first, answered = request("1".ljust(600))
        leaving, left = request("1".ljust(300))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not answered.done() and guard._bodies.taken == 900
        refused = await request("1".ljust(50), " " * 51)[1]
        assert refused[0] == 503 and b"950 bytes of 1000" in refused[2]
        leaving.put_nowait({"type": "http.disconnect"})
        assert (await left)[0] is None and guard._bodies.taken == 600
        first.put_nowait(end)
        await reached.wait()
        assert (await request("1".ljust(401))[1])[0] == 503
        done.set()
        assert (await answered)[0] == 200 and guard._bodies.taken == 0
        fits, answered = request("1".ljust(1000))
        fits.put_nowait(end)
        assert (await answered)[0] == 200

    asyncio.run(requests())


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("furet.serve.guard.BODY_SECONDS", 0.01)
    guard = Guard(_never, ServerSettings(), lambda scope, status: None)
    headers = [(b"content-length", b"10"), (b"content-type", b"application/json")]
    assert _asgi(guard, headers=headers, receive=receive)[0] == 408


def test_a_client_that_leaves_while_it_sends_is_no_error() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    guard = Guard(_never, ServerSettings(), lambda scope, status: None)
    headers = [(b"content-length", b"10"), (b"content-type", b"application/json")]
    assert _asgi(guard, headers=headers, receive=receive)[0] is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": NaN}', "NaN"),
        (b'{"model": -Infinity}', "-Infinity"),
        (b'{"model": 1e309}', "beyond the range"),
        (b'{"model": 18446744073709551616}', "64 bits"),
        (b'{"model": %s}' % (b"9" * 5000), "not JSON"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "deeper than 64"),
        (b'{"model": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"model": "a", "model": "b"}', "'model' occurs twice"),
        (b'{"model": "\xff"}', "not UTF-8"),
        (b'\xef\xbb\xbf{"model": "a"}', "not JSON"),
        (b"{'model': 1}", "not JSON"),
        (b'{"model": "a"} {}', "not JSON"),
        (b"", "missing"),
        (b"[%s1]" % (b"1," * ((1 << 18) + 1)), "values"),
    ],
)
def test_json_without_surprises(client: Client, body: bytes, says: str) -> None:
    response = client().post("/tokenize", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400 and says in response.json()["error"]["message"]


def test_json_as_deep_as_may_be_reaches_the_application(client: Client) -> None:
    response = client().post("/tokenize", content=b"[" * 64 + b"]" * 64, headers={"content-type": "application/json"})
    assert response.status_code == 400 and "deeper" not in response.text


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([(b"a", b"b")] * 101, 431),
        ([(b"a", b"b" * 33_000)], 431),
        ([(b"host", b"localhost:8080")], 400),
        ([(b"authorization", b"Bearer a"), (b"Authorization", b"Bearer b")], 400),
        ([(b"origin", b"http://localhost:8080"), (b"origin", b"http://evil.example")], 400),
        ([(b"content-type", b"application/json"), (b"content-type", b"text/plain")], 400),
    ],
)
def test_headers_are_few_and_small_and_once(headers: list[tuple[bytes, bytes]], wanted: int) -> None:
    guard = Guard(_never, ServerSettings(), lambda scope, status: None)
    assert _asgi(guard, headers=headers)[0] == wanted


def test_long_targets_are_refused() -> None:
    guard = Guard(_never, ServerSettings(), lambda scope, status: None)
    assert _asgi(guard, query=b"a" * 9000)[0] == 414


def test_other_protocols_are_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    guard = Guard(_never, ServerSettings(), lambda scope, status: None)
    asyncio.run(guard({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_answers_carry_the_headers_that_protect_them(client: Client) -> None:
    called = client(token=TOKEN)
    for response in (called.get("/health"), called.get("/v1/models"), called.get("/nothing")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in response.headers


def test_allowed_origins_get_cors_and_nobody_else(client: Client) -> None:
    origin = "https://chat.example.org"
    called = client(token=TOKEN, allowed_origins=(origin,))
    asked = {"origin": origin, "access-control-request-headers": "authorization,x-stainless-os"}
    preflight = called.options("/v1/chat/completions", headers=asked)
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == origin
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert "access-control-allow-credentials" not in preflight.headers
    called_for = called.get("/v1/models", headers={"origin": origin, "authorization": f"Bearer {TOKEN}"})
    assert called_for.status_code == 200 and called_for.headers["vary"] == "origin"
    assert called.get("/v1/models", headers={"origin": origin}).status_code == 401
    odd = called.options("/v1/models", headers={"origin": origin, "access-control-request-headers": "a\x01b"})
    assert odd.headers["access-control-allow-headers"] == "authorization, content-type"


def test_pages_that_load_scripts_from_elsewhere_are_off(client: Client) -> None:
    called = client()
    assert called.get("/docs").status_code == called.get("/redoc").status_code == 404
    assert called.get("/openapi.json").json()["info"]["title"] == "furet"


@pytest.mark.filterwarnings("error")
def test_every_operation_has_an_id_of_its_own(models: FakeModels, tmp_path: Path) -> None:
    """Clients that are made from the schema name their methods so; fastapi warns where two are equal."""
    with Store(tmp_path / "chats.sqlite") as store:
        found = create_app(models, ServerSettings(), store).openapi()["paths"]  # type: ignore[arg-type]
    ids = [operation["operationId"] for path in found.values() for operation in path.values()]
    assert len(ids) == len(set(ids)) > 40


@pytest.mark.parametrize(
    "settings",
    [
        {"token": "short"},
        {"token": "long enough but\n"},
        {"token": "töken of tests"},
        {"allowed_hosts": ("Models.example",)},
        {"allowed_hosts": ("http://models.example",)},
        {"allowed_origins": ("*",)},
        {"allowed_origins": ("null",)},
        {"allowed_origins": ("https://chat.example/",)},
    ],
)
def test_settings_that_would_not_hold_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=next(iter(settings))):
        ServerSettings(**settings)


def test_the_application_is_imported_without_what_only_models_need() -> None:
    """Each of these takes longer to import than the whole of furet.serve."""
    import subprocess
    import sys

    code = "import sys; import furet.serve.app; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert "furet.serve.app" in loaded
    assert not {"numpy", "llguidance", "tokenizers", "jinja2", "sqlite3", "pygments", "openai"} & loaded


async def _never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the application was reached")


def _asgi(
    app: Any,
    headers: list[tuple[bytes, bytes]] | None = None,
    query: bytes = b"",
    path: str = "/tokenize",
    method: str = "POST",
    receive: Any = None,
) -> tuple[int | None, dict[str, str], bytes]:
    """Status, headers and body of one request, given as the server would hand it over."""
    return asyncio.run(_answer(app, headers or [], receive, query, path, method))


async def _answer(
    app: Any,
    headers: list[tuple[bytes, bytes]],
    receive: Any,
    query: bytes = b"",
    path: str = "/tokenize",
    method: str = "POST",
) -> tuple[int | None, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"localhost:8080"), *headers],
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive or nothing, send)
    if not sent:
        return None, {}, b""
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:])


def test_the_guard_stands_before_all_else(models: FakeModels) -> None:
    app = create_app(models, ServerSettings(token=TOKEN))  # type: ignore[arg-type]
    assert app.user_middleware[0].cls is Guard
    assert _asgi(app, method="GET", path="/v1/models")[0] == 401
