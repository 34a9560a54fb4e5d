"""The examples of docs/server.md and docs/tools.md that need a server: each runs as it stands, but for its port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.examples import Block, blocks, printed
from serve.ollama.live import furet_serve

ADDRESS = "http://127.0.0.1:8080"
EXAMPLES = [block for page in ("docs/server.md", "docs/tools.md") for block in blocks(page) if ADDRESS in block.text]


@pytest.fixture(scope="module")
def address(encoder: Path) -> Iterator[str]:
    """A server with the models of the pages: smollm2, and a folder that is called encoder."""
    with furet_serve(str(encoder), "--threads", "1", "--sequences", "2") as address:
        yield address


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_runs(address: str, block: Block) -> None:
    block = block._replace(text=block.text.replace(ADDRESS, address))
    shown = _ran(block.text) if block.language == "sh" else printed(block, {"__name__": "__main__"})
    assert shown.strip() and '"error"' not in shown, shown
    if block.language == "sh" and "capital of France" in block.text:
        assert "Paris" in shown


def _ran(script: str) -> str:
    """What a shell prints."""
    done = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples_of_each_api_in_both_languages() -> None:
    assert [block.language for block in EXAMPLES] == [*["sh", "python"] * 3, "sh", "python"]
