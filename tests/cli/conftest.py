"""The command, called in this process, and a tiny model for it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import tiny
from commandline import Furet, Result

from furet.cli.main import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches and state of this test alone, and no network."""
    for name in ("HOME", "FURET_CACHE", "HF_HOME", "FURET_DATA", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "home"


@pytest.fixture
def furet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Furet:
    """`furet("run", model, "Hello", stdin=b"...")`"""

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file with random weights, a tokenizer and a chat template; its context is 256 tokens."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    return tiny.write(path, tiny.model("llama", tokenizer=True))
