"""Requests that nobody should send, to every API of the server, over models that are pretended.

    PYTHONPATH=src:tests python tests/serve/http/fuzz.py --count 20000 --seed 1

Up to half of them are what schemathesis makes of the application's own description, the others good requests in which
something was changed. The run passes when no request is answered 500 or not at all, every answer that calls itself
JSON is JSON, and afterwards the server is alive and makes nothing any more. The last line is the result as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from serve.fake_models import FakeModels
from serve.http.good_requests import PAGE, REQUESTS, SAID

from furet.chat.store import Store
from furet.serve.app import ServerSettings, create_app

PATIENCE = 0.2  # seconds after which a stream is left, for some have no end
MOST_PLACES = 1000  # of a body, that may be changed
SLOW = 10.0  # seconds that no request may take
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 17, 65, 2**31, 2**32, 2**53 + 1, 2**63, -(2**63), 2**64, 10**400, 0.0, -0.0, 0.5,
    1e-320, 1.7e308, float("nan"), float("inf"), float("-inf"), "", "a", " ", "\0", "\ud800", "\udfff\ud800", "\ufeff",
    "\u202e", "𝕒", "<|im_start|>", "../../etc/passwd", "fake", "fake-embed", "{{ 7 * 7 }}", "(" * 3000, "[" * 500,
    "a" * 70_000, [], [None], [[]], [{}], {}, {"": 1}, {"a": {}}, {"type": "text"}, {"type": "function"},
    {"$ref": "#"}, {"role": "user"}, ["a"] * 300, [0] * 5000, "auto", "required", "json", "text",
    {"type": "object", "properties": {"a": {"$ref": "x"}}},
]  # fmt: skip
TEXTS = [
    "", "0", "-1", "é", "\0", "\udcff", ",,", "0,0", "0,nan,0", "0,1e999,0", "0,1.5,99999999999999999999", "9" * 199,
    "99999999999999999999,0,0", "-9999999999999999999,0,0", "0,0,-99999999999999999999", "true", "resp_0", "fake", "%",
    "*", '"', "a" * 199,
]  # fmt: skip
NAMES = ["", "a", "model", "messages", "stream", "n", "__class__", "logprobs", "temperature", "\ud800", "x" * 999]


@dataclass
class Found:
    """What a run has seen.

    wrong   requests that were answered as none may be, the first few in full
    """

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Target:
    """The application, called as a server calls it, in one event loop."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.models = FakeModels()
        self.store = Store(folder / "chats.sqlite")
        self.app = create_app(self.models, ServerSettings(), self.store)  # type: ignore[arg-type]

    def close(self) -> None:
        """Give everything back."""
        self.rest()
        self.store.close()
        self.loop.close()

    def rest(self) -> None:
        """Let what goes on by itself come to its end."""
        if left := asyncio.all_tasks(self.loop):
            self.loop.run_until_complete(asyncio.wait(left, timeout=SLOW))

    def filled(self, path: str) -> str:
        """The path with a chat and a message that there are."""
        if "{chat}" not in path and "{message}" not in path:
            return path
        chats = self.store.chats(limit=1).chats
        chat = chats[0] if chats else self.store.new_chat("fake")
        messages = self.store.open(chat.id).messages
        message = messages[-1] if messages else self.store.say(chat.id, "one")
        return path.replace("{chat}", chat.id).replace("{message}", message.id)

    def call(self, method: str, path: str, body: bytes | None, kind: bytes = b"application/json") -> Any:
        """Status, content type and body; a stream that goes on is left after a while."""
        return self.loop.run_until_complete(self._call(method, path, body, kind))

    async def _call(self, method: str, path: str, body: bytes | None, kind: bytes) -> Any:
        messages = [{"type": "http.request", "body": body or b"", "more_body": False}]
        sent: list[Any] = []
        leaves, said = asyncio.Event(), asyncio.Event()

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            said.set()

        begun = asyncio.ensure_future(said.wait())
        where, _, query = path.partition("?")
        headers = [(b"host", b"localhost:8080")]
        if body is not None:
            headers += [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        scope = {
            "type": "http", "method": method, "path": where, "raw_path": where.encode("utf-8", "replace"),
            "headers": headers, "query_string": query.encode("utf-8", "replace"), "server": ("127.0.0.1", 8080),
            "root_path": "", "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 5),
        }  # fmt: skip
        answering = asyncio.ensure_future(self.app(scope, receive, send))  # type: ignore[arg-type]
        await asyncio.wait({answering, begun}, timeout=SLOW, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({answering}, timeout=PATIENCE)
        begun.cancel()
        leaves.set()
        await asyncio.wait_for(answering, SLOW)
        if not sent:
            return None, "", b""
        types = [value.decode() for name, value in sent[0]["headers"] if name == b"content-type"]
        return sent[0]["status"], (types or [""])[0], b"".join(each.get("body", b"") for each in sent[1:])


def mutations(seed: int) -> Iterator[tuple[str, str, bytes | None, bytes]]:
    """Method, path, body and content type of good requests in which something was changed, without end."""
    random = Random(seed)
    while True:
        method, path, body = random.choice(PAGE if random.random() < 0.4 else REQUESTS)
        if method == "GET" and body is not None:
            path, body = f"{path}?{_changed_query(body, random)}", None
        if random.random() < 0.03:
            method = random.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
        if random.random() < 0.05:
            path = _changed_path(path, random)
        if body is None:
            yield method, path, None, b""
            continue
        body = deepcopy(body)
        for _ in range(random.choice((0, 1, 1, 1, 2, 3, 6))):
            body = _changed(body, random)
        text = json.dumps(body, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
        if random.random() < 0.1:
            text = _changed_bytes(text, random)
        yield method, path, text, b"application/json" if random.random() < 0.98 else b"text/plain"


def _changed(body: Any, random: Random) -> Any:
    """A body with one place changed: a value replaced, dropped, doubled, wrapped, or a field added."""
    places = list(islice(_places(body), MOST_PLACES))
    if not places or random.random() < 0.01:
        return deepcopy(random.choice(STRANGE))
    holder, key = random.choice(places)
    how = random.random()
    if how < 0.6:
        holder[key] = deepcopy(random.choice(STRANGE))
    elif how < 0.7:
        del holder[key]
    elif how < 0.8:
        for _ in range(random.choice((1, 3, 70))):
            holder[key] = [holder[key]] if random.random() < 0.5 else {"a": holder[key]}
    elif isinstance(holder, dict):
        holder[random.choice(NAMES)] = deepcopy(random.choice(STRANGE))
    elif len(places) < MOST_PLACES:  # otherwise lists of lists grow beyond all measure
        whole = isinstance(holder[key], str | list | dict)
        holder += [deepcopy(holder[key])] * random.choice((1, 20, 20 if whole else 5000))
    return body


def _places(body: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a body: what holds it, and its name or number there."""
    held = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in held:
        yield body, key
        yield from _places(value)


def _changed_bytes(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text) + 1)
    how = random.randrange(5)
    if how == 0:
        return text[:at]
    if how == 1:
        return text[:at] + bytes([random.randrange(256)]) + text[at + 1 :]
    if how == 2:
        return text[:at] + random.choice([b'"', b"\\", b"{", b"[", b"\xff", b"\x00", b"1e309", b"\\ud800"]) + text[at:]
    if how == 3:
        return text.replace(b'"model"', b'"model": 1, "model"', 1)
    return random.choice([b"", b"[" * 100_000, b"{}", b"null", b"\xef\xbb\xbf" + text, text + text])


def _changed_query(given: dict[str, str], random: Random) -> str:
    query = dict(given)
    for _ in range(random.choice((0, 1, 1, 2))):
        query[random.choice([*given, "a"])] = random.choice(TEXTS)
    return urlencode(query, errors="surrogateescape", safe="{}")


def _changed_path(path: str, random: Random) -> str:
    parts = path.split("/")
    parts[random.randrange(len(parts))] = random.choice(["", "..", "%00", "a" * 300, "é", "\0", "v1", "api", "{id}"])
    return "/".join(parts) + random.choice(["", "/", "?a=%ff", "?token=x", "?" + "a" * 9000])


def fuzz(target: Target, count: int, seed: int) -> Found:
    """So many changed requests."""
    found = Found()
    requests = mutations(seed)
    for _ in range(count):
        method, path, body, kind = next(requests)
        begun = monotonic()
        try:
            status, content_type, answer = target.call(method, target.filled(path), body, kind)
            problem = _problem(status, content_type, answer, method)
            found.statuses[status or 0] += 1
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        found.slowest = max(found.slowest, monotonic() - begun)
        if problem:
            found.wrong.append(f"{method} {path[:200]} {(body or b'')[:2000]!r}: {problem[:500]}")
    return found


def _problem(status: int | None, content_type: str, answer: bytes, method: str) -> str:
    """What is wrong with an answer, or nothing."""
    if status is None or status >= 500:
        return f"answered {status}: {answer[:300]!r}"
    if content_type.startswith("application/json") and method != "HEAD":
        try:
            json.loads(answer, parse_constant=_no_constant)
        except ValueError as error:
            return f"not JSON: {error}"
    if status == 200 and b"internal_error" in answer:
        return f"failed amid the answer: {answer[-500:]!r}"
    return ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def explore(target: Target, count: int, seed: int) -> Found:
    """What schemathesis makes of the application's own description: about so many requests."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    found = Found()
    description = schemathesis.openapi.from_dict(target.app.openapi())
    operations = [each.ok() for each in description.get_all_operations()]

    def run(operation: Any, examples: int) -> Callable[[], None]:
        @seeded(seed)
        @settings(
            max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            body = case.body if type(case.body).__name__ != "NotSet" else None
            path = case.formatted_path
            content = None if body is None else json.dumps(body).encode()
            status, content_type, answer = target.call(case.method.upper(), path, content)
            found.statuses[status or 0] += 1
            if problem := _problem(status, content_type, answer, case.method.upper()):
                found.wrong.append(f"{case.method} {path} {(content or b'')[:2000]!r}: {problem[:500]}")

        return check

    for operation in operations:
        run(operation, max(1, count // len(operations)))()
    return found


def alive(target: Target) -> bool:
    """Whether the server answers as on its first day, and makes nothing any more."""
    body = json.dumps({"model": "fake", "messages": SAID}).encode()
    status, _, answer = target.call("POST", "/v1/chat/completions", body)
    target.rest()
    return status == 200 and b"one two" in answer and target.models.running == 0


def main() -> int:
    """The command; 0 when the run passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder))
        begun = monotonic()
        explored = explore(target, arguments.count // 2, arguments.seed)  # fewer, where there is little to vary
        changed = fuzz(target, arguments.count - sum(explored.statuses.values()), arguments.seed)
        wrong = [*changed.wrong, *explored.wrong]
        for each in wrong[:20]:
            print(each, file=sys.stderr)
        passed = not wrong and alive(target)
        target.close()
    statuses = {str(status): count for status, count in sorted((changed.statuses + explored.statuses).items())}
    seconds = round(monotonic() - begun, 1)
    result = {"requests": sum(statuses.values()), "statuses": statuses, "wrong": len(wrong), "passed": passed}
    print(json.dumps({**result, "slowest_s": round(changed.slowest, 2), "seconds": seconds, "seed": arguments.seed}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
