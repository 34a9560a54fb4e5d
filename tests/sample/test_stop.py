"""Stop strings, wherever the borders of the pieces fall."""

from __future__ import annotations

import itertools

import pytest

from furet.sample.stop import StopStrings


def cuts(text: str):
    """Every way of cutting a text into pieces."""
    for borders in itertools.product([False, True], repeat=len(text) - 1):
        pieces, start = [], 0
        for place, border in enumerate(borders, 1):
            if border:
                pieces.append(text[start:place])
                start = place
        yield [*pieces, text[start:]]


@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one END two", ["END"], "one "),
        ("aabaabaac", ["aabaac"], "aab"),
        ("ab", ["abc"], "ab"),
        ("xabcX", ["abcX", "c"], "xab"),
        ("stop", ["stop"], ""),
        ("nothing", [], "nothing"),
        ("é\n\nU", ["\n\nUser"], "é\n\nU"),
    ],
)
def test_the_text_shown_does_not_depend_on_the_pieces(text, stops, shown):
    for pieces in cuts(text):
        strings = StopStrings(stops)
        assert "".join(map(strings.push, pieces)) + strings.flush() == shown
        assert strings.found == (shown != text)
        assert strings.stop in ([*stops] if strings.found else [None])


def test_only_what_may_become_a_stop_string_is_held_back():
    strings = StopStrings(["</s>", "User:"])
    assert [strings.push(piece) for piece in ("Hi <", "b> Us", "a U", "se")] == ["Hi ", "<b> ", "Usa ", ""]
    assert strings.flush() == "Use"


def test_nothing_is_shown_after_a_stop_string():
    strings = StopStrings(["."])
    assert [strings.push(piece) for piece in ("a.b", "c")] == ["a", ""]
    assert strings.flush() == ""


def test_the_string_that_was_complete_first_is_named():
    strings = StopStrings(["three", "two", "wo"])
    assert strings.push("one two three") == "one " and strings.stop == "two"
