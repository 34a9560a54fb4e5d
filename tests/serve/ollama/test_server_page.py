"""docs/server.md: every example runs as it stands, against a server at a port of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from parity.checkpoint import save
from serve.ollama.live import furet_serve

PAGE = (Path(__file__).parents[3] / "docs" / "server.md").read_text()
ADDRESS = "http://127.0.0.1:8080"
EXAMPLES = re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the models of the page: smollm2, and a folder that is called encoder."""
    folder = tmp_path_factory.mktemp("models") / "encoder"
    folder.mkdir()
    save("bert", folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    with furet_serve(str(folder), "--threads", "1", "--sequences", "2") as address:
        yield address


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(address: str, number: int) -> None:
    language, source = EXAMPLES[number]
    assert ADDRESS in source
    command = ["bash", "-e", "-c"] if language == "sh" else [sys.executable, "-c"]
    done = subprocess.run([*command, source.replace(ADDRESS, address)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and '"error"' not in done.stdout, done.stdout
    if language == "sh" and "capital of France" in source:
        assert "Paris" in done.stdout


def test_there_are_examples_of_each_api_in_both_languages() -> None:
    assert [language for language, _ in EXAMPLES] == ["sh", "python"] * 3 + ["sh"]
