"""Several processes and threads at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from furet.chat.store import Store

WRITER = """
import sys
from furet.chat.store import Store

print("ready", flush=True)
sys.stdin.readline()
with Store(sys.argv[1]) as store:
    chat = store.new_chat("m", title=sys.argv[2]).id
    for number in range(30):
        store.say(chat, f"question {sys.argv[2]} {number}")
        answer = store.begin(chat)
        store.append(answer.id, f"answer {number}")
        store.finish(answer.id, " done")
"""


def test_processes_write_at_once_into_a_file_that_none_has_made(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("one", "two", "three")
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with Store(path) as store:
        for chat in store.chats().chats:
            messages = store.open(chat.id).messages
            assert [message.content for message in messages[::2]] == [f"question {chat.title} {n}" for n in range(30)]
            assert {message.content for message in messages[1::2]} == {f"answer {n} done" for n in range(30)}
        assert len(store.chats().chats) == 3


def test_threads_write_and_read_at_once(store: Store) -> None:
    chats = [store.new_chat("m", title=f"chat {number}").id for number in range(6)]

    def work(chat: str) -> None:
        for number in range(15):
            store.say(chat, f"word{number}")
            answer = store.begin(chat)
            store.append(answer.id, "first ")
            assert store.search("word", limit=3)
            assert len(store.open(chat).messages) == 2 * number + 2
            store.finish(answer.id, "last")

    with ThreadPoolExecutor(len(chats)) as pool:
        list(pool.map(work, chats))
    for chat in chats:
        assert [message.content for message in store.open(chat).messages[1::2]] == ["first last"] * 15
