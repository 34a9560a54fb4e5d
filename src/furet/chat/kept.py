"""What models have computed of conversations, in files, so that one taken up again is not read anew.

A file for each conversation, named by its id, in the folder of the store of conversations; the ones that were not used
for longest go first when all of them together are too large. They hold what was said, as `furet.engine.kept` has it, so
they are made for conversations that are in the store, and go with them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.engine.model import Model

MOST_BYTES = 4 << 30  # of all files; FEWEST of them stay all the same
FEWEST = 1
STALE = 600.0  # seconds; no file takes so long to write
LEAST_TOKENS = 256  # what is read again as fast as a file is

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def folder() -> Path:
    """Where the files are; it may not exist yet."""
    from furet.chat.store.database import default_path

    return default_path().parent / "kept"


def take_up(model: Model, chat: str) -> int:
    """Have the model know what it knew of a conversation; returns of how many tokens. 0 where nothing was kept."""
    path = _path(chat)
    if path is None:
        return 0
    known = model.recall(path)
    if known:
        with suppress(OSError):
            path.touch()
    return known


def expect(chat: str) -> None:
    """Make an empty file for what `put_away` is to keep; a conversation that is deleted before takes it along."""
    path = _path(chat)
    if path is not None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)


def put_away(model: Model, chat: str, tokens: Sequence[int], *, expected: bool = False) -> int:
    """Keep what the model knows of a conversation of these tokens; returns of how many.

    expected    only where there is a file, be it an empty one: in another process the conversation may be deleted

    0 where that is not worth a file. A disk that is full, or a folder that cannot be written, keeps nothing.
    """
    path = _path(chat)
    if path is None or len(tokens) < LEAST_TOKENS:
        return 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        known = model.keep(tokens, aside) if path.exists() or not expected else 0
        if known and (path.exists() or not expected):
            aside.replace(path)
        aside.unlink(missing_ok=True)
        _make_room(path.parent)
        return known
    except OSError:
        return 0


def forget(chat: str) -> None:
    """The conversation is deleted."""
    path = _path(chat)
    if path is not None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            for aside in path.parent.glob(f".{path.name}.*"):
                aside.unlink(missing_ok=True)


def _path(chat: str) -> Path | None:
    return folder() / f"{chat}.kv" if _ID.fullmatch(chat) else None


def _make_room(where: Path) -> None:
    """Remove the files that were not used for longest, until the rest is small enough, and what a dead process left."""
    for aside in where.glob(".*.kv.*"):
        if time.time() - aside.stat().st_mtime > STALE:
            aside.unlink(missing_ok=True)
    found = sorted(((path.stat(), path) for path in where.glob("*.kv")), key=lambda each: -each[0].st_mtime_ns)
    total = 0
    for place, (stat, path) in enumerate(found):
        total += stat.st_size
        if total > MOST_BYTES and place >= FEWEST:
            path.unlink(missing_ok=True)
