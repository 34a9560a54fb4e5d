"""Which model of this machine a client means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from furet.errors import NotFound
from furet.serve.names import LATEST

if TYPE_CHECKING:
    from furet.serve.names import Listed


def find(installed: Callable[[], Sequence[Listed]], name: str) -> Listed:
    """A model by its reference or alias; reads the store, so not in an event loop. NotFound when there is none."""
    wanted = name.removesuffix(LATEST)
    for each in installed():
        if wanted in (each.ref, each.alias) or wanted.lower() == each.alias:
            return each
    raise NotFound(f"there is no model {name!r:.100} here", "`furet ls` lists what is; `furet pull` fetches more")
