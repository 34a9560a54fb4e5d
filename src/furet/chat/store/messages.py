"""Messages, which form a tree. Each function works inside a transaction of its caller."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence

from furet.chat.store import chats, checks
from furet.chat.store.owners import Owner
from furet.chat.store.records import CURRENT, Conversation, Counts, Message, Role, State, ToolCall
from furet.errors import BadRequest, NotFound

_UNKNOWN = Counts()

_COLUMNS = """messages.*, chats.id AS chat_id, parents.id AS parent_id
    FROM messages JOIN chats ON chats.key = messages.chat
    LEFT JOIN messages AS parents ON parents.key = messages.parent"""

_WAY_BACK = """
WITH RECURSIVE way(key, parent, distance) AS (
    SELECT key, parent, 0 FROM messages WHERE key = ?
    UNION ALL
    SELECT messages.key, messages.parent, distance + 1 FROM messages JOIN way ON messages.key = way.parent)"""

_BELOW = """
WITH RECURSIVE below(key) AS (
    SELECT ? UNION ALL SELECT messages.key FROM messages JOIN below ON messages.parent = below.key)"""

_NEWEST = """
WITH RECURSIVE newest(key) AS (
    SELECT ? UNION ALL
    SELECT (SELECT max(key) FROM messages WHERE parent = newest.key) FROM newest WHERE newest.key IS NOT NULL)
SELECT max(key) FROM newest"""


def row_of(db: sqlite3.Connection, message: str) -> sqlite3.Row:
    """The row of a message; NotFound."""
    query = f"SELECT {_COLUMNS} WHERE messages.id = ?"
    row: sqlite3.Row | None = db.execute(query, (message,)).fetchone() if isinstance(message, str) else None
    if row is None:
        raise NotFound(f"there is no message {message!r:.60}", "it may have been deleted")
    return row


def read(db: sqlite3.Connection, message: str) -> Message:
    return _message(row_of(db, message))


def conversation(db: sqlite3.Connection, chat: str) -> Conversation:
    key = chats.key_of(db, chat)
    leaf = db.execute("SELECT leaf FROM chats WHERE key = ?", (key,)).fetchone()[0]
    rows = db.execute(
        f"""{_WAY_BACK} SELECT {_COLUMNS.replace("FROM messages", "FROM way JOIN messages USING (key)")}
            ORDER BY distance DESC""",
        (leaf,),
    )
    found = tuple(map(_message, rows))
    places: dict[int | None, list[str]] = {}
    for parent, name in db.execute("SELECT parent, id FROM messages WHERE chat = ? ORDER BY key", (key,)):
        places.setdefault(parent, []).append(name)
    several = {name: tuple(names) for names in places.values() if len(names) > 1 for name in names}
    siblings = {message.id: several[message.id] for message in found if message.id in several}
    return Conversation(chats.read_key(db, key), found, siblings)


def tree(db: sqlite3.Connection, chat: str) -> tuple[Message, ...]:
    key = chats.key_of(db, chat)
    # A message is written after the one it follows, so its key is higher.
    rows = db.execute(f"SELECT {_COLUMNS} WHERE messages.chat = ? ORDER BY messages.key", (key,))
    return tuple(map(_message, rows))


def add(
    db: sqlite3.Connection,
    chat: str,
    parent: str | None,
    role: Role,
    content: str,
    *,
    tool_call_id: str | None = None,
    speaker: str | None = None,
    model: str | None = None,
) -> Message:
    checks.choice("role", role, Role)
    if (role == "tool") != (tool_call_id is not None):
        raise BadRequest("tool_call_id: belongs to messages of the role tool, and to no others")
    key = chats.key_of(db, chat)
    above = _parent(db, key, parent)
    if role == "tool" and above is not None:
        speaker = db.execute("SELECT speaker FROM messages WHERE key = ?", (above,)).fetchone()[0]
    message = Message(chats.new_id(), chat, None, role, content, speaker, model, tool_call_id=tool_call_id)
    title = content if role == "user" else ""
    chats.touch(db, key, write(db, key, above, message), title=title)
    return read(db, message.id)


def begin(
    db: sqlite3.Connection, chat: str, parent: str | None, owner: Owner, *, model: str | None, speaker: str | None
) -> Message:
    found = chats.read(db, chat)
    if speaker is not None:
        member = next((member for member in found.members if member.name == speaker), None)
        if member is None:
            raise BadRequest(f"speaker: the chat has no member {speaker!r:.60}")
        model = model or member.model
    key = chats.key_of(db, chat)
    message = Message(chats.new_id(), chat, None, "assistant", "", speaker, model or found.model, state="streaming")
    chats.touch(db, key, write(db, key, _parent(db, key, parent), message, owner.name))
    return read(db, message.id)


def write(db: sqlite3.Connection, chat: int, parent: int | None, message: Message, owner: str | None = None) -> int:
    """Write the row of a message, whose contents are checked here; its key."""
    cursor = db.execute(
        """INSERT INTO messages (id, chat, parent, role, content, speaker, model, tool_calls, tool_call_id, state,
               error, counts, owner, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            message.id,
            chat,
            parent,
            message.role,
            checks.text("content", message.content, checks.MAX_CONTENT),
            None if message.speaker is None else checks.line("speaker", message.speaker),
            None if message.model is None else checks.line("model", message.model, 1000),
            checks.tool_calls(message.tool_calls),
            None if message.tool_call_id is None else checks.line("tool_call_id", message.tool_call_id),
            message.state,
            message.error,
            checks.counts(message.counts),
            owner,
            message.created or time.time(),
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def append(db: sqlite3.Connection, message: str, text: str) -> None:
    row = _streaming(db, message)
    checks.text("content", text, checks.MAX_CONTENT - len(row["content"]))
    db.execute("UPDATE messages SET content = content || ? WHERE key = ?", (text, row["key"]))


def finish(
    db: sqlite3.Connection,
    message: str,
    text: str,
    *,
    state: State,
    error: str | None,
    tool_calls: Sequence[ToolCall],
    counts: Counts,
) -> Message:
    row = _streaming(db, message)
    checks.ended(state, error)
    checks.text("content", text, checks.MAX_CONTENT - len(row["content"]))
    db.execute(
        """UPDATE messages SET content = content || ?, state = ?, error = ?, tool_calls = ?, counts = ?, owner = NULL
           WHERE key = ?""",
        (text, state, error, checks.tool_calls(tool_calls), checks.counts(counts), row["key"]),
    )
    db.execute("UPDATE chats SET updated = max(updated, ?) WHERE key = ?", (time.time(), row["chat"]))
    return read(db, message)


def resume(db: sqlite3.Connection, message: str, owner: Owner) -> Message:
    row = row_of(db, message)
    if row["role"] != "assistant" or row["state"] == "streaming" or row["tool_calls"] != "[]":
        raise BadRequest(f"message {message}: only an answer of the model that ended, in words, can go on")
    db.execute(
        "UPDATE messages SET state = 'streaming', error = NULL, owner = ? WHERE key = ?", (owner.name, row["key"])
    )
    chats.touch(db, row["chat"], row["key"])
    return read(db, message)


def edit(db: sqlite3.Connection, message: str, content: str) -> Message:
    row = row_of(db, message)
    parent = None if row["parent"] is None else row["parent_id"]
    return add(
        db,
        row["chat_id"],
        parent,
        row["role"],
        content,
        tool_call_id=row["tool_call_id"],
        speaker=row["speaker"],
        model=row["model"],
    )


def select(db: sqlite3.Connection, message: str) -> Conversation:
    row = row_of(db, message)
    found = conversation(db, row["chat_id"])
    if any(each.id == message for each in found.messages):
        return found
    leaf = db.execute(_NEWEST, (row["key"],)).fetchone()[0]
    db.execute("UPDATE chats SET leaf = ? WHERE key = ?", (leaf, row["chat"]))
    return conversation(db, row["chat_id"])


def remove(db: sqlite3.Connection, message: str) -> Conversation:
    row = row_of(db, message)
    leaf = db.execute("SELECT leaf FROM chats WHERE key = ?", (row["chat"],)).fetchone()[0]
    gone = {key for (key,) in db.execute(f"{_BELOW} SELECT key FROM below", (row["key"],))}
    db.execute(f"{_BELOW} DELETE FROM messages WHERE key IN below", (row["key"],))
    if leaf in gone:
        above = row["parent"]
        if above is None:
            query = "SELECT max(key) FROM messages WHERE chat = ? AND parent IS NULL"
            above = db.execute(query, (row["chat"],)).fetchone()[0]
        newest = db.execute(_NEWEST, (above,)).fetchone()[0]
        db.execute("UPDATE chats SET leaf = ? WHERE key = ?", (newest, row["chat"]))
    return conversation(db, row["chat_id"])


def stop_orphans(db: sqlite3.Connection, owner: Owner) -> int:
    """End the answers whose processes have died; how many there were."""
    names = [name for (name,) in db.execute("SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL")]
    return sum(_stop(db, name) for name in names if not owner.lives(name))


def stop_own(db: sqlite3.Connection, owner: Owner) -> int:
    """End the answers that this process has not ended."""
    return _stop(db, owner.name)


def making(db: sqlite3.Connection, owner: Owner, chat: str) -> list[str]:
    """The answers in a chat that this process has not ended."""
    query = "SELECT id FROM messages WHERE owner = ? AND chat = ?"
    return [name for (name,) in db.execute(query, (owner.name, chats.key_of(db, chat)))]


def stop_in(db: sqlite3.Connection, owner: Owner, chat: str) -> int:
    """End those; how many there were."""
    query = "UPDATE messages SET state = 'stopped', owner = NULL WHERE owner = ? AND chat = ?"
    return db.execute(query, (owner.name, chats.key_of(db, chat))).rowcount


def _stop(db: sqlite3.Connection, name: str) -> int:
    return db.execute("UPDATE messages SET state = 'stopped', owner = NULL WHERE owner = ?", (name,)).rowcount


def _parent(db: sqlite3.Connection, chat: int, parent: str | None) -> int | None:
    """The row that a new message follows; it must belong to the chat and have ended."""
    if parent is None:
        return None
    if parent == CURRENT:
        row = db.execute(
            "SELECT key, state FROM messages WHERE key = (SELECT leaf FROM chats WHERE key = ?)", (chat,)
        ).fetchone()
        if row is None:
            return None
    else:
        row = row_of(db, parent)
        if row["chat"] != chat:
            raise BadRequest(f"parent: message {parent} belongs to another chat")
    if row["state"] == "streaming":
        raise BadRequest("an answer is being made", "stop it, or wait for its end, first")
    return int(row["key"])


def _streaming(db: sqlite3.Connection, message: str) -> sqlite3.Row:
    row = row_of(db, message)
    if row["state"] != "streaming":
        raise BadRequest(f"message {message}: the answer has ended: {row['state']}")
    return row


def _message(row: sqlite3.Row) -> Message:
    calls = json.loads(row["tool_calls"]) if row["tool_calls"] != "[]" else []
    return Message(
        id=row["id"],
        chat=row["chat_id"],
        parent=row["parent_id"],
        role=row["role"],
        content=row["content"],
        speaker=row["speaker"],
        model=row["model"],
        tool_calls=tuple(ToolCall(**call) for call in calls),
        tool_call_id=row["tool_call_id"],
        state=row["state"],
        error=row["error"],
        counts=_UNKNOWN if row["counts"] == "{}" else Counts(**json.loads(row["counts"])),
        created=row["created"],
    )
