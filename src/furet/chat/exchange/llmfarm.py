"""What LLMFarm keeps: the settings of a chat (chats/*.json), and what was said in it (history/*.json)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from furet.chat.exchange.place import Place
from furet.chat.store import ChatFields, Message, Role, chats, checks
from furet.chat.store.insert import ChatTree
from furet.errors import BadRequest

_SETTINGS = {  # what LLMFarm calls a setting, and what we do
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "tfs_z": "tail_free",
    "typical_p": "typical_p",
    "repeat_penalty": "repeat_penalty",
    "repeat_last_n": "repeat_last_n",
    "frequence_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
_WHOLE = ("top_k", "repeat_last_n", "mirostat")
_SYSTEM = re.compile(r"\[system\]\(([^)]*)\)")
_SENDERS: dict[str, Role] = {"user": "user", "user_rag": "user", "system": "assistant"}
_UNKNOWN = "LLMFarm"


def is_settings(document: Place) -> bool:
    """Whether it is a chat's settings."""
    return "prompt_format" in document and "model" in document


def is_message(document: Place) -> bool:
    """Whether it is a message of a history."""
    return "sender" in document and "text" in document and "chat_messages" not in document


def read_settings(document: Place, now: float) -> ChatTree:
    """A chat without messages. The prompt format is not taken over: the model's own template is used."""
    fields: ChatFields = {"title": document["title"].line(""), "settings": _settings(document)}
    if system := _SYSTEM.match(document["prompt_format"].text("")):
        fields["system"] = system[1].replace("\\n", "\n")
    return ChatTree(document["model"].line("") or _UNKNOWN, fields, (), None, now, now)


def read_history(messages: Iterable[Place], now: float) -> ChatTree:
    """A chat with the messages of a history, which says neither its title nor its model."""
    found: list[Message] = []
    for number, message in enumerate(messages):
        role = message["sender"].choice(_SENDERS)
        parent = str(number - 1) if number else None
        found.append(Message(str(number), "", parent, role, message["text"].text(), created=now))
    title = next((checks.shortened(each.content, chats.TITLE) for each in found if each.role == "user"), "")
    return ChatTree(_UNKNOWN, {"title": title}, found, None, now, now)


def _settings(document: Place) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for theirs, ours in _SETTINGS.items():
        if document[theirs].value is not None:
            settings[ours] = int(document[theirs].number()) if ours in _WHOLE else document[theirs].number()
    if most := int(document["n_predict"].number(0)):
        settings["max_tokens"] = most
    if stops := [text.strip() for text in document["reverse_prompt"].text("").split(",") if text.strip()]:
        settings["stop"] = stops
    try:
        checks.settings("settings", settings)
    except BadRequest as error:
        raise BadRequest(f"{document.path}: {error.message}") from None
    return settings
