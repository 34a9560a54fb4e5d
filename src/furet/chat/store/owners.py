"""Which process is making an answer, and whether it still lives.

A process that makes answers holds a lock on a file of its own beside the database, which the system releases when
the process ends, however it ends. Process ids would not do: they are used again, and mean nothing across containers.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from furet.errors import FuretError

BEGINNING = 60.0  # seconds; no lock takes so long to be made
_NAME = re.compile(r"[A-Za-z0-9_-]{16}")

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class Owner:
    """One opened store, as the maker of answers.

    name    stands beside the answers that it makes
    held    whether it has made any
    """

    def __init__(self, database: Path) -> None:
        self.name = secrets.token_urlsafe(12)
        self._folder = database.with_name(f"{database.name}.owners")
        self._handle: int | None = None
        self._lock = Lock()

    @property
    def held(self) -> bool:
        return self._handle is not None

    def hold(self) -> None:
        """Let others see, from now until the end of this process, that this one lives."""
        with self._lock:
            if self._handle is None:
                try:
                    self._handle = self._held()
                except OSError as error:
                    hint = "check that it may be written; FURET_DATA names another folder"
                    raise FuretError(f"{self._folder}: {error.strerror}", hint) from error

    def _held(self) -> int:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        unlocked = self._folder / f".{self.name}"
        handle = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _try_lock(handle)
        unlocked.rename(self._folder / self.name)  # nobody sees it before it is locked
        return handle

    def release(self) -> None:
        """Make no more answers."""
        with self._lock:
            if self._handle is not None:
                _forget(self._folder / self.name, self._handle)
                self._handle = None

    def lives(self, name: str) -> bool:
        """Whether the process behind a name lives; what a dead one has left is removed."""
        if name == self.name:
            return self.held
        if not _NAME.fullmatch(name):
            return False
        path = self._folder / name
        try:
            handle = os.open(path, os.O_RDWR)
        except OSError:
            return False
        if _try_lock(handle):
            _forget(path, handle)
            return False
        os.close(handle)
        return True

    def sweep(self) -> None:
        """Remove what processes have left that died without an answer in the making."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.startswith(".") and time.time() - path.stat().st_mtime > BEGINNING:
                    path.unlink(missing_ok=True)
                self.lives(path.name)


def _forget(path: Path, handle: int) -> None:
    with suppress(OSError):
        path.unlink()
    os.close(handle)
