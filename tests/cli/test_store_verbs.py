"""`furet pull`, `ls` and `rm`: what goes to stdout, what to stderr, what is asked, and the exit codes."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from furet.cli.main import main
from furet.cli.pull import progress_bar


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A model of eight bytes in an otherwise empty Hugging Face cache; the network forbidden."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("FURET_CACHE", str(tmp_path / "furet"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = tmp_path / "hub" / "models--org--tiny" / "snapshots" / ("a" * 40) / "tiny-Q8_0.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"8 bytes.")
    os.utime(path, (1.7e9, 1.7e9))
    return path


def test_pull_prints_the_path_alone(model, capsys):
    assert main(["pull", "org/tiny"]) == 0
    assert capsys.readouterr() == (f"{model}\n", "")
    assert main(["pull", "org/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ref": "org/tiny", "path": str(model), "bytes": 8}


@pytest.mark.parametrize(
    ("ref", "code", "words"),
    [
        ("smollm2", 3, "network is switched off"),
        ("smolm2", 3, "did you mean smollm2?"),
        ("hf:../x", 2, "names no hub repository"),
        (".", 2, "is a directory"),
        ("absent.gguf", 3, "no such file"),
    ],
)
def test_each_failure_has_one_line_and_its_code(model, capsys, ref, code, words):
    assert main(["pull", ref]) == code
    out, err = capsys.readouterr()
    assert out == "" and words in err
    assert len(err.splitlines()) <= 2 and all(
        line.startswith(("furet: ", "hint: ")) for line in err.splitlines()
    )


def test_ls_as_a_table_and_as_json(model, capsys):
    assert main(["ls"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "size", "downloaded", "path"]
    assert row.split() == ["hf:org/tiny:Q8_0", "8", "B", "2023-11-14", str(model)]
    assert main(["ls", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["ref"] == "hf:org/tiny:Q8_0" and entry["alias"] is None and entry["bytes"] == 8
    assert entry["path"] == str(model) and entry["source"] == "hf"


def test_ls_without_models(model, capsys):
    model.unlink()
    assert main(["ls"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "furet pull smollm2" in err
    assert main(["ls", "--json"]) == 0
    assert capsys.readouterr().out.strip() == "[]"


def test_rm_asks_only_where_someone_can_answer(model, capsys, monkeypatch):
    assert main(["rm", "org/tiny"]) == 2
    assert "--yes" in capsys.readouterr().err and model.exists()
    monkeypatch.setattr("furet.cli.rm.is_terminal", lambda *streams: True)
    for answer, left in (("\n", True), ("n\n", True), ("", True), ("Y\n", False)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert main(["rm", "org/tiny"]) == 0
        assert model.exists() is left
    assert "8 B freed" in capsys.readouterr().err


def test_rm_with_yes(model, capsys):
    assert main(["rm", "org/tiny", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": ["hf:org/tiny:Q8_0"], "bytes": 8}
    assert main(["rm", "org/tiny", "-y"]) == 3


def test_progress_without_a_terminal_is_a_line_for_each_file(capsys):
    with progress_bar() as show:
        for done in (0, 5, 10):
            show("a.gguf", done, 10_000_000)
        show("b\x1b[31m", 0, None)
    assert capsys.readouterr() == ("", "a.gguf: 10 MB\nb\\x1b[31m\n")
