"""A model on this machine, and how progress is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

Progress = Callable[[str, int, "int | None"], None]
"""Called with what is being done (a file's name), bytes done, and bytes in all (None when unknown).

It runs on the caller's thread, about ten times a second; what it raises stops the download, which stays
resumable.
"""


def throttled(progress: Progress | None) -> Progress:
    """The same callback, called ten times a second at most, and at the end."""
    last = -1.0

    def tell(label: str, done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if progress and (done == total or now - last >= 0.1):
            last = now
            progress(label, done, total)

    return tell


@dataclass(frozen=True)
class StoredModel:
    """A complete model in one of the caches.

    ref       what names it on the command line
    path      its file; the first one of a split model
    files     all its files
    bytes     of all its files together
    source    which cache it lies in
    modified  when it was downloaded
    """

    ref: str
    path: Path
    files: tuple[Path, ...]
    bytes: int
    source: Literal["hf", "pypi"]
    modified: datetime


def stored(ref: str, files: tuple[Path, ...], source: Literal["hf", "pypi"]) -> StoredModel:
    """The record of complete files; reads their sizes and dates. Raises OSError when one is gone."""
    stats = [file.stat() for file in files]
    modified = datetime.fromtimestamp(max(stat.st_mtime for stat in stats)).astimezone()
    return StoredModel(ref, files[0], files, sum(stat.st_size for stat in stats), source, modified)
