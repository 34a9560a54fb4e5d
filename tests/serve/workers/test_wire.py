"""Frames: what goes in comes out; what is no message is refused, and nothing waits for more of it."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest

from furet import errors
from furet.chat.events import Began, CallArguments, CallBegan, Ended, Text
from furet.errors import BadRequest, FuretError
from furet.files.store.disk import DiskFull
from furet.sample.token_logprob import TokenLogprob
from furet.serve import process, wire
from furet.serve.jobs import AnswerChat, Continue, CountTokens, Detokenize, Embed, Result, Tokenize
from furet.serve.wire import Malformed

JOBS = [
    AnswerChat([{"role": "user", "content": "é 漢 \x00 \ud800"}], [{"name": "f"}], {"name": "f"}, False, {"seed": 1}),
    AnswerChat([], [], "auto", True, {}, "shift", True, "chatml"),
    Continue("text", {"stop": ["a"], "temperature": 0.5}),
    Continue([1, 2, 3]),
    Embed(["a", [1, 2]], True),
    Tokenize("a", False, False, True),
    Detokenize([1], True),
    CountTokens([{"role": "user", "content": "x"}], [{"name": "f"}], True, "chatml"),
]
SPELL = ["Detokenize", [1], False]
REPLIES = [
    Began(3, 1, 2**63, ("a note",)),
    Text("é", (1, 2), (TokenLogprob(1, -0.5, ((1, -0.5), (2, -1.5))), TokenLogprob(2, -0.25))),
    CallBegan(0, "id", "name"),
    CallArguments(0, '{"a"'),
    Ended("tool_calls", None, 1, 2, 3, 4, 0.5, 1.5, 6),
    Result({"vectors": [[0.1, -2e-300]], "text": None}),
]


def body(message: Any) -> bytes:
    return wire.encode(message)[4:]


@pytest.mark.parametrize("job", JOBS)
def test_jobs_come_out_as_they_went_in(job: Any) -> None:
    start = wire.Start(7, job)
    assert wire.decode_command(body(start)) == start
    assert wire.read_command(io.BytesIO(wire.encode(start))) == start


@pytest.mark.parametrize("reply", REPLIES)
def test_replies_come_out_as_they_went_in(reply: Any) -> None:
    assert wire.decode_news(body(wire.Gave(7, reply))) == wire.Gave(7, reply)


@pytest.mark.parametrize(
    "error", [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, FuretError)]
)
def test_errors_keep_class_message_and_hint(error: type[FuretError]) -> None:
    news = wire.decode_news(body(wire.failed(3, error("what", "do this"))))
    assert isinstance(news, wire.Failed)
    again = wire.error_of(news)
    assert (type(again), again.message, again.hint) == (error, "what", "do this")


def test_an_error_from_elsewhere_arrives_as_its_base_and_an_unknown_one_as_the_root() -> None:
    assert wire.failed(1, DiskFull("full")).kind == "DownloadFailed"
    for kind in ("SystemExit", "Path", "annotations", "", "__builtins__"):
        assert type(wire.error_of(wire.Failed(1, kind, "m"))) is FuretError


@pytest.mark.parametrize(
    "plain",
    [
        None, 7, "Start", [], [[]], ["Start"], ["Start", 1], ["Start", "1", SPELL], ["Start", True, SPELL],
        ["Start", 1, SPELL, 2], ["Start", 1, [*SPELL, 1]], ["Start", 1, SPELL[:2]],
        ["Start", 1, ["Load", "x"]], ["Start", 1, None],
        ["Start", 1, ["Continue", {"a": 1}, {}]], ["Start", 1, ["Continue", [1, "2"], {}]],
        ["Start", 1, ["Embed", "ab", True]],
        ["Start", 1, ["Detokenize", [1.5], False]], ["Start", 1, ["Tokenize", "a", 1, True, True]], ["More", 1, 1.0],
        ["Ready", "decoder", 1, {}, []], ["Gave", 1, SPELL], {"Start": 1}, ["__class__"], ["Load", 5],
    ],
)  # fmt: skip
def test_commands_of_another_shape_are_malformed(plain: Any) -> None:
    with pytest.raises(Malformed):
        wire.decode_command(json.dumps(plain).encode())


@pytest.mark.parametrize(
    "plain",
    [
        ["Gave", 1, ["Text", "a", [1], [["TokenLogprob", 1, -0.5, [[1]]]]]], ["Gave", 1, ["Text", "a", [None], []]],
        ["Gave", 1, ["Ended", "because", None, 1, 1, 1, 1, 0.0, 0.0, 0]], ["Gave", 1, ["Continue", "a", {}]],
        ["Failed", 1, "BadRequest", 5, ""], ["Failed", 1, "BadRequest"], ["Cancel", 1],
        ["Ready", "x", 1, {"a": "b"}, []],
    ],
)  # fmt: skip
def test_news_of_another_shape_are_malformed(plain: Any) -> None:
    with pytest.raises(Malformed):
        wire.decode_news(json.dumps(plain).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'["Done",' + b"9" * 5000 + b"]", b"nul"])
def test_bytes_that_are_no_json_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        wire.decode_news(data)


FRAME = wire.encode(wire.Done(1))


@pytest.mark.parametrize("data", [FRAME[:2], FRAME[:-1], b"\xff\xff\xff\xff" + FRAME, b"\x04\x00\x00\x01" + FRAME])
def test_frames_that_are_cut_short_or_too_long_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        wire.read_command(io.BytesIO(data))

    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        await process.read_news(reader)

    with pytest.raises(Malformed):
        asyncio.run(read())


def test_the_end_between_two_frames_is_the_end() -> None:
    async def read() -> list[wire.News | None]:
        reader = asyncio.StreamReader()
        reader.feed_data(FRAME * 2)
        reader.feed_eof()
        return [await process.read_news(reader) for _ in range(3)]

    assert asyncio.run(read()) == [wire.Done(1), wire.Done(1), None]
    assert wire.read_command(io.BytesIO(b"")) is None


def _deep(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "options", [{"a": {1, 2}}, {"a": object()}, {(1, 2): 3}, {"json_schema": _deep(100_000)}, {"seed": 10**5000}]
)
def test_what_json_has_no_form_for_is_a_bad_request(options: dict[Any, Any]) -> None:
    with pytest.raises(BadRequest, match="not plain data"):
        wire.encode(wire.Start(1, Continue("x", options)))


def test_more_bytes_than_a_frame_may_have_are_a_bad_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FRAME", 1000)
    with pytest.raises(BadRequest, match="wanted at most 1000"):
        wire.encode(wire.Start(1, Continue("x" * 1000)))
