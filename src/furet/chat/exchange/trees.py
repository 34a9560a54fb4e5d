"""Messages in an order in which none stands before the one it follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from furet.errors import BadRequest

Node = TypeVar("Node")


def ordered(parents: Mapping[str, str | None], path: str) -> list[str]:
    """The ids of a forest, each after its parent, otherwise in the order given.

    raises  BadRequest for a parent that there is not, and for circles
    """
    children: dict[str | None, list[str]] = {}
    for node, parent in parents.items():
        if parent is not None and parent not in parents:
            raise BadRequest(f"{path}: {node!r:.60}: its parent {parent!r:.60} is missing")
        children.setdefault(parent, []).append(node)
    found = list(children.get(None, ()))
    for node in found:  # grows while it is walked
        found += children.get(node, ())
    if len(found) < len(parents):
        lost = next(iter(parents.keys() - set(found)))
        raise BadRequest(f"{path}: {lost!r:.60}: follows itself, by way of its parents")
    return found


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
