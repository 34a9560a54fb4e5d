"""Answers that the server makes while something goes wrong or somebody looks elsewhere; without a browser."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from web.pretended import Server

from furet.chat.store import Message
from furet.errors import FuretError


@pytest.mark.parametrize(("failures", "state"), [(1, "complete"), (3, "stopped")])
def test_an_answer_whose_end_cannot_be_written_holds_nobody_up(
    client: httpx.Client, server: Server, monkeypatch: pytest.MonkeyPatch, failures: int, state: str
) -> None:
    left, finish = [FuretError("the disk is full")] * failures, server.store.finish

    def failing(*given: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return finish(*given, **named)

    monkeypatch.setattr("furet.serve.page.answers.RETRIES", (0.01, 0.01))
    monkeypatch.setattr(server.store, "finish", failing)
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    client.post(f"/ui/api/chats/{chat}/say", json={"text": "go"})
    for _ in range(4000):
        message = server.store.open(chat).messages[-1]
        if message.role == "assistant" and message.state != "streaming":
            break
        client.get("/health")
    assert message.state == state and not left


def test_an_answer_that_nobody_makes_any_more_holds_nobody_up(client: httpx.Client, server: Server) -> None:
    chat = server.store.new_chat("smollm2").id
    left = server.store.begin(chat).id
    assert client.post(f"/ui/api/chats/{chat}/say", json={"text": "go"}).status_code == 201
    assert server.store.message(left).state == "stopped"


def test_a_message_of_the_open_branch_is_shown_while_somebody_answers(client: httpx.Client, server: Server) -> None:
    server.models.held.set()
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    said = client.post(f"/ui/api/chats/{chat}/say", json={"text": "a b c d e f"}).json()["message"]["id"]
    found = client.post(f"/ui/api/messages/{said}/select")
    assert found.status_code == 200 and found.json()["messages"][0]["id"] == said


def test_an_answer_that_is_gone_on_with_counts_from_where_it_was(client: httpx.Client, server: Server) -> None:
    def ended() -> Message:
        for _ in range(4000):
            message = server.store.open(chat).messages[-1]
            if message.role == "assistant" and message.state == "complete":
                break
            client.get("/health")
        return message

    server.models.answer = "word " * 40
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    client.post(f"/ui/api/chats/{chat}/say", json={"text": "go"})
    first = ended()
    server.models.answer = "and more of it"
    server.models.held.set()
    client.post(f"/ui/api/messages/{first.id}/onward")
    with client.stream("GET", "/ui/api/events", params={"chat": chat, "last": first.id}) as events:
        shown = next(json.loads(line[6:])["tokens"] for line in events.iter_lines() if '"first"' in line)
    assert shown >= first.counts.answer_tokens
    server.models.held.clear()
    again = ended().counts
    assert again.answer_tokens > first.counts.answer_tokens and again.decode_seconds > first.counts.decode_seconds
