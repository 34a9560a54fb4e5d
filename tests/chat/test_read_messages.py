"""Messages are checked before anything else; what is wrong with them is named."""

from __future__ import annotations

import pytest

from furet.chat.messages import Call, arguments_of, read_messages
from furet.errors import BadRequest

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "name": "now", "arguments": "{}"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_a_conversation_with_a_call():
    result = {"role": "tool", "content": "noon", "tool_call_id": "call_1"}
    user, calls, tool = read_messages([USER, CALLS, result])
    assert (user.role, user.content) == ("user", "Hi")
    assert calls.content == "" and calls.calls == (Call("call_1", "now", "{}"),)
    assert (tool.call_id, tool.name) == ("call_1", "now")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "messages: got 0"),
        ("Hi", "messages: got 'Hi'"),
        ({"role": "user"}, "messages: got"),
        ([USER, "Hi"], r"messages\[1\]: got 'Hi'"),
        ([{"content": "Hi"}], r"messages\[0\]\.role: got None"),
        ([{**USER, "role": "developer"}], r"messages\[0\]\.role: got 'developer', wanted one of system, user"),
        ([{**USER, "role": ["user"]}], r"messages\[0\]\.role"),
        ([{**USER, "name": "Ann"}], r"messages\[0\]\.name: no field of a message of the role user"),
        ([{**USER, "tool_calls": [CALL]}], r"messages\[0\]\.tool_calls"),
        ([{"role": "user", "content": ["Hi"]}], r"messages\[0\]\.content"),
        ([{"role": "assistant", "content": None}], r"messages\[0\]\.content"),
        ([{**CALLS, "tool_calls": "now"}], r"messages\[0\]\.tool_calls"),
        ([{**CALLS, "tool_calls": [CALL] * 129}], r"messages\[0\]\.tool_calls"),
        ([{**CALLS, "tool_calls": [{**CALL, "arguments": {}}]}], r"messages\[0\]\.tool_calls\[0\]\.arguments"),
        ([{**CALLS, "tool_calls": [{**CALL, "id": ""}]}], r"messages\[0\]\.tool_calls\[0\]: wanted an id"),
        ([{**CALLS, "tool_calls": [{"name": "now"}]}], r"messages\[0\]\.tool_calls\[0\]"),
        (
            [USER, {"role": "tool", "content": "x", "tool_call_id": "call_1"}],
            r"messages\[1\]\.tool_call_id: got 'call_1'",
        ),
        ([{"role": "tool", "content": "x", "tool_call_id": 1}], r"messages\[0\]\.tool_call_id"),
        ([USER] * 20_001, "messages: got 20001"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_refused(given, says):
    with pytest.raises(BadRequest, match=says):
        read_messages(given)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("[1]", "[1]"),
        ("{", "{"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("[" * 9999, "[" * 9999),
        ('{"a": ' * 25 + "1" + "}" * 25, '{"a": ' * 25 + "1" + "}" * 25),
    ],
    ids=lambda value: str(value)[:20],
)
def test_arguments_are_an_object_or_the_text_that_a_model_wrote(text, value):
    assert arguments_of(Call("1", "now", text)) == value
