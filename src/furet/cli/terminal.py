"""What every verb prints with: notes to stderr, tables, sizes, and text made safe for a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text with control characters spelled out: files and models must not steer the reader's terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def note(text: str) -> None:
    """One message for the person, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def emit_json(value: object, *, indent: int | None = 2) -> None:
    """The answer as JSON on stdout."""
    print(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def is_terminal(*streams: TextIO) -> bool:
    """Whether all streams are terminals."""
    return all(stream.isatty() for stream in streams)


def size(count: float) -> str:
    """Bytes for people, three digits and decimal units: 98362432 -> '98.4 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = (), *, right: str = "") -> str:
    """Rows in aligned columns. `right` has one letter per column: r aligns it right, anything else left."""
    lines = [header, *rows] if header else rows
    cells = [[printable(str(cell)).replace("\n", " ") for cell in line] for line in lines]
    columns = [list(column) for column in zip(*cells, strict=True)]
    for column, side in zip(columns, right.ljust(len(columns)), strict=True):
        width = max(map(len, column))
        column[:] = [cell.rjust(width) if side == "r" else cell.ljust(width) for cell in column]
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))
