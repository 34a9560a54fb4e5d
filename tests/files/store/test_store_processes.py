"""What only whole processes can show: killed in the middle, two at once, and no socket when offline."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_hub import MODEL, FakeHub

import furet
from furet.files import store
from furet.files.store.settings import hub_cache

BLOB = f"models--org--tiny/blobs/{hashlib.sha256(MODEL).hexdigest()}"


def start(program: str) -> subprocess.Popen[str]:
    source = str(Path(next(iter(furet.__path__))).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


PULL = "from furet.files import store; print(store.pull('org/tiny'))"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_pull_is_resumed(hub: FakeHub):
    hub.pace = 0.1
    process = start(PULL)
    partial = hub_cache() / f"{BLOB}.incomplete"
    deadline = time.monotonic() + 20
    while not (partial.exists() and partial.stat().st_size > 150_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    held = partial.stat().st_size
    assert 150_000 < held < len(MODEL)
    assert store.find("org/tiny") is None
    hub.pace = 0
    assert store.pull("org/tiny").read_bytes() == MODEL
    assert hub.bodies()[-1].range == f"bytes={held}-"


def test_two_pulls_at_once_fetch_once(hub: FakeHub):
    hub.pace = 0.05
    processes = [start(PULL) for _ in range(2)]
    answers = [process.communicate(timeout=30) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert answers[0][0] == answers[1][0] != ""
    assert Path(answers[0][0].strip()).read_bytes() == MODEL
    assert hub.sent == len(MODEL)


OFFLINE = """
import sys
sockets = []
sys.addaudithook(lambda event, _: sockets.append(event) if event.startswith("socket.") else None)
from furet.errors import NotFound
from furet.files import store
path = store.resolve("org/tiny")
assert store.pull("org/tiny", update=True) == path == store.find("org/tiny") == store.installed()[0].path
for call in (store.pull, store.resolve, store.open_remote):
    for ref in ("org/other", "smollm2", "pypi:name", "org/tiny:Q8_0"):
        try:
            call(ref)
            raise SystemExit(f"{call} {ref} did not fail")
        except (NotFound, store.BadRequest):
            pass
store.remove("org/tiny")
heavy = {"huggingface_hub", "numpy", "rich", "urllib.request", "http.client", "subprocess"}
print(sockets, heavy & set(sys.modules))
"""


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_opens_no_socket(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, variable: str):
    store.pull("org/tiny")
    hub.requests.clear()
    monkeypatch.setenv(variable, "ON")
    out, errors = start(OFFLINE).communicate(timeout=30)
    assert out.strip() == "[] set()", errors
    assert not hub.requests


CACHED = """
import sys
sys.addaudithook(lambda event, _: sys.exit(event) if event.startswith("socket.") else None)
from furet.files import store
assert store.find("org/tiny") == store.resolve("org/tiny") == store.pull("org/tiny")
assert store.find("smollm2") is store.find("pypi:name") is None
print(len(store.installed()))
"""


def test_a_cached_model_is_found_without_a_socket_though_the_network_is_there(hub: FakeHub):
    store.pull("org/tiny")
    out, errors = start(CACHED).communicate(timeout=30)
    assert out.strip() == "1", errors
