"""Messages in an order in which none stands before the one it follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from furet.errors import BadRequest

Node = TypeVar("Node")


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


def without(parents: Mapping[str, str | None], order: list[str], kept: Mapping[str, Node]) -> dict[str, str | None]:
    """The parents of the nodes that are kept, where those that are not are stepped over."""
    nearest: dict[str | None, str | None] = {None: None}
    found: dict[str, str | None] = {}
    for node in order:
        above = nearest[parents[node]]
        nearest[node] = node if node in kept else above
        if node in kept:
            found[node] = above
    return found
