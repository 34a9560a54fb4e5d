"""Typing messages, driven through a pipe as if on a keyboard."""

from __future__ import annotations

import io

import pytest

from furet.cli.editor import lines, typed, unquoted
from furet.errors import BadRequest

ENTER, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x03", "\x04"


def messages(keys: str, monkeypatch: pytest.MonkeyPatch, home: object) -> list[str]:
    prompt_toolkit = pytest.importorskip("prompt_toolkit.input")
    from prompt_toolkit.output import DummyOutput

    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    with prompt_toolkit.create_pipe_input() as source:
        source.send_text(keys)
        return list(typed(input=source, output=DummyOutput()))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (f"hello{ENTER}{CTRL_D}", ["hello"]),
        (f"one{ALT_ENTER}two{ENTER}{CTRL_D}", ["one\ntwo"]),
        (f"one\\{ENTER}two{ENTER}{CTRL_D}", ["one\ntwo"]),
        (f'"""one{ENTER}two"""{ENTER}{CTRL_D}', ["one\ntwo"]),
        (f"{ENTER}   {ENTER}x{ENTER}{CTRL_D}", ["x"]),
        (f"wrong{CTRL_C}right{ENTER}{CTRL_D}", ["right"]),
        (f"{CTRL_C}a{ENTER}{CTRL_C}{CTRL_C}b{ENTER}", ["a"]),
    ],
)
def test_keys(keys: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    assert messages(keys, monkeypatch, tmp_path) == expected


def test_history_is_kept_for_the_owner_only(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    messages(f"hello{ENTER}{CTRL_D}", monkeypatch, tmp_path)
    (history,) = tmp_path.rglob("history")
    assert "hello" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_quotes_are_taken_off_only_in_pairs() -> None:
    assert unquoted('"""\na\n"""') == "a"
    assert unquoted('"""') == '"""'
    assert unquoted("  a  ") == "a"


def test_lines_of_a_pipe() -> None:
    assert list(lines(io.BytesIO("a\n\n  né \n".encode()))) == ["a", "né"]
    with pytest.raises(BadRequest, match="line 2 is not UTF-8"):
        list(lines(io.BytesIO(b"a\n\xff\n")))
