"""Group chats: who speaks next, and what each member sees."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from furet.chat.store import Chat, Conversation, Member, Message, Store, ToolCall, next_speaker, settings_for, view_for

ANNA = Member("Anna", "m1", system="You are Anna.", settings={"top_k": 1})
BOB = Member("Bob", "m2")
BOBBY = Member("Bobby Q", "m3")
ALL = (ANNA, BOB, BOBBY)


def said(*lines: str) -> list[Message]:
    """Messages from lines such as "you: hello" and "Anna: hi"."""
    found = []
    for number, line in enumerate(lines):
        who, _, text = line.partition(": ")
        role = "user" if who == "you" else "assistant"
        found.append(Message(str(number), "c", None, role, text, None if who == "you" else who))
    return found


def order(turns: str, *lines: str) -> list[str]:
    """Who answers after these lines, until people speak again."""
    messages, found = said(*lines), []
    while speaker := next_speaker(ALL, messages, turns):  # type: ignore[arg-type]
        found.append(speaker.name)
        messages += said(f"{speaker.name}: @Anna @Bob, indeed")  # members call nobody
        assert len(found) < 10
    return found


@pytest.mark.parametrize(
    ("turns", "lines", "expected"),
    [
        ("in_turn", ["you: hello"], ["Anna", "Bob", "Bobby Q"]),
        ("in_turn", ["you: hello", "Anna: hi"], ["Bob", "Bobby Q"]),
        ("in_turn", ["you: hello", "Anna: hi", "you: and?"], ["Anna", "Bob", "Bobby Q"]),
        ("in_turn", ["you: @bob, and then @anna"], ["Bob", "Anna"]),
        ("in_turn", ["you: @bobby q only, @bobby q"], ["Bobby Q"]),
        ("in_turn", ["you: write to anna@bob.example, @Bobbys"], ["Anna", "Bob", "Bobby Q"]),
        ("in_turn", [], []),
        ("mention", ["you: hello"], []),
        ("mention", ["you: hello @ANNA!"], ["Anna"]),
    ],
)
def test_who_speaks_next(turns: str, lines: list[str], expected: list[str]) -> None:
    assert order(turns, *lines) == expected


def test_who_called_a_tool_goes_on() -> None:
    asked = Message("1", "c", "0", "assistant", "", "Anna", tool_calls=(ToolCall("x", "clock", "{}"),))
    told = Message("2", "c", "1", "tool", "12:00", "Anna", tool_call_id="x")
    assert next_speaker(ALL, [*said("you: time?"), asked, told]) == ANNA


def conversation(messages: list[Message], system: str | None = None) -> Conversation:
    model = None if any(message.speaker for message in messages) else "m"
    members = ALL if model is None else ()
    chat = Chat(
        "c",
        "",
        model,
        system,
        None,
        {"top_p": 0.5, "top_k": 9},
        "",
        "",
        False,
        False,
        "in_turn",
        members,
        None,
        "",
        0,
        0,
    )
    return Conversation(chat, tuple(messages))


def test_each_sees_the_others_as_people() -> None:
    talk = conversation(said("you: hello", "Anna: hi", "Bob: hey", "you: more", "Anna: no"), "Be kind.")
    assert view_for(talk, ANNA) == [
        {"role": "system", "content": "You are Anna."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "Bob: hey\n\nmore"},
        {"role": "assistant", "content": "no"},
    ]
    assert view_for(talk, BOB) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hello\n\nAnna: hi"},
        {"role": "assistant", "content": "hey"},
        {"role": "user", "content": "more\n\nAnna: no"},
    ]
    assert settings_for(talk.chat, ANNA) == {"top_p": 0.5, "top_k": 1}
    assert settings_for(talk.chat) == {"top_p": 0.5, "top_k": 9}


def test_tools_are_seen_by_who_called_them() -> None:
    asked = Message("1", "c", "0", "assistant", "", "Anna", tool_calls=(ToolCall("x", "clock", "{}"),))
    told = Message("2", "c", "1", "tool", "12:00", "Anna", tool_call_id="x")
    talk = conversation([*said("you: time?"), asked, told, *said("Anna: noon")])
    assert view_for(talk, ANNA)[2:] == [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "x", "name": "clock", "arguments": "{}"}]},
        {"role": "tool", "content": "12:00", "tool_call_id": "x"},
        {"role": "assistant", "content": "noon"},
    ]
    assert view_for(talk, BOB) == [{"role": "user", "content": "time?\n\nAnna: noon"}]


def test_answers_that_gave_nothing_are_left_out() -> None:
    nothing = Message("1", "c", "0", "assistant", "", None, "m", state="failed", error="died")
    half = Message("2", "c", "0", "assistant", "hal", None, "m", state="stopped")
    question = Message("0", "c", None, "user", "hello")
    assert view_for(conversation([question, nothing, question, half])) == [
        {"role": "user", "content": "hello\n\nhello"},
        {"role": "assistant", "content": "hal"},
    ]


@given(st.lists(st.tuples(st.sampled_from(["you", "Anna", "Bob"]), st.text(min_size=1, max_size=5)), max_size=12))
def test_what_a_member_sees_alternates_and_loses_nothing(lines: list[tuple[str, str]]) -> None:
    messages = [
        Message(str(number), "c", None, "user" if who == "you" else "assistant", text, None if who == "you" else who)
        for number, (who, text) in enumerate(lines)
    ]
    talk = conversation(messages)
    for member in (ANNA, BOB):
        view = [each for each in view_for(talk, member) if each["role"] != "system"]
        assert all(one["role"] != two["role"] for one, two in itertools.pairwise(view))
        everything = "\n\n".join(each["content"] for each in view)
        for who, text in lines:
            assert (text if who in ("you", member.name) else f"{who}: {text}") in everything


def test_a_round_in_the_store(store: Store) -> None:
    chat = store.new_chat(None, members=[ANNA, BOB])
    store.say(chat.id, "Hello")
    spoken = []
    while speaker := next_speaker(chat.members, store.open(chat.id).messages, chat.turns):
        answer = store.begin(chat.id, speaker=speaker.name)
        spoken.append((speaker.name, answer.model))
        store.finish(answer.id, "Hi")
    assert spoken == [("Anna", "m1"), ("Bob", "m2")]
