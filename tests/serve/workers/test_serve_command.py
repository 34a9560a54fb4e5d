"""`furet serve`: where it listens, who is let near it, how it ends."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from urllib.request import Request, urlopen

import pytest
from asking import Run, lives, until

from furet.cli.main import main
from furet.errors import BadRequest
from furet.serve import running


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server with a tiny model, and its address."""
    command = [sys.executable, "-m", "furet", "serve", "--port", "0", "--no-page", "--threads", "1", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def workers(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def answering(address: str) -> Iterator[str]:
    """The lines of an answer that takes many seconds."""
    asked = {"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 1500, "stream": True, "temperature": 0}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{address}/v1/completions", json.dumps(asked).encode(), headers), timeout=30) as reply:
        yield from (line.decode() for line in reply)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_serves_until_it_is_told_to_end(run: Run, smollm2: str, number: signal.Signals, code: int) -> None:
    with served("smollm2", "--context", "2048", "--sequences", "1") as (process, address):
        assert address.startswith("http://127.0.0.1:")
        with urlopen(f"{address}/health", timeout=30) as reply:
            assert reply.status == 200
        (worker,) = workers(process.pid)
        lines = answering(address)
        assert next(lines).startswith("data: ")
        began = monotonic()
        process.send_signal(number)
        left = list(lines)
        assert process.wait(20) == code
        assert monotonic() - began < 8  # alone on its machine, 0.3 s
        assert any('"error"' in line for line in left) and not any("[DONE]" in line for line in left)
        assert process.stderr is not None and "Traceback" not in process.stderr.read()
    run(until(lambda: not lives(worker)))


def test_a_second_interrupt_ends_it_at_once(tinies: list[Path]) -> None:
    with served(str(tinies[0])) as (process, _):
        (worker,) = workers(process.pid)
        os.kill(worker, signal.SIGSTOP)
        try:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 128 + signal.SIGTERM
        finally:
            os.kill(worker, signal.SIGKILL)


def test_an_interrupt_while_the_models_are_loaded(run: Run, smollm2: str) -> None:
    command = [sys.executable, "-m", "furet", "serve", "--port", "0", "--no-page", smollm2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        run(until(lambda: len(workers(process.pid)) > 0))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "" and process.returncode == 130


def test_a_port_that_is_taken(tinies: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--no-page", "--port", str(port), str(tinies[0])]) == 2
    said = capsys.readouterr().err
    assert f"port {port}" in said and "--port 0" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_others_are_served_with_a_token_only(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FURET_TOKEN", raising=False)
    assert main(["serve", "--host", host]) == 2
    assert "FURET_TOKEN" in capsys.readouterr().err
    running.require_guarded(host, "a long token", insecure=False)
    running.require_guarded(host, None, insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_this_machine_needs_no_token(host: str) -> None:
    running.require_guarded(host, None, insecure=False)


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("no.such.host.invalid", 0), ("127.0.0.1", 70_000)])
def test_addresses_that_cannot_be(host: str, port: int) -> None:
    with pytest.raises(BadRequest, match=str(port)):
        running.listen(host, port).close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["./none.gguf"], 3, "none.gguf"),
        (["--sequences", "0"], 2, "sequences"),
        (["--memory", "much"], 2, "memory"),
        (["--token", "short"], 2, "token"),
        (["--allow-origin", "nonsense"], 2, "allowed_origins"),
        (["--keep-alive", "soon"], 2, "--keep-alive"),
        (["--offline", "qwen2.5-coder-1.5b"], 3, "qwen2.5-coder-1.5b"),
    ],
)
def test_what_cannot_be_served(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["serve", "--port", "0", "--no-page", *arguments]) == code
    assert says in capsys.readouterr().err


def test_a_model_that_does_not_fit(tinies: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--no-page", "--memory", "1M", str(tinies[0])]) == 5
    said = capsys.readouterr().err
    assert "tiny0 needs" in said and "the budget asked for less 318.1 MB for the server" in said


def test_without_the_libraries_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    assert main(["serve"]) == 1
    said = capsys.readouterr().err
    assert "the server needs uvicorn" in said and "pip install 'furet[serve]'" in said
