"""The command itself: help, verbs, errors and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from commandline import Furet

from furet.cli import main as command
from furet.errors import BadRequest, DoesNotFit, ModelFileError, NotFound


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(furet: Furet, arguments: list[str]) -> None:
    result = furet(*arguments)
    assert result.code == 0 and not result.err
    for verb, summary in command.VERBS.items():
        assert f"  {verb} " in result.out and summary in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_help_imports_no_verb_and_no_library() -> None:
    code = (
        "import sys; from furet.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert "furet.cli.main" in loaded
    assert not {"numpy", "rich", "argparse", "prompt_toolkit", "jinja2", "furet.cli.run"} & set(loaded)


@pytest.mark.parametrize("verb", command.VERBS)
def test_every_verb_explains_itself_with_an_example(
    furet: Furet, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        furet(verb, "--help")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: furet {verb}" in shown
    assert f"examples:\n  furet {verb}" in shown or f"| furet {verb}" in shown


def test_version(furet: Furet) -> None:
    assert furet("--version").out.startswith("furet ")


@pytest.mark.parametrize(
    ("wrong", "hint"), [("chta", "did you mean `furet chat`"), ("zzz", "--help"), ("--jso", "--help")]
)
def test_unknown_verb(furet: Furet, wrong: str, hint: str) -> None:
    result = furet(wrong)
    assert result.code == 2 and not result.out
    assert wrong in result.err and hint in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "required: MODEL"),
        (["run", "m", "p", "--nonsense"], "--nonsense"),
        (["run", "m", "p", "-n", "few"], "few"),
    ],
)
def test_wrong_usage(furet: Furet, arguments: list[str], said: str) -> None:
    result = furet(*arguments)
    assert result.code == 2 and not result.out
    assert said in result.err and "hint: `furet run --help`" in result.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadRequest("top_p: got 2", "try 0.9"), 2, "furet: top_p: got 2\nhint: try 0.9\n"),
        (NotFound("no such file"), 3, "furet: no such file\n"),
        (ModelFileError("cut short", path="a.gguf", offset=7), 4, "furet: a.gguf: at byte 7: cut short\n"),
        (DoesNotFit("9 GB, 8 GB left"), 5, "furet: 9 GB, 8 GB left\n"),
        (MemoryError(), 5, "furet: out of memory\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (PermissionError(13, "Permission denied", "x.gguf"), 1, "furet: x.gguf: Permission denied\n"),
        (ModelFileError("a key named \x1b[31mred\x1b[0m"), 4, "furet: a key named \\x1b[31mred\\x1b[0m\n"),
    ],
)
def test_errors_become_one_line_and_a_code(
    furet: Furet, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def doctor() -> None:
        """Fail."""
        raise error

    monkeypatch.setitem(sys.modules, "furet.cli.doctor", SimpleNamespace(doctor=doctor))
    result = furet("doctor")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(said) and "Traceback" not in result.err


def test_a_closed_pipe_is_quiet(model: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command_line = [sys.executable, "-m", "furet", "inspect", str(model)]
    done = subprocess.run(command_line, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (command.PIPE_CLOSED, b"")


def test_verbs_are_functions_of_their_files() -> None:
    for verb in command.VERBS:
        assert callable(getattr(import_module(f"furet.cli.{verb}"), verb))
