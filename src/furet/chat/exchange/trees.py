"""Messages in an order in which none stands before the one it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from furet.chat.store import Message
from furet.errors import BadRequest


def ordered(parents: Mapping[str, str | None], path: str) -> list[str]:
    """The ids of a forest in the order given, but none before its parent.

    raises  BadRequest for a parent that there is not, and for circles
    """
    found: dict[str, None] = {}
    for node in parents:
        way: dict[str, None] = {}  # from the node back to one that is found
        above: str | None = node
        while above is not None and above not in found:
            if above in way:
                raise BadRequest(f"{path}: {above!r:.60}: follows itself, by way of its parents")
            if above not in parents:
                raise BadRequest(f"{path}: {next(reversed(way))!r:.60}: its parent {above!r:.60} is missing")
            way[above] = None
            above = parents[above]
        found.update(reversed(way.items()))
    return list(found)


def linked(
    parents: Mapping[str, str | None], kept: Mapping[str, Message], leaf: str | None, path: str
) -> tuple[list[Message], str | None]:
    """The messages that are kept, none before its parent, and the leaf; nodes that are not kept are stepped over.

    A parent that there is not is none, as where a part of a conversation was deleted.
    """
    there = {node: above if above in parents else None for node, above in parents.items()}
    nearest: dict[str | None, str | None] = {None: None}
    found = []
    for node in ordered(there, path):
        above = nearest[there[node]]
        nearest[node] = node if node in kept else above
        if node in kept:
            found.append(replace(kept[node], parent=above))
    return found, nearest.get(leaf)
