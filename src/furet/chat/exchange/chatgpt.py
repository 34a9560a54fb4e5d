"""Conversations as ChatGPT exports them.

A conversation has a `mapping` of nodes, each with the id of its parent and perhaps a message; branches come from
regenerated answers and edited questions. What a message holds depends on its content type; what was hidden from
people, and what the program and its tools said to each other, is left out.
"""

from __future__ import annotations

from furet.chat.exchange.place import Place
from furet.chat.exchange.trees import linked
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
    created = document["create_time"].seconds(now)
    said = {key: _message(key, node["message"], created) for key, node in nodes.items()}
    kept = {key: message for key, message in said.items() if message is not None}
    # The order of a mapping says nothing; that of time is the order of branches.
    order = sorted(nodes, key=lambda key: kept[key].created if key in kept else created)
    parents = {key: nodes[key]["parent"].text_or_none() for key in order}
    messages, leaf = linked(parents, kept, document["current_node"].text_or_none(), mapping.path)
    models = [message.model for message in messages if message.model]
    return ChatTree(
        model=document["default_model_slug"].line("") or (models[-1] if models else _UNKNOWN),
        fields={"title": document["title"].line("")},
        messages=messages,
        leaf=leaf,
        created=created,
        updated=document["update_time"].seconds(created),
    )


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
    if content.value is None:
        return ""
    match content["content_type"].text():
        case "text" | "multimodal_text":
            return "\n\n".join(filter(None, map(_part, content["parts"].items())))
        case "code":
            return f"```{content['language'].line('').replace('unknown', '')}\n{content['text'].text('')}\n```"
        case _:  # thoughts, quotes of pages, context of the user: not said by anybody
            return ""


def _part(part: Place) -> str:
    if part.value is None:
        return ""
    if isinstance(part.value, str):
        return part.text()
    if "text" in part and isinstance(part.value["text"], str):  # the transcript of something spoken
        return part["text"].text()
    kind = part["content_type"].line("something")
    return f"[{kind.removesuffix('_asset_pointer').replace('_', ' ')}]"
