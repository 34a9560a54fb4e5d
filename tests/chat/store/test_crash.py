"""A process that is killed: what it was told was written is there, and its answer is found stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from furet.chat.store import Checkpoints, Store
from furet.chat.store import checkpoints as checkpoints_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")

TEXT = "".join(f"{number} " for number in range(5000))
KILLS = 50


def child(work: Callable[[Callable[..., None]], None]) -> tuple[int, int]:
    """A process that does the work and says what it has done on a pipe; its id and the pipe."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    try:
        work(lambda *done: os.write(writing, json.dumps(done).encode() + b"\n") and None)
    finally:
        os._exit(1)


def killed(process: int, pipe: int, after: int) -> list[list]:
    """All that the process said, once it has been killed after so many things that it had done."""
    with os.fdopen(pipe, "rb") as said:
        done = [json.loads(said.readline()) for _ in range(after)]
        os.kill(process, signal.SIGKILL)
        done += [json.loads(line) for line in said if line.endswith(b"\n")]
    os.waitpid(process, 0)
    return done


def talk(path: Path, seed: int, done: Callable[..., None]) -> None:
    """Questions and answers without end."""
    chance = random.Random(seed)
    store = Store(path)
    chat = store.new_chat("m").id
    for number in range(10_000):
        question = store.say(chat, f"question {seed} {number}")
        done("said", question.id, question.content)
        answer = store.begin(chat)
        done("begun", answer.id, 0)
        length = 0
        for _ in range(chance.randint(1, 6)):
            step = chance.randint(1, 200)
            store.append(answer.id, TEXT[length : length + step])
            length += step
            done("begun", answer.id, length)
        store.finish(answer.id, TEXT[length : length + 10])
        done("ended", answer.id, length + 10)


def test_nothing_acknowledged_is_lost_whenever_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    chance = random.Random(5)
    expected: dict[str, list] = {}
    for seed in range(KILLS):
        process, pipe = child(lambda done, seed=seed: talk(path, seed, done))
        expected |= {id: [act, value] for act, id, value in killed(process, pipe, chance.randint(1, 25))}
        with Store(path) as store:
            for id, (act, value) in expected.items():
                message = store.message(id)
                if act == "said":
                    assert (message.content, message.state) == (value, "complete")
                elif act == "ended":
                    assert (message.content, message.state) == (TEXT[:value], "complete")
                else:
                    assert message.state in ("stopped", "complete") and len(message.content) >= value
                    assert TEXT.startswith(message.content)
            expected = dict(list(expected.items())[-40:])
    with Store(path) as store, store._database.writing() as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO words(words) VALUES ('integrity-check')")
        assert db.execute("SELECT count(*) FROM messages WHERE owner IS NOT NULL").fetchone()[0] == 0
        assert db.execute("SELECT count(*) FROM chats").fetchone()[0] >= KILLS
    left = [each for each in path.with_name("chats.db.owners").iterdir() if not each.name.startswith(".")]
    assert left == []  # one that was killed while it began goes after a minute


def test_an_answer_whose_process_dies_is_stopped_for_those_who_look(tmp_path: Path) -> None:
    with Store(tmp_path / "chats.db") as store:
        chat = store.new_chat("m").id
        store.say(chat, "question")

    def work(done: Callable[..., None]) -> None:
        other = Store(tmp_path / "chats.db")
        answer = other.begin(chat)
        other.append(answer.id, "as far as it came")
        done(answer.id)
        signal.pause()

    process, pipe = child(work)
    with os.fdopen(os.dup(pipe), "rb", buffering=0) as said:
        (answer,) = json.loads(said.readline())
    with Store(tmp_path / "chats.db") as store:
        assert store.open(chat).messages[-1].state == "streaming"  # it lives
        killed(process, pipe, 0)
        message = store.open(chat).messages[-1]
        assert (message.id, message.state, message.content) == (answer, "stopped", "as far as it came")
        assert len(store.search("far as it came")) == 1
        store.say(chat, "go on")


def test_answers_of_the_living_go_on(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "chats.db"), Store(tmp_path / "chats.db")
    chat = one.new_chat("m").id
    one.say(chat, "question")
    answer = one.begin(chat)
    Store(tmp_path / "chats.db").close()
    assert two.open(chat).messages[-1].state == "streaming"
    one.append(answer.id, "text")
    one.close()  # it ends what it began
    assert two.open(chat).messages[-1].state == "stopped"
    assert two.resume(answer.id).state == "streaming"
    assert two.finish(answer.id, ", the rest").content == "text, the rest"
    two.close()


def test_checkpoints_write_twice_a_second_or_every_64_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoints_file.time, "monotonic", lambda: now[0])
    chat = store.new_chat("m").id
    answer = store.begin(chat, parent=None)
    checkpoints = Checkpoints(store, answer.id)
    assert [checkpoints.add("x") for _ in range(130)] == [place in (63, 127) for place in range(130)]
    assert store.message(answer.id).content == "x" * 128
    now[0] += 0.49
    assert not checkpoints.add("y")
    now[0] += 0.01
    assert checkpoints.add("z")
    assert store.message(answer.id).content == "x" * 130 + "yz"
    assert not checkpoints.add("rest")
    assert store.finish(answer.id, checkpoints.rest()).content == "x" * 130 + "yzrest"
