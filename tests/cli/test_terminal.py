"""What the verbs print with."""

from __future__ import annotations

import pytest

from furet.cli.terminal import printable, size, table


def test_control_characters_are_spelled_out() -> None:
    assert printable("a\x1b[2Jb\x07\r\x9bc\x7f") == "a\\x1b[2Jb\\x07\\x0d\\x9bc\\x7f"
    assert printable("tab\t, line\n, né, 日本") == "tab\t, line\n, né, 日本"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (98362432, "98.4 MB"), (1.1e9, "1.1 GB"), (5e12, "5 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_columns_line_up() -> None:
    assert (
        table([("a", 1), ("long", 1000)], ("name", "n"), right="lr") == "name     n\na        1\nlong  1000"
    )
    assert table([]) == ""
    assert "\n" not in table([("two\nlines",)])
