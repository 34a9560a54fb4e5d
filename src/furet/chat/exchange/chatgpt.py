"""Conversations as ChatGPT exports them.

A conversation has a `mapping` of nodes, each with the id of its parent and perhaps a message; branches come from
regenerated answers and edited questions. What a message holds depends on its content type; what was hidden from
people, and what the program and its tools said to each other, is left out.
"""

from __future__ import annotations

from furet.chat.exchange.place import Place
from furet.chat.exchange.trees import ordered, without
from furet.chat.store import Message
from furet.chat.store.insert import ChatTree

MAX_NODES = 100_000
_ROLES = ("user", "assistant")
_UNKNOWN = "ChatGPT"


def read_chatgpt(document: Place, now: float) -> ChatTree:
    """A conversation of the export; BadRequest naming the place where it is something else."""
    mapping = document["mapping"]
    nodes = dict(mapping.entries())
    if len(nodes) > MAX_NODES:
        raise mapping.wrong(f"at most {MAX_NODES} nodes")
    parents = {key: node["parent"].text_or_none() for key, node in nodes.items()}
    order = ordered(parents, mapping.path)
    created = document["create_time"].seconds(now)
    kept = {key: message for key in order if (message := _message(key, nodes[key]["message"], created)) is not None}
    above = without(parents, order, kept)
    messages = [_under(kept[key], above[key]) for key in order if key in kept]
    models = [message.model for message in messages if message.model]
    return ChatTree(
        model=document["default_model_slug"].line("") or (models[-1] if models else _UNKNOWN),
        fields={"title": document["title"].line("")},
        messages=messages,
        leaf=_leaf(document["current_node"].text_or_none(), parents, kept),
        created=created,
        updated=document["update_time"].seconds(created),
    )


def _leaf(current: str | None, parents: dict[str, str | None], kept: dict[str, Message]) -> str | None:
    """The message that is kept, of the current node or before it."""
    while current is not None and current not in kept:
        current = parents.get(current)
    return current


def _under(message: Message, parent: str | None) -> Message:
    return Message(message.id, "", parent, message.role, message.content, model=message.model, created=message.created)


def _message(key: str, message: Place, created: float) -> Message | None:
    """What a node says to people; None when it says nothing."""
    if message.value is None:
        return None
    role = message["author"]["role"].text()
    metadata = message["metadata"]
    hidden = metadata.value is not None and metadata["is_visually_hidden_from_conversation"].value is True
    if role not in _ROLES or hidden or message["recipient"].text("all") != "all":
        return None
    content = _content(message["content"])
    if not content.strip():
        return None
    model = metadata["model_slug"].line("") if metadata.value is not None and role == "assistant" else ""
    when = message["create_time"].seconds(created)
    return Message(key, "", None, "user" if role == "user" else "assistant", content, model=model or None, created=when)


def _content(content: Place) -> str:
    """The text of a message's content."""
    match content["content_type"].text():
        case "text" | "multimodal_text":
            return "\n\n".join(filter(None, map(_part, content["parts"].items())))
        case "code":
            return f"```{content['language'].line('').replace('unknown', '')}\n{content['text'].text('')}\n```"
        case _:  # thoughts, quotes of pages, context of the user: not said by anybody
            return ""


def _part(part: Place) -> str:
    if isinstance(part.value, str):
        return part.text()
    if "text" in part and isinstance(part.value["text"], str):  # the transcript of something spoken
        return part["text"].text()
    kind = part["content_type"].line("something")
    return f"[{kind.removesuffix('_asset_pointer').replace('_', ' ')}]"
