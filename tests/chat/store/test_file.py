"""The file: where it is, who may read it, and what happens when it is not what it should be."""

from __future__ import annotations

import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from furet.chat.store import Store, default_path
from furet.chat.store import database as database_file
from furet.chat.store.schema import APPLICATION, MIGRATIONS
from furet.errors import BadRequest, FuretError


def test_furet_data_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINE", str(tmp_path / "mine"))
    monkeypatch.setenv("FURET_DATA", "$MINE/data")
    assert default_path() == tmp_path / "mine" / "data" / "chats.db"
    monkeypatch.setenv("FURET_DATA", "~/data")
    assert default_path() == tmp_path / "data" / "chats.db"
    with Store() as store:
        assert store.path == default_path() and store.path.exists()
    monkeypatch.delenv("FURET_DATA")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_path().is_relative_to(tmp_path) and "furet" in str(default_path())


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "chats.db"
    with Store(path) as store:
        chat = store.new_chat("m").id
        store.say(chat, "Hello")
        store.begin(chat)
        files = [each for each in path.parent.rglob("*") if each.is_file()]
        assert len(files) >= 4  # with the log, its index, and the lock of who makes answers
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_safe_against_power_cuts_and_keeps_its_references(store: Store) -> None:
    with store._database.reading() as db:
        values = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
        assert values == {"journal_mode": "wal", "synchronous": 2}
        assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with Store(tmp_path / "chats.db") as store:
        chat = store.new_chat("m", title="Kept").id
        store.say(chat, "Hello")
        before = store.open(chat)
    with Store(tmp_path / "chats.db") as store:
        assert store.open(chat) == before


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "chats.db")
    store.close()
    store.close()
    with pytest.raises(BadRequest, match="closed"):
        store.chats()


def sample(path: Path) -> None:
    with Store(path) as store:
        chat = store.new_chat("m").id
        for number in range(200):
            store.say(chat, f"message {number} " + "words " * 50)


@pytest.mark.parametrize("damage", ["header", "not a database", "middle", "cut"])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "chats.db"
    sample(path)
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:16] = b"x" * 16
    elif damage == "not a database":
        data[:] = b"Dear diary, " * 1000
    elif damage == "middle":
        data[4096 : len(data)] = b"\xff" * (len(data) - 4096)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)

    with pytest.raises(FuretError, match="damaged") as caught, Store(path) as store:
        chat = store.chats().chats[0].id
        store.open(chat)
        store.search("words")
        store.say(chat, "more")
    assert str(path) in caught.value.message and "move the file away" in caught.value.hint
    assert path.read_bytes() == data


def test_files_of_others_and_of_the_future_are_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.db"
    with sqlite3.connect(theirs) as db:
        db.execute("CREATE TABLE notes (text)")
    db.close()
    before = theirs.read_bytes()
    with pytest.raises(FuretError, match="another program") as caught:
        Store(theirs)
    assert str(theirs) in caught.value.message and theirs.read_bytes() == before

    newer = tmp_path / "newer.db"
    Store(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(FuretError, match="version 2, wanted at most 1") as caught:
        Store(newer)
    assert "newer furet" in caught.value.hint


def test_a_migration_is_done_once_and_wholly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from furet.chat.store import schema

    path = tmp_path / "chats.db"
    sample(path)
    broken = (*MIGRATIONS, ("ALTER TABLE chats ADD COLUMN extra TEXT", "CREATE TABLE chats (again)"))
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(FuretError, match="already exists"):
        Store(path)
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE chats ADD COLUMN extra TEXT DEFAULT 'x'",)))
    for _ in range(2):
        with Store(path) as store, store._database.reading() as db:
            assert db.execute("SELECT DISTINCT extra FROM chats").fetchall()[0][0] == "x"
            assert db.execute("PRAGMA user_version").fetchone()[0] == 2


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "chats.db", tmp_path):
        with pytest.raises(FuretError) as caught:
            Store(path)
        assert str(path) in caught.value.message and "FURET_DATA" in caught.value.hint


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "chats.db.owners").write_text("in the way")
    with Store(tmp_path / "chats.db") as store:
        chat = store.new_chat("m").id
        with pytest.raises(FuretError, match=r"chats\.db\.owners: "):
            store.begin(chat)
        assert store.open(chat).messages == ()


def test_another_writer_is_waited_for_in_vain_at_most_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_file, "PATIENCE", 0.05)
    path = tmp_path / "chats.db"
    with Store(path) as store:
        chat = store.new_chat("m").id
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FuretError, match="another process has been writing") as caught:
            store.say(chat, "Hello")
        assert str(path) in caught.value.message
        assert store.open(chat).messages == ()  # readers do not wait
        other.execute("ROLLBACK")
        other.close()
        store.say(chat, "Hello")


def test_deleted_words_are_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with Store(path) as store:
        store.new_chat("m")
        chat = store.new_chat("m").id
        store.say(chat, "Xylophonquartett " * 400)
        store.delete(chat)
    assert b"Xylophonquartett" not in path.read_bytes()
