"""The Python of the pages: the blocks of a page run in order, as one program, and print what the page says they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docs.examples import blocks, differs, printed

PAGES = ("README.md", "docs/python.md", "docs/tools.md")
SERVERS = 'base_url="http://127.0.0.1:8080'  # in a block that needs a server: test_server_examples.py has those


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page: str, workplace: Path) -> None:
    found = blocks(page)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language == "python" and SERVERS not in block.text:
            shown = printed(block, names)
            if after is not None and after.language == "text":
                assert not differs(shown, after.text), f"{block} prints\n\n{shown}"
    names["model"].close()  # some pages have done it
