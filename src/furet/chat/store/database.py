"""The file of the store: connections, transactions, permissions, and errors that people can act upon.

A connection is used by one thread at a time and then kept for the next one. So any number of readers and a writer work
at once, as SQLite's write-ahead log allows, where one connection behind a lock would let an append wait for a search;
and where a connection per thread would stay open in every thread of a server's pool. Writers of one process queue
at a lock, in order, where SQLite would have them sleep and try again; those of other processes do.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from furet.chat.store.schema import migrate
from furet.chat.store.search import searchable
from furet.errors import BadRequest, FuretError

PATIENCE = 60.0  # seconds that a writer waits for those of other processes; a large import takes most of that
KEPT = 8  # idle connections
CACHE = 16 << 10  # KiB of pages that a connection keeps

_PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",  # a commit is on the disk when it returns, also when the power fails
    "secure_delete = ON",  # what was deleted is overwritten
    f"cache_size = -{CACHE}",
    "temp_store = MEMORY",
    f"journal_size_limit = {64 << 20}",
)


def default_path() -> Path:
    """The file of this user's conversations: chats.db in FURET_DATA, or in the platform's data folder for furet."""
    if os.environ.get("FURET_DATA"):
        folder = Path(os.path.expandvars(os.environ["FURET_DATA"])).expanduser()
    else:
        from platformdirs import user_data_dir

        folder = Path(user_data_dir("furet", appauthor=False))
    return folder / "chats.db"


class Database:
    """An open file; `reading` and `writing` are transactions, from any thread. They must not be nested."""

    def __init__(self, path: Path) -> None:
        """Open or make it, for its owner alone; raises FuretError and leaves the file as it is when that fails."""
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._writer = Lock()
        with self._explained():
            _create(path)
            db = self._connect()
            try:
                migrate(db)
                _write_ahead(db)
            except BaseException:
                db.close()
                raise
        self._idle.append(db)

    def close(self) -> None:
        """Close it; a transaction in another thread is ended first by that thread."""
        self._closed = True
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one moment of the file."""
        with self._explained(), self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when the block ends, and undone when it raises."""
        with self._explained(), self._writer, self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        db = self._taken()
        try:
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        finally:
            self._given_back(db)

    def _taken(self) -> sqlite3.Connection:
        if self._closed:
            raise BadRequest("the store of conversations is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _given_back(self, db: sqlite3.Connection) -> None:
        if self._closed or len(self._idle) >= KEPT:
            db.close()
        else:
            self._idle.append(db)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        db.row_factory = sqlite3.Row
        db.create_function("searchable", 1, searchable, deterministic=True)
        return db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What SQLite and the system say, in words that name the file and the next step."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _explanation(self.path, error) from error
        except OSError as error:
            raise FuretError(f"{self.path}: {error.strerror}", "FURET_DATA names another folder") from error
        except FuretError as error:
            if type(error) is FuretError and str(self.path) not in error.message:
                raise FuretError(f"{self.path}: {error.message}", error.hint) from None
            raise


def _create(path: Path) -> None:
    """The file and its folder, which only their owner can read; SQLite gives its other files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _write_ahead(db: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, once in its life; SQLite does not wait for others there, so we do."""
    deadline = time.monotonic() + PATIENCE
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return  # also where the file system cannot have one: the store works without it, readers wait


def _explanation(path: Path, error: sqlite3.DatabaseError) -> FuretError:
    text = str(error)
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        hint = (
            f"nothing was changed; move the file away and furet begins a new one, or try `sqlite3 {path.name} .recover`"
        )
        return FuretError(f"{path}: the file is damaged: {text}", hint)
    if "locked" in text or "busy" in text:
        return FuretError(f"{path}: another process has been writing for {PATIENCE:.0f} seconds", "try again")
    if "readonly" in text or "unable to open" in text:
        return FuretError(f"{path}: {text}", "check that its folder may be written; FURET_DATA names another one")
    if "full" in text:
        return FuretError(f"{path}: {text}", "free some space, or point FURET_DATA to a larger disk")
    return FuretError(f"{path}: {text}")
