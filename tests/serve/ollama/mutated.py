"""Requests that are nearly right: a good body with one or a few values replaced by others, dropped, or added."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

STRANGE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63),
    1e308,
    -0.0,
    0.1,
    "",
    "a",
    "\x00",
    "\ufeff\u202e",
    "𝔸",
    "<|im_end|>",
    "x" * 3000,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": None},
    {"type": "object"},
    {"$ref": "#"},
    {"type": "text", "text": "a"},
    ["a", "b"],
    "auto",
    "5m",
]


def mutated(body: Any, count: int, seed: int) -> Iterator[Any]:
    """So many bodies, each changed in one to three places."""
    random = Random(seed)
    for _ in range(count):
        found = copy.deepcopy(body)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            _change(found, random)
        yield found


def _change(body: Any, random: Random) -> None:
    places = list(_places(body))
    if not places:
        return
    holder, key = random.choice(places)
    value = copy.deepcopy(random.choice(STRANGE))
    action = random.random()
    if action < 0.7:
        holder[key] = value
    elif action < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder[random.choice(("extra", "type", "name", "stream", "format", "content", "", "__class__"))] = value
    else:
        holder.append(value)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a body that holds a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
