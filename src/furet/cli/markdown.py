"""Markdown that appears while it is being written.

Blocks that no further text can change are printed for good and scroll away like any output. Only the
last, unfinished block is redrawn: from its first changed line on, in one write, at most thirty times a
second and for at most a fifth of the time. A block taller than the screen lets its upper lines go as
soon as they leave the screen.
"""

from __future__ import annotations

import os
import re
import time
from functools import cache
from io import StringIO
from itertools import pairwise
from typing import ClassVar, TextIO

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement

from furet.cli.terminal import printable

_FRAME = 1 / 30
_WIDEST = 100
_PATIENCE = 0.5  # seconds until a prompt that is still being read is worth a word
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_SYNCHRONISED = "\x1b[?2026h", "\x1b[?2026l"


class MarkdownStream:
    """Shows one text on a terminal of the given size; `push` its pieces, then `finish`."""

    def __init__(self, out: TextIO, terminal: os.terminal_size) -> None:
        self._out = out
        self._rows = max(2, terminal.lines - 1)
        self._buffer = StringIO()
        width = min(terminal.columns, _WIDEST)
        self._console = Console(file=self._buffer, force_terminal=True, width=width, legacy_windows=False)
        self._text = ""  # what is not printed for good
        self._shown: list[str] = []  # its lines that are on the screen and can be redrawn
        self._gone = 0  # its lines that have left the screen
        self._began = time.monotonic()
        self._next = 0.0  # when to draw again

    def push(self, piece: str) -> None:
        """Append a piece of the text."""
        self._text += printable(piece)
        start = time.monotonic()
        if start >= self._next:
            self._draw(settled(self._text))
            end = time.monotonic()
            self._next = end + max(_FRAME, 4 * (end - start))

    def reading(self, done: int, total: int) -> None:
        """Say how much of a long prompt has been read; the answer takes the line's place."""
        if done < total and time.monotonic() - self._began > _PATIENCE:
            lines = ["", f"reading {done / total:.0%}"]
            self._paint(lines)
            self._shown = lines

    def finish(self) -> None:
        """Print what is left for good."""
        self._draw(len(self._text))

    def _draw(self, cut: int) -> None:
        """Show the text; what stands before `cut` is printed for good."""
        done, rest = self._lines(self._text[:cut]), self._lines(self._text[cut:])
        lines = (done + rest)[self._gone :]
        self._paint(lines)
        gone = max(0, len(lines) - self._rows, len(done) - self._gone)
        self._shown = lines[gone:]
        self._gone = max(0, self._gone + gone - len(done))
        self._text = self._text[cut:]

    def _paint(self, lines: list[str]) -> None:
        """Replace the lines on the screen, leaving the common beginning alone."""
        same = 0
        while same < min(len(lines), len(self._shown)) and lines[same] == self._shown[same]:
            same += 1
        up = len(self._shown) - same
        if up or lines[same:]:
            begin, end = _SYNCHRONISED
            erase = f"\x1b[{up}A\r\x1b[J" if up else ""
            self._out.write(begin + erase + "".join(line + "\n" for line in lines[same:]) + end)
            self._out.flush()

    def _lines(self, text: str) -> list[str]:
        """The text as styled lines, one blank line before every block."""
        lines: list[str] = []
        for block in _blocks(text):
            self._console.print(_Markdown(block))
            rendered = self._buffer.getvalue().split("\n")
            self._buffer.seek(0)
            self._buffer.truncate()
            visible = [i for i, line in enumerate(rendered) if _STYLE.sub("", line).strip()]
            if visible:
                lines += ["", *rendered[visible[0] : visible[-1] + 1]]
        return lines


def settled(text: str) -> int:
    """Length of the beginning that no further text can change: all but the last block of its whole lines."""
    blocks = _blocks(text[: text.rfind("\n") + 1])
    return sum(map(len, blocks[:-1]))


def _blocks(text: str) -> list[str]:
    """The text cut before each of its top-level blocks."""
    tokens = _parser().parse(text)
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map and token.nesting >= 0]
    lines = text.split("\n")
    lines[:-1] = [line + "\n" for line in lines[:-1]]
    bounds = [0, *starts[1:], len(lines)]
    return ["".join(lines[i:j]) for i, j in pairwise(bounds)]


@cache
def _parser() -> MarkdownIt:
    # Raw HTML is text: the renderer would drop it, and with it a part of the answer.
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class _Heading(Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text  # to the left, as all text


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _Heading}

    def __init__(self, text: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.parsed = _parser().parse(text)
        for token in self.parsed:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"  # models mean their line breaks: verse, addresses
