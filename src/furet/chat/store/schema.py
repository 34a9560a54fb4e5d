"""The tables of the store, and how files of older versions become newer ones.

`user_version` counts the migrations that a file has been through. A migration, once released, is never changed: what
comes after it is a new one.

`searchable` is a function of ours (furet.chat.store.search), so only furet can write to these tables. The index of
words holds no texts: it is told the old ones when they change. An answer is indexed when it has ended.
"""

from __future__ import annotations

import sqlite3

from furet.errors import FuretError

APPLICATION = 0x66757274  # "furt", in the header of the file

_CHATS = """
CREATE TABLE chats (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    title       TEXT NOT NULL,
    model       TEXT,
    system      TEXT,
    preset      TEXT,
    settings    TEXT NOT NULL,
    icon        TEXT NOT NULL,
    colour      TEXT NOT NULL,
    pinned      INTEGER NOT NULL,
    archived    INTEGER NOT NULL,
    turns       TEXT NOT NULL,
    leaf        INTEGER REFERENCES messages(key) ON DELETE SET NULL,
    created     REAL NOT NULL,
    updated     REAL NOT NULL
)"""

_MEMBERS = """
CREATE TABLE members (
    chat        INTEGER NOT NULL REFERENCES chats(key) ON DELETE CASCADE,
    place       INTEGER NOT NULL,
    name        TEXT NOT NULL,
    model       TEXT NOT NULL,
    system      TEXT,
    preset      TEXT,
    settings    TEXT NOT NULL,
    PRIMARY KEY (chat, place)
) WITHOUT ROWID"""

# No cascade from a message to those that follow it: SQLite cascades by recursion, 1000 levels at most.
_MESSAGES = """
CREATE TABLE messages (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    chat        INTEGER NOT NULL REFERENCES chats(key),
    parent      INTEGER REFERENCES messages(key),
    role        TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    content     TEXT NOT NULL,
    speaker     TEXT,
    model       TEXT,
    tool_calls  TEXT NOT NULL,
    tool_call_id TEXT,
    state       TEXT NOT NULL CHECK (state IN ('complete', 'streaming', 'stopped', 'failed')),
    error       TEXT,
    counts      TEXT NOT NULL,
    owner       TEXT CHECK ((owner IS NOT NULL) = (state = 'streaming')),
    created     REAL NOT NULL
)"""

_PRESETS = """
CREATE TABLE presets (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL UNIQUE COLLATE NOCASE,
    system      TEXT,
    settings    TEXT NOT NULL,
    format      TEXT
)"""

_INDEXED = "{0}.state <> 'streaming' AND {0}.role IN ('user', 'assistant')"
_FORGET = "INSERT INTO words(words, rowid, text) VALUES ('delete', old.key, searchable(old.content));"
_LEARN = "INSERT INTO words(rowid, text) VALUES (new.key, searchable(new.content));"
_FORGET_TITLE = "INSERT INTO titles(titles, rowid, text) VALUES ('delete', old.key, searchable(old.title));"
_LEARN_TITLE = "INSERT INTO titles(rowid, text) VALUES (new.key, searchable(new.title));"
_CHANGED = "old.content IS NOT new.content OR old.state IS NOT new.state"

_SEARCH = (
    """CREATE VIRTUAL TABLE words USING fts5(
        text, content='', tokenize="unicode61 remove_diacritics 2", prefix='2 3')""",
    """CREATE VIRTUAL TABLE titles USING fts5(
        text, content='', tokenize="unicode61 remove_diacritics 2", prefix='2 3')""",
    f"CREATE TRIGGER said AFTER INSERT ON messages WHEN {_INDEXED.format('new')} BEGIN {_LEARN} END",
    f"""CREATE TRIGGER unsaid AFTER UPDATE OF content, state ON messages
        WHEN {_INDEXED.format("old")} AND ({_CHANGED}) BEGIN {_FORGET} END""",
    f"""CREATE TRIGGER resaid AFTER UPDATE OF content, state ON messages
        WHEN {_INDEXED.format("new")} AND ({_CHANGED}) BEGIN {_LEARN} END""",
    f"CREATE TRIGGER forgotten AFTER DELETE ON messages WHEN {_INDEXED.format('old')} BEGIN {_FORGET} END",
    f"CREATE TRIGGER titled AFTER INSERT ON chats BEGIN {_LEARN_TITLE} END",
    f"""CREATE TRIGGER retitled AFTER UPDATE OF title ON chats WHEN old.title IS NOT new.title
        BEGIN {_FORGET_TITLE} {_LEARN_TITLE} END""",
    f"CREATE TRIGGER untitled AFTER DELETE ON chats BEGIN {_FORGET_TITLE} END",
)

_INDICES = (
    "CREATE INDEX chats_listed ON chats(archived, pinned, updated, key)",
    "CREATE INDEX chats_of_model ON chats(model, archived, pinned, updated, key)",
    "CREATE INDEX chats_leaf ON chats(leaf)",
    "CREATE INDEX messages_of_chat ON messages(chat, parent)",
    "CREATE INDEX messages_parent ON messages(parent)",
    "CREATE INDEX messages_streaming ON messages(owner) WHERE owner IS NOT NULL",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = ((_CHATS, _MESSAGES, _MEMBERS, _PRESETS, *_INDICES, *_SEARCH),)


def migrate(db: sqlite3.Connection) -> None:
    """Bring an open file to the newest version, all or nothing; raises FuretError for a file that is not ours."""
    if _version(db) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(db), len(MIGRATIONS)):  # read again: another process may have been faster
            for statement in MIGRATIONS[version]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version + 1}")
            db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION:
        raise FuretError("an SQLite file of another program", "name another file, or set FURET_DATA")
    if version > len(MIGRATIONS):
        raise FuretError(f"version {version}, wanted at most {len(MIGRATIONS)}", "a newer furet wrote it")
    return version
