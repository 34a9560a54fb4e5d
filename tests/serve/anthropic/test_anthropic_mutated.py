"""Requests that are nearly right are answered or refused, and never fail the server."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.ollama.mutated import mutated

COUNT = 200
CACHED = {"cache_control": {"type": "ephemeral", "ttl": "5m"}}
TEXT = {"type": "text", "text": "call", **CACHED}
USE = {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "x", "content": [TEXT], "is_error": False}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
PROMPT: dict[str, Any] = {
    "model": "fake",
    "system": [TEXT],
    "messages": [
        {"role": "user", "content": "call"},
        {"role": "assistant", "content": [TEXT, USE]},
        {"role": "user", "content": [RESULT, TEXT]},
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA, "strict": False, **CACHED}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "disabled"},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    **CACHED,
}
CREATE = {
    **PROMPT,
    "max_tokens": 20,
    "stop_sequences": ["a"],
    "temperature": 0.5,
    "top_k": 5,
    "top_p": 0.5,
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
}


@pytest.mark.parametrize(
    ("path", "good"),
    [("/v1/messages", CREATE), ("/v1/messages", {**CREATE, "stream": True}), ("/v1/messages/count_tokens", PROMPT)],
    ids=["whole", "streamed", "counted"],
)
def test_no_request_fails_the_server(http: TestClient, path: str, good: Any) -> None:
    seen: Counter[int] = Counter()
    assert http.post(path, json=good).status_code == 200
    for body in mutated(good, COUNT, seed=7):
        answer = http.post(path, json=body)
        seen[answer.status_code] += 1
        assert answer.status_code in (200, 400, 404), (body, answer.text)
        assert answer.status_code == 200 or answer.json()["type"] == "error"
    assert seen[400] > COUNT // 5 and seen[200] > COUNT // 100, seen
