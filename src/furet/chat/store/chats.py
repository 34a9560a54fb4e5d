"""Chats: made, listed, changed, deleted. Each function works inside a transaction of its caller."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from furet.chat.store import checks
from furet.chat.store.records import Chat, ChatChanges, ChatFields, ChatPage, Contact, Member
from furet.errors import BadRequest, NotFound

MAX_PAGE = 200
LEAST_OF_ID = 4  # characters that name a chat by its id; fewer may begin one by chance
TITLE = 60  # characters of a title taken from what was said
_PREVIEW = 200

_COLUMNS = f"""chats.*, messages.id AS leaf_id, substr(messages.content, 1, {_PREVIEW}) AS preview
    FROM chats LEFT JOIN messages ON messages.key = chats.leaf"""


def new_id() -> str:
    """An id that nobody can guess, and that no command line takes for an option."""
    while (found := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return found


def key_of(db: sqlite3.Connection, chat: str) -> int:
    """The row of a chat; NotFound."""
    row = db.execute("SELECT key FROM chats WHERE id = ?", (chat,)).fetchone() if isinstance(chat, str) else None
    if row is None:
        raise NotFound(f"there is no chat {chat!r:.60}", "it may have been deleted")
    return int(row[0])


def create(
    db: sqlite3.Connection,
    model: str | None,
    fields: ChatFields,
    *,
    created: float | None = None,
    updated: float | None = None,
) -> Chat:
    now = time.time()
    columns, members = _checked({"model": model, **fields})
    values: dict[str, Any] = {
        "id": new_id(),
        "title": "",
        "system": None,
        "preset": None,
        "settings": "{}",
        "icon": "",
        "colour": "",
        "pinned": False,
        "archived": False,
        "turns": "in_turn",
        "created": now if created is None else created,
        "updated": now if updated is None else updated,
        **columns,
    }
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    key = db.execute(f"INSERT INTO chats ({names}) VALUES ({marks})", values).lastrowid
    assert key is not None
    _write_members(db, key, members or [])
    _check_group(db, key)
    return read_key(db, key)


def read(db: sqlite3.Connection, chat: str) -> Chat:
    return read_key(db, key_of(db, chat))


def read_key(db: sqlite3.Connection, key: int) -> Chat:
    row = db.execute(f"SELECT {_COLUMNS} WHERE chats.key = ?", (key,)).fetchone()
    return _chats(db, [row])[0]


def change(db: sqlite3.Connection, chat: str, fields: ChatChanges) -> Chat:
    key = key_of(db, chat)
    columns, members = _checked(fields)
    if columns:
        assigned = ", ".join(f"{name} = :{name}" for name in columns)
        db.execute(f"UPDATE chats SET {assigned} WHERE key = :key", {**columns, "key": key})
    if members is not None:
        db.execute("DELETE FROM members WHERE chat = ?", (key,))
        _write_members(db, key, members)
    _check_group(db, key)
    return read_key(db, key)


def delete(db: sqlite3.Connection, chat: str) -> None:
    key = key_of(db, chat)
    db.execute("UPDATE chats SET leaf = NULL WHERE key = ?", (key,))
    db.execute("DELETE FROM messages WHERE chat = ?", (key,))
    db.execute("DELETE FROM chats WHERE key = ?", (key,))


def page(
    db: sqlite3.Connection, *, model: str | None, groups: bool, archived: bool, after: str | None, limit: int
) -> ChatPage:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise BadRequest(f"limit: got {limit!r:.60}, wanted 1 to {MAX_PAGE}")
    conditions = ["chats.archived = ?"]
    values: list[object] = [archived]
    if model is not None or groups:
        conditions.append("chats.model IS ?")
        values.append(None if groups else model)
    if after is not None:
        conditions.append("(chats.pinned, chats.updated, chats.key) < (?, ?, ?)")
        values += _place(after)
    rows = db.execute(
        f"""SELECT {_COLUMNS} WHERE {" AND ".join(conditions)}
            ORDER BY chats.pinned DESC, chats.updated DESC, chats.key DESC LIMIT ?""",
        (*values, limit + 1),
    ).fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else f"{last['pinned']},{last['updated']!r},{last['key']}"
    return ChatPage(tuple(_chats(db, rows[:limit])), following)


def ids(db: sqlite3.Connection) -> tuple[str, ...]:
    query = "SELECT id FROM chats ORDER BY archived, pinned DESC, updated DESC, key DESC"
    return tuple(name for (name,) in db.execute(query))


def contacts(db: sqlite3.Connection) -> tuple[Contact, ...]:
    rows = db.execute(
        """SELECT model, count(*), max(updated) AS latest FROM chats WHERE archived = 0
           GROUP BY model ORDER BY latest DESC"""
    )
    return tuple(Contact(*row) for row in rows)


def find(db: sqlite3.Connection, text: str, limit: int) -> tuple[Chat, ...]:
    for column, fold in (("id", "GLOB"), ("title", "LIKE")):
        if column == "id" and len(text) < LEAST_OF_ID:
            continue
        pattern = _glob(text) if fold == "GLOB" else _like(text)
        escape = "" if fold == "GLOB" else " ESCAPE '\\'"
        rows = db.execute(
            f"SELECT {_COLUMNS} WHERE chats.{column} {fold} ?{escape} ORDER BY chats.updated DESC LIMIT ?",
            (pattern, limit),
        ).fetchall()
        if rows:
            return tuple(_chats(db, rows))
    return ()


def touch(db: sqlite3.Connection, key: int, leaf: int | None, *, title: str = "") -> None:
    """Note that something was said: the new leaf, the time, and a title for a chat that has none."""
    title = checks.shortened(title[: 10 * TITLE], TITLE)
    db.execute(
        "UPDATE chats SET leaf = ?, updated = max(updated, ?), title = iif(title = '', ?, title) WHERE key = ?",
        (leaf, time.time(), title, key),
    )


def _checked(fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[Member] | None]:
    """Columns of a chat, and its members where they are among the fields."""
    columns: dict[str, Any] = {}
    members = None
    for name, value in fields.items():
        match name:
            case "title":
                columns[name] = checks.line(name, value)
            case "model":
                columns[name] = None if value is None else checks.line(name, value, 1000, least=1)
            case "system":
                columns[name] = None if value is None else checks.text(name, value, checks.MAX_SYSTEM)
            case "preset":
                columns[name] = None if value is None else checks.preset(name, value)
            case "settings":
                columns[name] = checks.settings(name, value)
            case "icon":
                columns[name] = checks.line(name, value, checks.MAX_ICON)
            case "colour":
                columns[name] = checks.colour(name, value)
            case "pinned" | "archived":
                columns[name] = checks.flag(name, value)
            case "turns":
                columns[name] = checks.turns(name, value)
            case "members":
                members = checks.members(name, value)
            case _:
                raise BadRequest(f"a chat has no field {name!r:.60}")
    return columns, members


def _check_group(db: sqlite3.Connection, key: int) -> None:
    query = "SELECT model IS NULL, EXISTS (SELECT 1 FROM members WHERE chat = chats.key) FROM chats WHERE key = ?"
    alone, members = db.execute(query, (key,)).fetchone()
    if alone != members:
        raise BadRequest("members: a chat has one model, or members and no model of its own")


def _write_members(db: sqlite3.Connection, key: int, members: list[Member]) -> None:
    for place, member in enumerate(members):
        columns, _ = _checked({"model": member.model, "system": member.system, "preset": member.preset})
        if columns["model"] is None:
            raise BadRequest("members: model: wanted the reference of a model")
        settings = checks.settings("members: settings", member.settings)
        name = checks.line("members: name", member.name, checks.MAX_MEMBER, least=1)
        db.execute(
            "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, place, name, columns["model"], columns["system"], columns["preset"], settings),
        )


def _chats(db: sqlite3.Connection, rows: list[sqlite3.Row]) -> list[Chat]:
    """Chats from their rows, members looked up for all at once."""
    groups = [row["key"] for row in rows if row["model"] is None]
    members: dict[int, list[Member]] = {}
    if groups:
        marks = ", ".join("?" * len(groups))
        for row in db.execute(f"SELECT * FROM members WHERE chat IN ({marks}) ORDER BY chat, place", groups):
            settings = checks.settings_of(row["settings"])
            member = Member(row["name"], row["model"], row["system"], row["preset"], settings)
            members.setdefault(row["chat"], []).append(member)
    return [
        Chat(
            id=row["id"],
            title=row["title"],
            model=row["model"],
            system=row["system"],
            preset=row["preset"],
            settings=checks.settings_of(row["settings"]),
            icon=row["icon"],
            colour=row["colour"],
            pinned=bool(row["pinned"]),
            archived=bool(row["archived"]),
            turns=row["turns"],
            members=tuple(members.get(row["key"], ())),
            leaf=row["leaf_id"],
            preview=row["preview"] or "",
            created=row["created"],
            updated=row["updated"],
        )
        for row in rows
    ]


def _place(after: str) -> list[float]:
    """A place in the list from its text, as `ChatPage.next` has it."""
    try:
        pinned, updated, key = after.split(",")
        if max(abs(int(pinned)), abs(int(key))) < 1 << 63:  # SQLite has no larger ones
            return [int(pinned), float(updated), int(key)]
    except (AttributeError, ValueError):
        pass
    raise BadRequest(f"after: got {after!r:.60}, wanted `next` of a page")


def _glob(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text) + "*"


def _like(text: str) -> str:
    return "".join(f"\\{character}" if character in "%_\\" else character for character in text) + "%"
