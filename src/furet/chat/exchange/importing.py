"""Which kind of file it is, and into the store with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO

from furet.chat.exchange import archive, llmfarm, native
from furet.chat.exchange.bounded import MAX_BYTES, elements
from furet.chat.exchange.chatgpt import read_chatgpt
from furet.chat.exchange.claude import read_claude
from furet.chat.exchange.place import Place
from furet.chat.store import Chat, Store
from furet.chat.store.insert import ChatTree
from furet.errors import BadRequest

MAX_MESSAGES = 200_000  # of one import, which is one transaction

_KINDS = "furet, ChatGPT, Claude or LLMFarm"


@dataclass(frozen=True)
class Imported:
    """What came of an import: the new chats, and how many messages they have together."""

    chats: tuple[Chat, ...]
    messages: int


def import_chats(
    store: Store,
    file: BinaryIO,
    *,
    name: str = "the file",
    model: str | None = None,
    shown: Callable[[list[ChatTree]], Iterable[ChatTree]] = iter,
) -> Imported:
    """Read chats from a file and write them into the store, all of them or none.

    file    JSON, or a zip archive with a conversations.json; it must be seekable
    name    what errors call it
    model   the model that the chats are to go on with; None: the one that they name, which may not be on this machine
    shown   goes through the chats while they are written, as a progress bar does
    raises  BadRequest saying where, for a file that is something else, damaged or beyond the bounds
    """
    trees: list[ChatTree] = []
    messages = 0
    for tree in _trees(_read(file, name), name):
        messages += len(tree.messages)
        if messages > MAX_MESSAGES:
            raise BadRequest(f"{name}: more than {MAX_MESSAGES} messages", "import it in parts")
        trees.append(tree if model is None or tree.model is None else replace(tree, model=model))
    return Imported(store.insert(shown(trees)), messages)


def _read(file: BinaryIO, name: str) -> bytes:
    file.seek(0)
    beginning = file.read(len(archive.SIGNATURE))
    file.seek(0)
    if beginning == archive.SIGNATURE:
        return archive.read_archive(file, name)
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadRequest(f"{name}: larger than {MAX_BYTES >> 20} MB")
    return data


def _trees(data: bytes, name: str) -> Iterator[ChatTree]:
    now = time.time()
    places = (Place(each, f"{name}: conversation {number}") for number, each in enumerate(elements(data, name), 1))
    first = next(places, None)
    if first is None:
        return
    everything = chain([first], places)
    if llmfarm.is_message(first):
        yield replace(llmfarm.read_history(everything, now), origin=name)
    else:
        for place in everything:
            yield replace(_tree(place, now), origin=place.path)


def _tree(document: Place, now: float) -> ChatTree:
    if not isinstance(document.value, dict):
        raise document.wrong("an object")
    if native.is_native(document):
        return native.read_native(document, now)
    if native.is_saved(document):
        return native.read_saved(document, now)
    if "mapping" in document:
        return read_chatgpt(document, now)
    if "chat_messages" in document:
        return read_claude(document, now)
    if llmfarm.is_settings(document):
        return llmfarm.read_settings(document, now)
    raise BadRequest(f"{document.path}: no chat of {_KINDS}", "export the conversations as JSON, or as a zip archive")
