"""What each error is over HTTP, and that nothing of an unforeseen one is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels

from furet import errors
from furet.errors import FuretError
from furet.serve.errors import STATUS, path_of, status_of

Client = Callable[..., TestClient]
CHAT = {"model": "fake", "messages": [{"role": "user", "content": "Hello"}]}
TABLE = [
    (errors.BadRequest("top_k: got -1"), 400, "invalid_request"),
    (errors.ContextOverflow("the prompt has 9 tokens, the context holds 8"), 400, "context_length_exceeded"),
    (errors.NotFound("x: no such model"), 404, "model_not_found"),
    (errors.ModelFileError("bad magic", path="x.gguf", offset=0), 422, "invalid_model_file"),
    (errors.UnsupportedModel("an architecture of tomorrow"), 422, "unsupported_model"),
    (errors.DownloadFailed("no network"), 502, "download_failed"),
    (errors.WorkerDied("killed by signal 9"), 502, "worker_died"),
    (errors.Busy("128 requests wait"), 503, "overloaded"),
    (errors.DoesNotFit("7 GB wanted, 6 GB left"), 507, "does_not_fit"),
    (errors.FuretError("the disk is full"), 500, "failed"),
]


def test_every_class_of_error_has_a_status() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, FuretError)]
    assert set(classes) == set(STATUS) == {type(error) for error, _, _ in TABLE}


def test_a_class_that_is_not_in_the_table_has_the_status_of_the_nearest_above() -> None:
    class Later(errors.ContextOverflow):
        pass

    assert status_of(Later("x")) == (400, "context_length_exceeded")


@pytest.mark.parametrize(("error", "status", "code"), TABLE)
def test_an_error_is_told_in_the_shape_of_each_api(
    client: Client, models: FakeModels, error: FuretError, status: int, code: str
) -> None:
    models.before = type(error)(error.message, "do something else")
    called = client()
    response = called.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == status
    told = response.json()["error"]
    assert told["code"] == code and error.message in told["message"] and "do something else" in told["message"]
    assert ("retry-after" in response.headers) == (status == 503)
    assert (response.headers.get("x-should-retry") == "false") == (status in (500, 507))
    assert error.message in called.post("/api/chat", json=CHAT).json()["error"]
    other = called.post("/v1/messages", json={**CHAT, "max_tokens": 5})
    assert other.status_code == status and error.message in other.json()["error"]["message"]


def test_a_failure_that_nobody_foresaw_is_logged_and_not_told(
    client: Client, models: FakeModels, caplog: pytest.LogCaptureFixture
) -> None:
    models.before = RuntimeError("a secret path /home/somebody")
    with caplog.at_level(logging.ERROR, "furet.serve"):
        response = client().post("/v1/chat/completions", json=CHAT)
    assert response.status_code == 500 and "secret" not in response.text
    id = response.json()["error"]["message"].split()[-1]
    assert any(id in record.getMessage() and "secret" in str(record.exc_info) for record in caplog.records)
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("change", "says", "param"),
    [
        ({"foo": 1}, "foo: unknown field", "foo"),
        ({"messages": []}, "messages: got []", "messages"),
        ({"messages": 5}, "messages: got 5", "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content: missing", "messages[0].content"),
        ({"messages": [{"content": "a"}]}, "messages[0]: ", "messages[0]"),
        ({"messages": [{"role": "user", "content": "a", "age": 3}]}, "age: unknown field", "messages[0].age"),
        ({"n": True}, "n: got True", "n"),
        ({"n": 17}, "n: got 17", "n"),
        ({"stream": 1}, "stream: got 1", "stream"),
        ({"top_p": "0.5"}, "top_p: got '0.5'", "top_p"),
        ({"top_p": 1.5}, "top_p: got 1.5", "top_p"),
        ({"model": "m" * 300}, "model: got 'mmm", "model"),
    ],
)
def test_a_request_that_is_not_as_wanted_names_the_field(
    client: Client, change: dict[str, Any], says: str, param: str
) -> None:
    response = client().post("/v1/chat/completions", json={**CHAT, **change})
    assert response.status_code == 400
    error = response.json()["error"]
    assert says in error["message"] and len(error["message"]) < 500 and error["param"] == param


def test_unknown_paths_and_methods_are_told_in_the_shape_of_their_api(client: Client) -> None:
    called = client()
    assert called.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert isinstance(called.get("/api/nothing").json()["error"], str)
    wrong = called.get("/v1/chat/completions")
    assert wrong.status_code == 405 and wrong.json()["error"]["code"] == "method_not_allowed"


def test_a_place_in_a_body_is_written_as_people_write_it() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text"}]}]}
    location = ("messages", 0, "user", "content", "list[TextPart]", 0, "text")
    assert path_of(location, body) == "messages[0].content[0].text"
    assert path_of((), body) == ""
