"""What Ollama's API refuses, and how: by status and by the name of the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels

from furet.errors import BadRequest
from furet.serve.ollama.keep import seconds
from furet.serve.ollama.options import OF_LOADING

SAID = {"role": "user", "content": "one"}
CALLED = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}


def refused(http: TestClient, path: str, body: Any, status: int = 400) -> str:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    message: str = answer.json()["error"]
    return message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("template", "{{ .Prompt }}"),
        ("suffix", "end"),
        ("context", [1, 2]),
        ("images", ["aGk="]),
        ("think", True),
        ("think", "high"),
        ("shift", True),
        ("_debug_render_only", True),
        ("width", 512),
        ("unheard_of", 1),
        ("top_logprobs", 3),
        ("top_logprobs", 21),
        ("format", "yaml"),
        ("format", 5),
        ("stream", "yes"),
        ("keep_alive", "soon"),
        ("keep_alive", []),
        ("options", [1]),
        ("prompt", 5),
    ],
)
def test_a_field_that_cannot_be_honoured_is_named(http: TestClient, models: FakeModels, field: str, value: Any) -> None:
    message = refused(http, "/api/generate", {"model": "fake", "prompt": "a", field: value})
    assert message.startswith(field)
    assert models.jobs == []


def test_who_asks_nothing_is_checked_all_the_same(http: TestClient) -> None:
    body = {"model": "fake", "options": {"num_gpu": 1}}
    assert all(refused(http, f"/api/{action}", body).startswith("options.num_gpu") for action in ("chat", "generate"))


def test_what_asks_for_nothing_is_taken(http: TestClient) -> None:
    nothing = {"template": "", "suffix": "", "context": [], "images": [], "think": False, "shift": False, "system": ""}
    nothing |= {"truncate": False, "raw": False, "format": "", "options": {"num_keep": 24, "seed": None}}
    nothing |= {"_debug_render_only": False}
    answer = http.post("/api/generate", json={"model": "fake", "prompt": "a", "stream": False, **nothing})
    assert answer.status_code == 200 and answer.json()["response"] == "a"
    loaded = http.post("/api/chat", json={"model": "fake", "messages": None, "tools": None, "stream": False})
    assert loaded.status_code == 200 and loaded.json()["done_reason"] == "load"


GO = {
    "/api/show": {"model": "fake", "system": "", "template": "", "verbose": False, "options": None, "name": ""},
    "/api/pull": {"model": "fake", "username": "", "password": "", "stream": False, "name": ""},
    "/api/delete": {"model": "fake", "name": ""},
}
"""What Ollama's own command sends, which writes down what it has nothing to say of."""


@pytest.mark.parametrize("path", GO)
def test_the_command_of_ollama_is_understood(http: TestClient, path: str) -> None:
    method = "DELETE" if path == "/api/delete" else "POST"
    older = {**GO[path], "model": "", "name": "fake"}
    for body in (GO[path], older):
        answer = http.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
    for names in ({"model": ""}, {"name": "fake"}, {"model": None}):
        answer = http.request(method, path, json={**GO[path], **names})
        assert answer.status_code == 400 and answer.json()["error"].startswith("model: wanted"), names


@pytest.mark.parametrize(
    ("path", "field"),
    [("/api/show", "system"), ("/api/show", "template"), ("/api/pull", "username"), ("/api/pull", "password")],
)
def test_what_it_says_there_is_refused(http: TestClient, models: FakeModels, path: str, field: str) -> None:
    assert refused(http, path, {**GO[path], field: "x"}).startswith(f"{field}: not supported")
    assert refused(http, "/api/show", {**GO["/api/show"], "options": {"seed": 1}}).startswith("options: not supported")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 1) for name in OF_LOADING),
        ("unheard_of", 1),
        ("num_predict", 0),
        ("num_predict", "5"),
        ("num_predict", True),
        ("num_ctx", 0),
        ("num_ctx", 1 << 20),
        ("num_keep", -2),
        ("temperature", -1),
        ("temperature", []),
        ("top_p", 2),
        ("tfs_z", 2),
        ("top_k", 1.5),
        ("seed", 1 << 63 << 1),
        ("seed", -2),
        ("stop", ""),
        ("stop", [""]),
        ("stop", ["a"] * 17),
        ("stop", 5),
        ("stop", {"a": 1}),
        ("dry_breakers", 5),
        ("mirostat", 3),
        ("penalize_newline", 1),
    ],
)
def test_an_option_out_of_bounds_is_named(http: TestClient, models: FakeModels, name: str, value: Any) -> None:
    message = refused(http, "/api/chat", {"model": "fake", "messages": [SAID], "options": {name: value}})
    assert message.startswith(f"options.{name}: ") or "64 bits" in message
    assert models.jobs == []


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        ([{"role": "judge", "content": "a"}], "messages[0].role"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": "a", "images": ["aGk="]}], "messages[0].images"),
        ([{"role": "user", "content": "a", "name": "Ann"}], "messages[0].name"),
        ([SAID, {"role": "assistant", "content": "", "thinking": "hm"}], "messages[1].thinking"),
        ([{**CALLED, "role": "user"}], "messages[0].tool_calls"),
        ([SAID, {"role": "tool", "content": "5"}], "messages[1].role"),
        ([SAID, CALLED, {"role": "tool", "content": "5", "tool_name": "g"}], "messages[2].tool_name"),
        ([SAID, CALLED, {"role": "tool", "content": "5", "tool_call_id": "x"}], "messages[2].tool_call_id"),
        ([SAID, CALLED, {"role": "tool", "content": "5"}, {"role": "tool", "content": "6"}], "messages[3].role"),
        ([SAID] * 4097, "messages"),
    ],
)
def test_a_message_that_makes_no_sense_is_named(http: TestClient, messages: Any, where: str) -> None:
    assert refused(http, "/api/chat", {"model": "fake", "messages": messages}).startswith(where)


def test_calls_are_matched_by_id_by_name_and_in_order(http: TestClient, models: FakeModels) -> None:
    named: list[dict[str, Any]] = [{"name": "f"}, {"name": "g", "arguments": None}, {"name": "f"}]
    calls = [{"id": "x", "function": named[0]}, *({"function": each} for each in named[1:])]
    results = [
        {"role": "tool", "content": "of g", "tool_name": "g"},
        {"role": "tool", "content": "of x", "tool_call_id": "x"},
        {"role": "tool", "content": "of the last"},
    ]
    messages = [SAID, {"role": "assistant", "content": "", "tool_calls": calls}, *results]
    assert http.post("/api/chat", json={"model": "fake", "messages": messages}).status_code == 200
    job: Any = models.jobs[-1][1]
    assert [each["id"] for each in job.messages[1]["tool_calls"]] == ["x", "call_1", "call_2"]
    assert [each["tool_call_id"] for each in job.messages[2:]] == ["call_1", "x", "call_2"]


def test_too_long_a_conversation_is_cut_only_if_asked(http: TestClient, models: FakeModels) -> None:
    for truncate, overflow in ((None, "refuse"), (False, "refuse"), (True, "drop")):
        http.post("/api/chat", json={"model": "fake", "messages": [SAID], "truncate": truncate})
        job: Any = models.jobs[-1][1]
        assert job.overflow == overflow


@pytest.mark.parametrize("action", ["chat", "generate", "embed", "embeddings", "show", "pull"])
def test_hostile_bodies_are_refused(http: TestClient, action: str) -> None:
    path = f"/api/{action}"
    deep = '{"model": ' + "[" * 500 + "]" * 500 + "}"
    for body in (
        "",
        "{",
        "[]",
        "null",
        '"fake"',
        "{}",
        '{"model": ""}',
        '{"model": null}',
        '{"model": 5}',
        '{"model": ["fake"]}',
        '{"model": "fake", "options": {"temperature": NaN}}',
        '{"model": "fake", "options": {"temperature": 1e999}}',
        '{"model": "fake", "model": "fake"}',
        '{"model": "\\ud800"}',
        '{"model": "' + "x" * 100_000 + '"}',
        deep,
    ):
        answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and answer.json()["error"], (body[:60], answer.text)
    answer = http.post(path, content='{"model": "fake"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\x00b", "~/model.gguf", "hf:test/fake/../../x.gguf"]
)
def test_a_name_is_never_a_path(http: TestClient, name: str) -> None:
    for path in ("/api/show", "/api/chat", "/api/embed"):
        answer = http.post(path, json={"model": name, **({"input": "a"} if path == "/api/embed" else {})})
        assert answer.status_code in (400, 404), answer.text


def test_a_broken_file_is_told_and_harms_nothing(http: TestClient) -> None:
    refused(http, "/api/show", {"model": "hf:test/broken"}, 422)
    assert http.get("/api/tags").status_code == 200


def test_all_values_of_a_file_are_shown_when_asked_for(http: TestClient) -> None:
    shown = http.post("/api/show", json={"name": "fake", "verbose": True}).json()
    assert len(shown["model_info"]["tokenizer.ggml.tokens"]) == 261
    json.dumps(shown, allow_nan=False)


@pytest.mark.parametrize("name", ["Fake", "FAKE:latest", "fake:latest"])
def test_a_model_has_its_name_in_any_case(http: TestClient, models: FakeModels, name: str) -> None:
    assert http.post("/api/show", json={"model": name}).json()["modelfile"] == "FROM fake\n"
    assert http.post("/api/chat", json={"model": "fake"}).json()["done_reason"] == "load" and models.loaded()
    assert http.post("/api/chat", json={"model": name, "keep_alive": 0}).json()["done_reason"] == "unload"
    assert not models.loaded()


def test_clients_find_out_that_somebody_is_there(http: TestClient) -> None:
    assert http.head("/").status_code == 200 and http.head("/api/version").status_code == 200
    assert isinstance(http.get("/api/version").json()["version"], str)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (0, 0),
        (300, 300),
        (1.5, 1.5),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        ("100ms", 0.1),
        ("0s", 0),
        ("0", 0),
        (-1, float("inf")),
        ("-1", float("inf")),
        ("-1m", float("inf")),
        ("9999999h", float("inf")),
        (10**30, float("inf")),
    ],
)
def test_how_long_a_model_stays(text: Any, wanted: float) -> None:
    assert seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "m", "5 m", "5m ", "5x", "--5m", "1e3s", "٣m", "5m" * 30, "1" * 40 + "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="keep_alive"):
        seconds(text)
