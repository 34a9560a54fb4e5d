"""The figures at /metrics, read by Prometheus' own parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from serve.fake_models import FakeModels

from furet.errors import WorkerDied

Client = Callable[..., TestClient]
CHAT = {"model": "fake", "messages": [{"role": "user", "content": "one two three"}]}


def figures(client: TestClient) -> dict[str, float]:
    """Each figure by its name and labels."""
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_answers_are_counted_whatever_the_api(client: Client) -> None:
    called = client()
    called.post("/v1/chat/completions", json=CHAT)
    called.post("/v1/chat/completions", json={**CHAT, "stream": True})
    called.post("/api/chat", json={**CHAT, "stream": False})
    called.post("/v1/messages", json={**CHAT, "max_tokens": 50})
    found = figures(called)
    assert found["furet_answers_total['stop']"] == 4
    assert found["furet_prompt_tokens_total[]"] == 16 and found["furet_cached_tokens_total[]"] == 8
    assert found["furet_answer_tokens_total[]"] == 12
    assert found["furet_time_to_first_token_seconds_count[]"] == 4
    assert found["furet_token_seconds_count[]"] == 8
    assert found["furet_answers_running[]"] == found["furet_answers_waiting[]"] == 0
    assert found["furet_requests_total['/v1/chat/completions', '200', 'POST']"] == 2
    assert found["furet_model_memory_bytes['fake']"] == 120_000_000


def test_refusals_and_losses_are_counted_too(client: Client, models: FakeModels) -> None:
    called = client()
    models.after = WorkerDied("killed")
    called.post("/v1/chat/completions", json=CHAT)
    called.get("/v1/made-up")
    called.get("/v1/models", headers={"host": "evil.example"})
    for method in ("MADE", "UP"):
        called.request(method, "/v1/models")
    found = figures(called)
    assert found["furet_answers_lost_total[]"] == 1 and found["furet_answers_total['worker_died']"] == 1
    assert found["furet_requests_total['404', 'GET', 'none']"] == 1
    assert found["furet_requests_total['421', 'GET', 'none']"] == 1
    assert found["furet_requests_total['405', 'none', 'other']"] == 2
    assert found["furet_answers_running[]"] == found["furet_answers_waiting[]"] == 0


def test_a_process_that_was_started_again_is_counted_once(client: Client, models: FakeModels) -> None:
    called = client()
    called.post("/v1/chat/completions", json=CHAT)
    first = models.loaded()[0]
    for pid, restarts in ((first.pid, 0), (0, 0), (77, 1), (77, 1), (0, 1), (78, 2)):
        models._loaded["fake"] = replace(first, pid=pid)
        assert figures(called)["furet_worker_restarts_total[]"] == restarts
    models._loaded["fake"] = replace(first, pid=99, since=first.since + 1)  # loaded anew
    assert figures(called)["furet_worker_restarts_total[]"] == 2


def test_what_is_counted_never_becomes_less(client: Client, models: FakeModels) -> None:
    """Whatever becomes of processes and models; of a model that comes while it goes there is one figure."""
    called = client()
    called.post("/v1/chat/completions", json=CHAT)
    one = models.loaded()[0]
    before = figures(called)
    assert before["furet_answer_tokens_total[]"] == 3

    def grown() -> dict[str, float]:
        nonlocal before
        found = figures(called)
        counted = [name for name in before if re.search(r"(_total|_count|_sum|_bucket)\[", name)]
        assert len(counted) > 20 and all(found[name] >= before[name] for name in counted)
        before = found
        return found

    models.after = WorkerDied("killed")
    called.post("/v1/chat/completions", json=CHAT)
    models.after, models._loaded["fake"] = None, replace(one, pid=77)
    assert grown()["furet_worker_restarts_total[]"] == 1
    models._loaded = {"going": replace(one, pid=77), "coming": replace(one, pid=0, since=one.since + 1, pinned=True)}
    assert grown()["furet_model_memory_bytes['fake']"] == 2 * one.bytes and before["furet_model_pinned['fake']"] == 1
    models._loaded = {}
    assert "furet_model_memory_bytes['fake']" not in grown()
    called.post("/v1/chat/completions", json=CHAT)
    found = grown()
    assert found["furet_answers_lost_total[]"] == found["furet_worker_restarts_total[]"] == 1
    assert found["furet_answer_tokens_total[]"] == 6 and found["furet_prompt_tokens_total[]"] == 12


def test_health_tells_that_the_server_is_alive_and_no_more(client: Client) -> None:
    called = client(token="a token of tests")
    assert called.get("/health").json() == {"status": "ok", "models_loaded": 0}
    assert called.head("/health").status_code == 200
    assert called.get("/metrics").status_code == 401


def test_tokens_of_a_text_and_back(client: Client) -> None:
    called = client()
    tokens = called.post("/tokenize", json={"model": "fake", "content": "one two"}).json()["tokens"]
    assert called.post("/detokenize", json={"model": "fake", "tokens": tokens}).json() == {"content": "one two"}
    pieces = called.post("/tokenize", json={"model": "fake", "content": "one two", "with_pieces": True}).json()
    assert [each["piece"] for each in pieces["tokens"]] == ["one", " two"]
    for tokens in ([-1], [True], [1.5], ["a"], [1 << 40], 7):
        assert called.post("/detokenize", json={"model": "fake", "tokens": tokens}).status_code == 400
    assert called.post("/tokenize", json={"model": "other", "content": "a"}).status_code == 404
