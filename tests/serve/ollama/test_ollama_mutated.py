"""Requests that are nearly right are answered or refused, and never fail the server."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve.ollama.mutated import mutated

COUNT = 120
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": {"a": 1}, "index": 0}}
OPTIONS = {"num_predict": 5, "num_ctx": 64, "num_keep": 4, "temperature": 0.5, "stop": ["a"], "seed": 1, "mirostat": 0}
COMMON = {"model": "fake", "stream": False, "options": OPTIONS, "keep_alive": "5m", "think": False, "logprobs": True}
BODIES: dict[str, Any] = {
    "chat": {
        **COMMON,
        "top_logprobs": 2,
        "truncate": True,
        "format": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "tools": [TOOL],
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "call"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "5", "tool_name": "f", "tool_call_id": "x"},
        ],
    },
    "generate": {**COMMON, "stream": True, "prompt": "a b", "system": "s", "raw": False, "format": "json"},
    "embed": {"model": "fake-embed", "input": ["a", "b"], "truncate": True, "dimensions": 2, "keep_alive": 5},
    "embeddings": {"model": "fake-embed", "prompt": "a", "options": {"num_ctx": 5}},
    "show": {"model": "fake", "verbose": True},
    "pull": {"model": "fake", "stream": False, "insecure": False},
}


@pytest.mark.parametrize("action", BODIES)
def test_no_request_fails_the_server(http: TestClient, action: str) -> None:
    seen: Counter[int] = Counter()
    assert http.post(f"/api/{action}", json=BODIES[action]).status_code == 200
    for body in mutated(BODIES[action], COUNT, seed=len(action)):
        answer = http.post(f"/api/{action}", json=body)
        seen[answer.status_code] += 1
        assert answer.status_code in (200, 400, 404, 422), (body, answer.text)
        assert answer.status_code == 200 or list(answer.json()) == ["error"]
    assert seen[400] > COUNT // 5 and seen[200] > COUNT // 100, seen
