"""`furet chat`: through a pipe, on a terminal, and interrupted."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Furet

from furet import load
from furet.cli import chat as chat_file
from furet.cli.commands import COMMANDS


def test_lines_in_answers_out(furet: Furet, model: Path) -> None:
    result = furet("chat", model, "-n", 6, "--temperature", 0, stdin=b"the\n\nthen\n")
    with load(model) as loaded:
        chat = loaded.chat(max_tokens=6, temperature=0)
        expected = ["".join(piece.text for piece in chat.say(text)) for text in ("the", "then")]
    assert (result.code, result.out) == (0, "".join(f"{text}\n" for text in expected))
    assert not result.err


def test_commands(furet: Furet, model: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    said = [
        "/system be brief",
        "/system",
        "the",
        f"/save {saved}",
        "/regenerate",
        "/clear",
        f"/load {saved}",
        "/stats",
        "/help",
        "/quit",
        "never said",
    ]
    result = furet("chat", model, "-n", 3, "--seed", 1, stdin="\n".join(said).encode())
    assert result.code == 0 and result.out.count("\n") >= 2
    for expected in (
        "be brief\n",
        "3 messages saved",
        "3 messages loaded",
        "tokens/s",
        "context: ",
        "memory: ",
    ):
        assert expected in result.err
    for name in COMMANDS:
        assert f"/{name} " in result.err
    messages = json.loads(saved.read_text())["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert "never said" not in result.err


def test_regenerate_gives_another_answer(furet: Furet, model: Path) -> None:
    result = furet("chat", model, "-n", 8, "--seed", 1, stdin=b"the\n/regenerate\n")
    with load(model) as loaded:
        chat = loaded.chat(max_tokens=8, seed=1)
        first = "".join(piece.text for piece in chat.say("the"))
        second = "".join(piece.text for piece in chat.regenerate())
    assert first != second and result.out == f"{first}\n{second}\n"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (b"/nonsense", 2, "there is no command /nonsense"),
        (b"/save", 2, "needs the name of a file"),
        (b"/load /nowhere/talk.json", 3, "/nowhere/talk.json"),
        (b"/regenerate", 2, "nothing has been said"),
        (b"\xff", 2, "stdin: line 1 is not UTF-8"),
        (b"x" * 300, 2, "the context holds 256"),
    ],
)
def test_errors_end_a_pipe(furet: Furet, model: Path, line: bytes, code: int, said: str) -> None:
    result = furet("chat", model, stdin=line + b"\nthe\n")
    assert (result.code, result.out) == (code, "") and said in result.err


class Stream:
    """An answer without end until it is cancelled; sends itself Ctrl-C after two pieces."""

    class completion:
        finish_reason = "cancelled"

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1

    def __iter__(self) -> Iterator[object]:
        for count in range(100):
            if self.cancelled:
                return
            if count == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield type("Piece", (), {"text": f"word{count} "})


def test_ctrl_c_stops_the_answer_and_not_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Stream()
    before = signal.getsignal(signal.SIGINT)
    chat_file._show(lambda progress: stream)  # type: ignore[arg-type, return-value]
    shown = capsys.readouterr()
    assert stream.cancelled == 1 and "word1" in shown.out and "(stopped)" in shown.err
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Python's own handler: in the background of a shell, where tests may run, Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_interrupts(usual_ctrl_c: None) -> None:
    with pytest.raises(KeyboardInterrupt), chat_file.ctrl_c(lambda: None):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


PROMPT = "\x1b[?2004h"  # what the editor sends when it begins to read
ANSWER = "\x1b[?2026l"  # what the view sends after each drawing


class Terminal:
    """`furet chat` on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "furet", "chat", *arguments]
        environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.shown = ""

    def wait_for(self, text: str) -> str:
        """What was shown since the last call, up to and with the text."""
        deadline = time.monotonic() + 30
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not appear; there is {self.shown!r}"
            self.shown += os.read(self.master, 65536).decode()
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())


def test_on_a_terminal(model: Path) -> None:
    terminal = Terminal(str(model), "-n", "4", "--seed", "1")
    assert "context 256 tokens" in terminal.wait_for("/help lists")
    terminal.wait_for(PROMPT)
    terminal.type("the\r")
    terminal.wait_for(ANSWER)
    terminal.wait_for(PROMPT)
    terminal.type("/nonsense\r")
    terminal.wait_for("there is no command /nonsense")
    terminal.type("/stats\r")
    terminal.wait_for("answer 4 tokens")
    terminal.wait_for(PROMPT)
    terminal.type("\x03")
    terminal.wait_for("Ctrl-C again")
    terminal.type("/quit\r")
    assert terminal.process.wait(30) == 0
