"""What Anthropic's API refuses, and how: by status, type and the name of the field."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels

from furet.serve.jobs import CountTokens

SAID = {"role": "user", "content": "one"}
PLAIN = {"model": "fake", "max_tokens": 10, "messages": [SAID]}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
TEXT = {"type": "text", "text": "a"}
USE = {"type": "tool_use", "id": "x", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "x", "content": "5"}


def refused(http: TestClient, body: Any, path: str = "/v1/messages", status: int = 400) -> str:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == "error" and answer.json()["error"]["type"] == "invalid_request_error"
    message: str = answer.json()["error"]["message"]
    return message


@pytest.mark.parametrize("field", ["model", "max_tokens", "messages"])
def test_what_is_required_is_named(http: TestClient, field: str) -> None:
    assert refused(http, {name: value for name, value in PLAIN.items() if name != field}).startswith(field)


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("max_tokens", 0, "max_tokens"),
        ("max_tokens", True, "max_tokens"),
        ("max_tokens", "10", "max_tokens"),
        ("temperature", 1.1, "temperature"),
        ("temperature", -0.1, "temperature"),
        ("top_p", 2, "top_p"),
        ("top_k", -1, "top_k"),
        ("top_k", 1.5, "top_k"),
        ("stop_sequences", [""], "stop"),
        ("stop_sequences", ["a"] * 17, "stop_sequences"),
        ("stop_sequences", "a", "stop_sequences"),
        ("stream", "yes", "stream"),
        ("thinking", {"type": "enabled", "budget_tokens": 1024}, "thinking.type"),
        ("thinking", {"type": "adaptive"}, "thinking.type"),
        ("service_tier", "gold", "service_tier"),
        ("metadata", {"user_id": "a", "name": "b"}, "metadata.name"),
        ("metadata", {"user_id": "a" * 300}, "metadata.user_id"),
        ("cache_control", {"type": "eternal"}, "cache_control.type"),
        ("output_config", {"effort": "high"}, "output_config.effort"),
        ("output_config", {"format": {"type": "json_schema"}}, "output_config.format.schema"),
        ("system", 5, "system"),
        ("system", [{"type": "image"}], "system[0]"),
        ("tool_choice", {"type": "any"}, "tool_choice"),
        ("tool_choice", {"type": "tool", "name": "f"}, "tool_choice"),
        ("tool_choice", {"type": "sometimes"}, "tool_choice"),
        ("tools", [{**TOOL, "type": "web_search_20250305"}], "tools[0].type"),
        ("tools", [{**TOOL, "name": "a b"}], "tools[0].name"),
        ("tools", [{**TOOL, "defer_loading": True}], "tools[0].defer_loading"),
        ("tools", [{**TOOL, "input_examples": [{}]}], "tools[0].input_examples"),
        ("tools", [{"name": "f"}], "tools[0].input_schema"),
        ("tools", [TOOL, TOOL], "tools"),
        ("tools", [{**TOOL, "name": f"f{number}"} for number in range(129)], "tools"),
        ("container", "c", "container"),
        ("mcp_servers", [], "mcp_servers"),
        ("speed", "fast", "speed"),
        ("seed", 1, "seed"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_named(
    http: TestClient, models: FakeModels, field: str, value: Any, where: str
) -> None:
    assert refused(http, {**PLAIN, field: value}).startswith(where)
    assert models.jobs == []


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        ([], "messages"),
        ([{"role": "tool", "content": "a"}], "messages[0].role"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "image", "source": {}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{**TEXT, "citations": [1]}]}], "messages[0].content[0].citations"),
        ([{"role": "user", "content": ["a"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [USE]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": "a", "name": "Ann"}], "messages[0].name"),
        ([SAID, {"role": "assistant", "content": [RESULT]}], "messages[1].content[0].type"),
        ([SAID, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]}], "messages[1].content[0]"),
        ([SAID, {"role": "assistant", "content": [USE]}], "messages"),
        ([{"role": "user", "content": [RESULT]}], "messages[0].content[0].tool_use_id"),
        (
            [SAID, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT, RESULT]}],
            "messages[2].content[1].tool_use_id",
        ),
        (
            [SAID, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [TEXT, RESULT]}],
            "messages[2].content[1]",
        ),
        ([{"role": "system", "content": "Be brief."}], "messages"),
    ],
)
def test_a_message_that_makes_no_sense_is_named(
    http: TestClient, models: FakeModels, messages: Any, where: str
) -> None:
    assert refused(http, {**PLAIN, "messages": messages}).startswith(where)
    assert models.jobs == []


def test_messages_of_one_role_become_one(http: TestClient, models: FakeModels) -> None:
    blocks = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    messages = [SAID, {"role": "user", "content": blocks}, {"role": "assistant", "content": [*blocks, USE]}]
    failed = {**RESULT, "is_error": True}
    messages.append({"role": "user", "content": [failed]})
    assert http.post("/v1/messages", json={**PLAIN, "messages": messages}).is_success
    job: Any = models.jobs[-1][1]
    assert [each["role"] for each in job.messages] == ["user", "assistant", "tool"]
    assert job.messages[0]["content"] == "one\nb\nc" and job.messages[1]["content"] == "bc"
    assert job.messages[2]["content"] == "Error: 5"


def test_hostile_bodies_are_refused(http: TestClient) -> None:
    for body in (
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"model": "fake", "max_tokens": NaN}',
        '{"model": "fake", "max_tokens": 1e999, "messages": []}',
        '{"model": "fake", "max_tokens": 1, "max_tokens": 2, "messages": []}',
        '{"model": "\\ud800", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}',
        '{"model": ' + "[" * 500 + "]" * 500 + "}",
    ):
        answer = http.post("/v1/messages", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and answer.json()["type"] == "error", (body[:60], answer.text)
    answer = http.post("/v1/messages", content="{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415 and answer.json()["error"]["type"] == "invalid_request_error"


def test_too_large_a_body_has_its_own_type(http: TestClient) -> None:
    answer = http.post("/v1/messages", json={**PLAIN, "system": "a" * (33 << 20)})
    assert answer.status_code == 413 and answer.json()["error"]["type"] == "request_too_large"


def test_counting_takes_what_a_prompt_is_made_of_and_no_more(http: TestClient) -> None:
    prompt = {"model": "fake", "messages": [SAID]}
    assert http.post("/v1/messages/count_tokens", json=prompt).json() == {"input_tokens": 2}
    assert refused(http, {**prompt, "max_tokens": 5}, "/v1/messages/count_tokens").startswith("max_tokens")


def test_what_is_counted_ends_where_the_answer_would_begin(http: TestClient, models: FakeModels) -> None:
    begun = {"role": "assistant", "content": "a"}
    for said, resume in (([SAID], False), ([SAID, begun], True), ([SAID, {**begun, "content": [USE]}], False)):
        body = {"model": "fake", "messages": said}
        assert http.post("/v1/messages/count_tokens", json=body).status_code == 200
        job = models.jobs[-1][1]
        assert isinstance(job, CountTokens) and job.resume == resume
