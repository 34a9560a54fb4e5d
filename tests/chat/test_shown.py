"""Control tokens of a call are shown by their names, where they are."""

from __future__ import annotations

from furet.chat.tools.shown import Shown
from furet.engine.answer import Piece


def test_a_name_stands_where_its_token_is_also_when_text_was_held_back(model):
    """Held back before it is what might have begun a stop string; it comes with a later piece."""
    shown = Shown({258: "[MARK]"}, model.tokenizer, continuing=False)
    pieces = [("a", 97), ("", 98), ("", 258), ("", 99), ("bcd", 100), ("", 258), ("", 258), ("e", 101), ("", None)]
    texts = [shown.text(Piece(text, token)) for text, token in pieces]
    assert texts == ["a", "", "", "", "b[MARK]cd", "[MARK]", "[MARK]", "e", ""]


def test_without_names_text_is_as_it_is(model):
    shown = Shown({}, model.tokenizer, continuing=False)
    assert [shown.text(Piece(text, 258)) for text in ("a", "", "b")] == ["a", "", "b"]
