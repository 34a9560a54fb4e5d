"""Markdown while it is being written, on an emulated terminal."""

from __future__ import annotations

import os
import random
import re

import pytest

from furet.cli import markdown
from furet.cli.markdown import MarkdownStream, settled

TEXT = """# Title

A paragraph that is long enough to be wrapped on a terminal of forty columns, with **bold** words.
A second line and <b>markup</b> that is text.

1. one

2. two
   - nested

```python
def f(x):
{lines}
```

| a | b |
|---|---|
| 1 | a longer cell |

The end.
""".format(lines="\n".join(f"    y{i} = {i}" for i in range(30)))


STYLE = r"\x1b\[[?\d;]*[mhl]"
WRITTEN = re.compile(rf"\x1b\[(\d+)A|(\r\x1b\[J)|(\n)|((?:{STYLE}|[^\x1b\r\n])+)")


class Terminal:
    """Understands what the stream writes: lines, "up n", "erase below"; what scrolled off is out of reach."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.lines = [""]
        self.row = 0

    def write(self, data: str) -> None:
        for up, erase, end, text in WRITTEN.findall(data):
            if up:
                self.row -= int(up)
                assert self.row >= len(self.lines) - self.rows, "moved above the screen"
            elif erase:
                del self.lines[self.row + 1 :]
                self.lines[self.row] = ""
            elif end:
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            else:
                self.lines[self.row] += re.sub(STYLE, "", text)

    def flush(self) -> None:
        pass

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


def shown(pieces: list[str], rows: int = 10) -> str:
    terminal = Terminal(rows)
    stream = MarkdownStream(terminal, os.terminal_size((40, rows)))  # type: ignore[arg-type]
    for piece in pieces:
        stream._next = 0  # draw at every piece
        stream.push(piece)
    stream.finish()
    return terminal.text()


@pytest.mark.parametrize("seed", range(4))
def test_pieces_end_in_the_same_screen_as_the_whole(seed: int) -> None:
    """Catches lost, doubled or stale lines, in answers taller than the screen too."""
    draw = random.Random(seed)
    pieces, rest = [], TEXT
    while rest:
        cut = draw.randint(1, 9)
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert shown(pieces) == shown([TEXT])


def test_the_text_is_complete() -> None:
    found = shown([TEXT])
    for word in ("Title", "bold", "<b>markup</b>", "nested", "y29 = 29", "longer cell", "The end."):
        assert found.count(word) == 1
    assert "**" not in found and "```" not in found


def test_the_answer_takes_the_place_of_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "_PATIENCE", 0.0)
    terminal = Terminal(10)
    stream = MarkdownStream(terminal, os.terminal_size((40, 10)))  # type: ignore[arg-type]
    stream.reading(10, 40)
    assert "reading 25%" in terminal.text()
    stream.reading(40, 40)
    stream.push("Hello.")
    assert terminal.text() == "\nHello.\n"


def test_line_breaks_of_verse_are_kept() -> None:
    assert "roses\nviolets" in shown(["roses\nviolets"])


def test_a_model_cannot_steer_the_terminal() -> None:
    assert "\\x1b[2J" in shown(["a\x1b[2Jb"])


def test_settled_blocks_cannot_change() -> None:
    assert settled("One.\n\nTw") == 0  # the line is not whole: nothing is known of the second block
    assert settled("One.\n\nTwo\n") == len("One.\n\n")
    assert settled("1. a\n\n2") == 0
    assert settled("```\na\n\nb\n") == 0
