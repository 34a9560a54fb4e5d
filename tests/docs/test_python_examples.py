"""The Python of the pages: the blocks of a page run in order, as one program, and print what the page says they do."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from docs.examples import ROOT, Block, blocks, differs

PAGES = ("README.md", "docs/python.md", "docs/tools.md")
SERVERS = 'base_url="http://127.0.0.1:8080'  # in a block that needs a server: test_server_examples.py has those


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page: str, workplace: Path) -> None:
    found = blocks(page)
    names: dict[str, Any] = {"__name__": "__main__"}
    ran = 0
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language == "python" and SERVERS not in block.text:
            _run(block, after if after is not None and after.language == "text" else None, names)
            ran += 1
    assert ran, f"{page} has no example"
    names["model"].close()  # some pages have done it


def _run(block: Block, shown: Block | None, names: dict[str, Any]) -> None:
    """Run a block among the names of those before it; `shown` is what it must print."""
    printed = io.StringIO()
    code = "\n" * (block.line - 1) + block.text  # for tracebacks to name the page's own lines
    with redirect_stdout(printed):
        exec(compile(code, str(ROOT / block.page), "exec"), names)
    if shown is not None:
        assert not differs(printed.getvalue(), shown.text), f"{block} prints\n\n{printed.getvalue()}"
