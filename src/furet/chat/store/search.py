"""Full-text search: what the index is given, what it is asked, and what comes first.

The index (FTS5, `unicode61`) cuts texts into words at what is neither a letter nor a digit. Chinese, Japanese, Thai and
their neighbours write words without anything between them, so there every character is given to the index as a
word, and a query of several as a phrase: "東京" is found wherever these two stand side by side. An index of
trigrams would find nothing shorter than three characters, which most Chinese words are, and is several times as large.
"""

from __future__ import annotations

import heapq
import re
import sqlite3
import time
import unicodedata
from collections.abc import Iterator

from furet.chat.store.chats import key_of
from furet.chat.store.records import Hit
from furet.chat.store.snippets import pattern, snippet
from furet.errors import BadRequest

MAX_QUERY = 400  # characters
MAX_PHRASES = 16
MAX_HITS = 100
NEWEST = 1000  # matches that are ranked; of a word that is everywhere, the older ones are not looked at
MONTH = 30 * 86400.0
TITLE_WEIGHT = 2.0

# Scripts without spaces: South-East Asian ones, kana, bopomofo, ideographs. Hangul has spaces.
_ALONE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30ff\u3105-\u312f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003fffd]"
)


def searchable(text: str) -> str:
    """What the index is given of a text. Part of the file's format: a change of it needs a migration."""
    if text.isascii():
        return text
    return _ALONE.sub(r" \g<0> ", text)


def search(db: sqlite3.Connection, text: str, *, chat: str | None, limit: int) -> tuple[Hit, ...]:
    if not isinstance(text, str) or len(text) > MAX_QUERY:
        raise BadRequest(f"query: wanted a text of at most {MAX_QUERY} characters")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_HITS:
        raise BadRequest(f"limit: got {limit!r:.60}, wanted 1 to {MAX_HITS}")
    phrases = phrases_of(text)
    if not phrases:
        return ()
    query = " ".join(map(_quoted, phrases))
    key = None if chat is None else key_of(db, chat)
    rows = [*_messages(db, query, key), *(() if chat else _titles(db, query))]
    now = time.time()
    found = pattern(phrases, _ALONE)
    best = heapq.nlargest(limit, ((_score(row, now), place) for place, row in enumerate(rows)))
    return tuple(_hit(db, rows[place], score, found) for score, place in best)


def phrases_of(text: str) -> list[tuple[str, bool]]:
    """The phrases of a query, each with whether its last word may be the beginning of one."""
    found: list[tuple[str, bool]] = []
    for quoted, word in re.findall(r'"([^"]*)"?|([^\s"]+)', text):
        phrase = "".join(character for character in quoted or word if character.isprintable())
        if any(unicodedata.category(character)[0] in "LN" for character in phrase):
            found.append((phrase, False))
    # The last word is still being typed, unless something follows it; one letter says too little.
    if found and text.endswith(found[-1][0]) and re.search(r"[^\W_]{2}$", _ALONE.sub(" ", found[-1][0])):
        found[-1] = (found[-1][0], True)
    return found[:MAX_PHRASES]


def _quoted(phrase: tuple[str, bool]) -> str:
    """A phrase in FTS5's notation; between quotes nothing in it is a command."""
    text, beginning = phrase
    inside = searchable(text).replace('"', '""')
    return f'"{inside}"*' if beginning else f'"{inside}"'


def _messages(db: sqlite3.Connection, query: str, chat: int | None) -> Iterator[sqlite3.Row]:
    """The newest messages that match, each with its rank."""
    joined, condition, values = "", "", (query,)  # type: str, str, tuple[object, ...]
    if chat is not None:
        joined = "JOIN messages ON messages.key = words.rowid"
        condition = """AND messages.chat = ? AND words.rowid BETWEEN
            (SELECT min(key) FROM messages WHERE chat = ?) AND (SELECT max(key) FROM messages WHERE chat = ?)"""
        values = (query, chat, chat, chat)
    yield from db.execute(
        f"""SELECT matches.rank, messages.key AS message, messages.created, messages.chat
            FROM (SELECT words.rowid AS key, bm25(words) AS rank FROM words {joined}
                  WHERE words MATCH ? {condition} ORDER BY words.rowid DESC LIMIT {NEWEST}) AS matches
            JOIN messages ON messages.key = matches.key""",
        values,
    )


def _titles(db: sqlite3.Connection, query: str) -> Iterator[sqlite3.Row]:
    """The newest chats whose titles match."""
    yield from db.execute(
        f"""SELECT matches.rank * {TITLE_WEIGHT} AS rank, NULL AS message, chats.updated AS created, chats.key AS chat
            FROM (SELECT rowid AS key, bm25(titles) AS rank FROM titles
                  WHERE titles MATCH ? ORDER BY rowid DESC LIMIT {NEWEST}) AS matches
            JOIN chats ON chats.key = matches.key""",
        (query,),
    )


def _score(row: sqlite3.Row, now: float) -> float:
    """How well it matches (BM25, which SQLite gives as a negative number), up to twice as much when it is new."""
    age = max(0.0, now - row["created"])
    return float(-row["rank"] * (1 + MONTH / (MONTH + age)))


def _hit(db: sqlite3.Connection, row: sqlite3.Row, score: float, found: re.Pattern[str] | None) -> Hit:
    chat = db.execute("SELECT id, title, model FROM chats WHERE key = ?", (row["chat"],)).fetchone()
    query = "SELECT id, role, content, model FROM messages WHERE key = ?"
    message = db.execute(query, (row["message"],)).fetchone()
    piece, marks = snippet(chat["title"] if message is None else message["content"], found)
    return Hit(
        chat=chat["id"],
        title=chat["title"],
        model=chat["model"] if message is None else message["model"] or chat["model"],
        message=None if message is None else message["id"],
        role=None if message is None else message["role"],
        created=row["created"],
        snippet=piece,
        marks=marks,
        score=score,
    )
