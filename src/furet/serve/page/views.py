"""Records as the page's JSON."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from furet.serve.page.markdown import render

if TYPE_CHECKING:
    from furet.chat.store import Chat, ChatPreset, Conversation, Hit, Message
    from furet.serve.models import Models


MOST_TEXT = 100_000  # characters of several messages that are shown at once, for making HTML of them takes its time

_THOUGHT = re.compile(r"\A\s*<think>(.*?</think>|.*)", re.DOTALL)
# Of markdown, which a line of the list has no use for; what stands within a word or alone is none.
_MARKS = re.compile(
    r"```\w*|[`|]+|^\s*[#>*]+\s|(?<![^\W_])[*_~]+(?=\S)|(?<=\S)[*_~]+(?![^\W_])", re.MULTILINE
)


def chat_view(chat: Chat, answering: bool = False) -> dict[str, Any]:
    """A chat without its messages."""
    return {
        "id": chat.id,
        "title": chat.title,
        "model": chat.model,
        "members": [{"name": each.name, "model": each.model, "system": each.system} for each in chat.members],
        "turns": chat.turns,
        "system": chat.system or "",
        "format": chat.preset,
        "settings": dict(chat.settings),
        "pinned": chat.pinned,
        "archived": chat.archived,
        "preview": _MARKS.sub("", _THOUGHT.sub("", chat.preview, 1)[:200]),
        "updated": chat.updated,
        "answering": answering,
    }


def message_view(message: Message, siblings: tuple[str, ...] = ()) -> dict[str, Any]:
    """A message; what a model said also as HTML, what people and tools said as text alone."""
    view: dict[str, Any] = {
        "id": message.id,
        "parent": message.parent,
        "role": message.role,
        "speaker": message.speaker,
        "model": message.model,
        "text": message.content,
        "calls": [f"{call.name} {call.arguments}" for call in message.tool_calls],
        "blocks": [],
        "state": message.state,
        "error": message.error,
        "siblings": siblings,
        "tokens": message.counts.answer_tokens,
        "prompt": message.counts.prompt_tokens,
        "rate": round(message.counts.rate, 2),
        "reason": message.counts.reason,
        "seed": None if message.counts.seed is None else str(message.counts.seed),  # beyond what JavaScript counts
    }
    if message.role == "assistant" and message.state != "streaming":
        view["blocks"] = render(message.content)
    return view


def page_of(conversation: Conversation, before: str | None, limit: int) -> dict[str, Any]:
    """The last messages of a conversation, or of what lies before one of them: so many, or fewer long ones."""
    shown = [message for message in conversation.messages if message.role != "system"]
    end = next((place for place, each in enumerate(shown) if each.id == before), len(shown))
    first, text = end, 0
    while first > 0 and end - first < limit and (first == end or text + len(shown[first - 1].content) <= MOST_TEXT):
        first -= 1
        text += len(shown[first].content)
    views = [message_view(each, conversation.siblings.get(each.id, ())) for each in shown[first:end]]
    return {"messages": views, "earlier": first > 0}


def hit_view(hit: Hit) -> dict[str, Any]:
    """What a search found."""
    return {**asdict(hit), "title": hit.title[:200]}


def preset_view(preset: ChatPreset) -> dict[str, Any]:
    """Settings by name."""
    return {**asdict(preset), "settings": dict(preset.settings)}


def models_view(models: Models) -> list[dict[str, Any]]:
    """The models on this machine, by the name that chats call them."""
    loaded = {each.name: each for each in models.loaded() if each.pid}
    found = []
    for model in models.installed():
        name = model.alias or model.ref
        here = loaded.get(name)
        memory = {"awake": here is not None, "planned": here.bytes if here else 0}
        found.append({"name": name, "ref": model.ref, "bytes": model.bytes, **memory})
    return sorted(found, key=lambda model: str(model["name"]).casefold())


def memory_view(models: Models) -> dict[str, int]:
    """What the loaded models have been promised, what all together may have, and how many of them are ready."""
    loaded = models.loaded()
    ready = sum(each.pid > 0 for each in loaded)
    return {"used": sum(each.bytes for each in loaded), "budget": models.budget.bytes, "ready": ready}
