"""Calls are read out of answers, wherever the pieces are cut; what is no call is text, and nothing is lost."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tool_cases import ANSWERS, PARIS

from furet.chat.events import CallArguments, CallBegan, Text
from furet.chat.tools.family import families
from furet.chat.tools.reading import Reader, Reading

FAMILIES = families()
FRAGMENTS = [
    *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>", "```", "json", "\n", " "),
    *("{", "}", "[", "]", ",", ":", ";", '"', "\\", '{"name": "', '{"tool": "now"', '"arguments": ', '"parameters":{'),
    *("get_weather", "now", "nobody", PARIS, '{"a": [1, {"b": "}"}]}', "NaN", "Sure.", "é", "\ud800", "<tool", "[TOO"),
    *(f'{{"name": "get_weather", "arguments": {PARIS}}}', "now[ARGS]{}", '{"name": "now"}'),
]
answers = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=12).map("".join)


def read(family: str, pieces: list[str], *, certain: bool = False) -> tuple[list[tuple[str, ...]], Reading]:
    """What is found: texts, and calls with their arguments, in their order."""
    ids = iter(range(10**6))
    reading = Reading({"get_weather", "now"}, lambda: f"id{next(ids)}", certain=certain)
    reader = Reader(FAMILIES[family].read, reading)
    found: list[tuple[str, ...]] = []
    for events in [*map(reader.push, pieces), reader.finish()]:
        for event in events:
            match event:
                case Text(text) if found and found[-1][0] == "text":
                    found[-1] = ("text", found[-1][1] + text)
                case Text(text):
                    found.append(("text", text))
                case CallBegan(index, _, name):
                    assert index == sum(each[0] == "call" for each in found)
                    found.append(("call", name, ""))
                case CallArguments(index, text):
                    assert found[-1][0] == "call"
                    found[-1] = (*found[-1][:2], found[-1][2] + text)
    return found, reading


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("family", ANSWERS)
def test_text_and_two_calls(family, certain):
    for pieces in ([ANSWERS[family]], list(ANSWERS[family])):
        found, reading = read(family, pieces, certain=certain)
        assert found == [("text", "Sure."), ("call", "get_weather", PARIS), ("call", "now", "{}")]
        assert reading.complete == 2 and not reading.cut


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=300, deadline=None)
@given(text=answers, cuts=st.lists(st.integers(0, 200), max_size=6), certain=st.booleans())
@example(text="```" + PARIS, cuts=[3], certain=False)
@example(text=ANSWERS["plain"], cuts=[8, 9], certain=False)
def test_no_cut_matters_and_nothing_is_lost(family, text, cuts, certain):
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(borders)]
    found, reading = read(family, pieces, certain=certain)
    assert found == read(family, list(text), certain=certain)[0]
    calls = [each for each in found if each[0] == "call"]
    assert reading.complete == len(calls) - reading.cut
    if not calls:
        assert "".join(each[1] for each in found) == text
    rest = text
    for each in found:  # all of it is in the answer, in this order
        shown = each[1].strip(" \t\r\n") if each[0] == "text" else each[1]
        assert shown in rest
        rest = rest[rest.index(shown) + len(shown) :]
    for _, name, arguments in calls if not certain else ():
        assert name in ("get_weather", "now") and isinstance(json.loads(arguments), dict)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200))
def test_text_without_marks_comes_as_it_is(text):
    for family in FAMILIES:
        if not re.search(r"[{\[`<]", text):
            assert read(family, list(text))[0] == ([("text", text)] if text else [])


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("hermes", '<tool_call>\n{"name": "nobody", "arguments": {}}\n</tool_call>'),
        ("hermes", '<tool_call>\n{"name": "now", "arguments": {"a": }}\n</tool_call>'),
        ("hermes", '<tool_call>\n{"name": "now", "arguments": [1]}\n</tool_call>'),
        ("hermes", '<tool_call>\n{"name": "now", "arguments": {"a": NaN}}'),
        ("hermes", '<tool_call>\n{"name": "now", "argu'),
        ("hermes", "<tool_call>now</tool_call>"),
        ("hermes", '<tool_call>{"name": "now", "arguments": ' + '{"a":' * 5000 + "1" + "}" * 5001),
        ("mistral", "[TOOL_CALLS] []"),
        ("mistral-named", "[TOOL_CALLS]nobody[ARGS]{}"),
        ("mistral-named", "[TOOL_CALLS]now{}"),
        ("llama3", '<|python_tag|>brave_search.call(query="x")'),
        ("llama3", 'It is {"name": "now", "parameters": {}} here'),  # in the middle of a line
        ("plain", '{"city": "Paris"}\n[1, 2]\n```python\nx = {1: 2}\n```'),
        ("plain", '{"tool": "now", "tool": "now"}'),
    ],
)
def test_what_is_no_call_is_text(family, text):
    assert read(family, list(text))[0] == [("text", text)]


def test_a_call_behind_one_that_is_none():
    text = '<tool_call>{"name": <tool_call>{"name": "now"}</tool_call>!'
    assert read("hermes", [text])[0] == [("text", '<tool_call>{"name":'), ("call", "now", "{}"), ("text", "!")]


def test_line_ends_in_arguments_are_made_good():
    (call,), _ = read("plain", ['{"tool": "now", "arguments": {"code": "a\n\tb"}}'])
    assert json.loads(call[2]) == {"code": "a\n\tb"}


def test_certain_arguments_come_as_they_are_written_and_others_when_they_are_complete():
    pieces = ['<tool_call>{"name": "now", "arguments": ', '{"a"', ": 1", "}", "}</tool_call>"]
    for certain, wanted in ((True, [1, 2, 1, 1, 0]), (False, [0, 0, 0, 0, 2])):
        reader = Reader(FAMILIES["hermes"].read, Reading({"now"}, str, certain=certain))
        assert [len(reader.push(piece)) for piece in pieces] == [wanted[0] - certain, *wanted[1:]]


def test_a_certain_call_that_is_cut_off_says_so():
    found, reading = read("hermes", ['<tool_call>{"name": "now", "arguments": {"a": "b'], certain=True)
    assert found == [("call", "now", '{"a": "b')] and reading.cut and reading.complete == 0


def test_only_what_may_begin_a_call_is_held_back():
    reader = Reader(FAMILIES["hermes"].read, Reading({"now"}, str))
    shown = ["".join(event.text for event in reader.push(piece)) for piece in ("Hi", " <b> <to", "ol> ", "x")]
    assert shown == ["Hi", " <b>", " <tool>", " x"]


def test_ids_are_as_the_family_has_them():
    assert re.fullmatch("call_[0-9a-f]{24}", FAMILIES["hermes"].new_id())
    short = FAMILIES["mistral"]
    assert re.fullmatch("[A-Za-z0-9]{9}", short.new_id())
    assert short.known_id("abcDEF123") == "abcDEF123"
    assert re.fullmatch("[A-Za-z0-9]{9}", short.known_id("call_1")) and short.known_id("call_1") != short.known_id("2")
    assert len({family.new_id() for family in FAMILIES.values() for _ in range(100)}) == 100 * len(FAMILIES)
