"""The form of an answer tells the same of a few tokens as it does of all."""

from __future__ import annotations

import numpy as np
import pytest

from furet import _core
from furet.sample.constraint import Guide, Guides

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMS = [
    ("json_schema", PERSON),
    ("json_schema", {"type": "array", "items": PERSON, "minItems": 1}),
    ("json_schema", {"const": {"a": "a long text that leaves no choice", "b": [1, 2, 3]}}),
    ("json_schema", {}),
    ("regex", "[a-e]{3,9}(-[0-9]+)?"),
    ("choices", ["red", "green", "greener"]),
    ("grammar", 'root ::= "a" ("b" | "c")* "d"'),
]


class Letters:
    """Tokens are the bytes, three that are no text, and some of several letters; the longest that fits is taken."""

    bos_id = None
    special_ids = frozenset([256, 257, 258])
    stop_ids = frozenset([256])

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        letters = list('abcdegnr "{}[]:,0123-')
        several = {"".join(rng.choice(letters, size)) for size in (2, 2, 3, 3, 4, 12) for _ in range(300)}
        several |= {'{"', '":', '": "', '",', ', "', "name", "age", "red", "green", "text", "long"}
        self._bytes = [bytes([n]) for n in range(256)] + [b""] * 3 + [text.encode() for text in sorted(several)]
        self._ids = {text: id for id, text in enumerate(self._bytes) if text}
        self.vocab_size = len(self._bytes)

    def token_bytes(self, id: int) -> bytes:
        return self._bytes[id]

    def encode(self, text: str, *, parse_special: bool = True, add_special: bool = True) -> list[int]:
        data, ids = text.encode(), []
        while data:
            size = next(size for size in range(min(12, len(data)), 0, -1) if data[:size] in self._ids)
            ids.append(self._ids[data[:size]])
            data = data[size:]
        return ids


@pytest.fixture(scope="module")
def guides() -> Guides:
    words = Letters()
    return Guides(words, words.vocab_size + 5)  # a row of logits may be wider


@pytest.mark.parametrize(("kind", "form"), FORMS, ids=range(len(FORMS)))
def test_of_few_tokens_and_of_all(guides, kind, form):
    rng = np.random.default_rng(1)
    fallen_back = 0
    for _ in range(8):
        guide, other = guides.guide(kind, form), guides.guide(kind, form)
        for _ in range(30):
            allowed = other.allowed().copy()
            places = np.flatnonzero(np.unpackbits(allowed.view(np.uint8), bitorder="little"))
            row = rng.normal(size=Letters().vocab_size + 5).astype(np.float32)
            for liked in (0, 4):  # whether the model wants what may follow
                row[places] += liked
                for count in (1, 2, 40):
                    found = guide.most_probable(row, count)
                    assert found.tolist() == _core.largest(row, count, allowed).tolist()
                    fallen_back += len(found) < min(count, len(places))
            token = int(rng.choice(places))
            guide.accept(token)
            other.accept(token)
            if guide.finished:
                break
    assert fallen_back == 0


def test_all_tokens_are_asked_about_only_where_few_of_the_probable_may_follow(guides, monkeypatch):
    asked: list[Guide] = []
    allowed = Guide.allowed
    monkeypatch.setattr(Guide, "allowed", lambda self: asked.append(self) or allowed(self))
    guide = guides.guide("regex", "[a-e]{3,9}")
    row = np.zeros(Letters().vocab_size + 5, np.float32)
    row[ord("a") : ord("f")] = 1
    assert guide.most_probable(row, 5).tolist() == list(range(ord("a"), ord("f"))) and not asked
    row[300:600] = 2
    assert len(guide.most_probable(row, 5)) == 5 and asked


def test_what_must_follow(guides):
    guide = guides.guide("json_schema", {"const": "abc name text"})
    must = list(guide.must())
    text = b"".join(map(Letters().token_bytes, must))
    assert len(must) > 2 and b'"abc name text"'.startswith(text)
    for place, token in enumerate(must):
        assert guide.must()[: len(must) - place] == must[place:]
        guide.accept(token)
    guide = guides.guide("regex", "[a-c]x")
    assert guide.must() == []
    guide.accept(ord("b"))
    assert guide.must() == [ord("x")]
    guide.accept(ord("x"))
    assert guide.finished
