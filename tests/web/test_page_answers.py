"""Answers that the server makes while something goes wrong or somebody looks elsewhere; without a browser."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from web.pretended import Server

from furet.chat.store import Message
from furet.errors import FuretError


def test_a_message_of_the_open_branch_is_shown_while_somebody_answers(client: httpx.Client, server: Server) -> None:
    server.models.held.set()
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    said = client.post(f"/ui/api/chats/{chat}/say", json={"text": "a b c d e f"}).json()["message"]["id"]
    found = client.post(f"/ui/api/messages/{said}/select")
    assert found.status_code == 200 and found.json()["messages"][0]["id"] == said
