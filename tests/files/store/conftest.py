"""Every test has caches of its own, no token, no configuration of pip, and a hub inside the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import MODEL, FakeHub, serve

from furet.files.store import download


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_", "PIP_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("FURET_CACHE", str(tmp_path / "furet"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(download, "_PAUSES", (0.0, 0.0))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that holds org/tiny with one model in two encodings, a split one, a sidecar and a README."""
    files = {
        "README.md": b"# tiny",
        "mmproj-tiny-f16.gguf": b"x" * 2000,
        "tiny-Q4_K_M.gguf": MODEL,
        "tiny-Q8_0.gguf": MODEL[::-1],
        "big/tiny-F16-00001-of-00002.gguf": MODEL[:5000],
        "big/tiny-F16-00002-of-00002.gguf": MODEL[5000:9000],
        "small-F32.gguf": b"tiny",
    }
    with serve(FakeHub({"org/tiny": files, "org/empty": {"README.md": b"nothing"}})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running
