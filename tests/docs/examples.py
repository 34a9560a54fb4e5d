"""Fenced blocks of the pages, and where they are."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
MADE = sorted((ROOT / "docs" / "reference").glob("*.md"))  # by docs/make_reference.py
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *MADE]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


class Block(NamedTuple):
    """A fenced block; `line` is that of its first line, counted from 1."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, from top to bottom."""
    return [*_blocks(page)]


def _blocks(page: str) -> Iterator[Block]:
    lines = (ROOT / page).read_text().splitlines()
    begin, language = 0, ""
    for number, line in enumerate(lines, 1):
        fence = re.fullmatch(r"```(\w*)", line)
        if fence and not begin:
            begin, language = number + 1, fence[1]
        elif fence:
            yield Block(page, begin, language, "".join(f"{each}\n" for each in lines[begin - 1 : number - 1]))
            begin = 0
    assert not begin, f"{page}:{begin}: this block does not end"


def printed(block: Block, names: dict[str, Any]) -> str:
    """What a block of Python prints, run among the names of those before it."""
    out = io.StringIO()
    code = "\n" * (block.line - 1) + block.text  # for tracebacks to name the page's own lines
    with redirect_stdout(out):
        exec(compile(code, str(ROOT / block.page), "exec"), names)
    return out.getvalue()


def differs(got: str, wanted: str) -> bool:
    """Whether a text is not what an example shows: `...` stands for anything, several spaces for one."""
    pattern = ".*".join(re.escape(part) for part in _plain(wanted).split("..."))
    return re.fullmatch(pattern, _plain(got), re.DOTALL) is None


def _plain(text: str) -> str:
    return "\n".join(re.sub(" +", " ", line).rstrip() for line in text.strip("\n").splitlines())
