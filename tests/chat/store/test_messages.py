"""Messages: the tree that they form, and answers from their beginning to their end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from furet.chat.store import Counts, Member, Store, ToolCall
from furet.errors import BadRequest

COUNTS = Counts(12, 4, 3, 0.25, 0.5, 2**64 - 1, "stop")


def shown(store: Store, chat: str) -> list[str]:
    return [message.content for message in store.open(chat).messages]


def test_a_conversation_and_its_branches(store: Store) -> None:
    chat = store.new_chat("smollm2").id
    question = store.say(chat, "Who are you?")
    first = store.begin(chat)
    assert (first.role, first.state, first.model, first.parent) == ("assistant", "streaming", "smollm2", question.id)
    store.append(first.id, "I am ")
    store.finish(first.id, "a fox.", counts=COUNTS)
    second = store.begin(chat, parent=question.id, model="qwen")
    store.finish(second.id, "I am a dog.")
    other = store.edit(question.id, "What are you?")
    assert shown(store, chat) == ["What are you?"]

    back = store.select(first.id)
    assert [message.content for message in back.messages] == ["Who are you?", "I am a fox."]
    assert back.messages[1].counts == COUNTS and back.messages[1].counts.rate == 6
    assert back.siblings == {question.id: (question.id, other.id), first.id: (first.id, second.id)}
    assert back.chat.leaf == first.id and back.chat.preview == "I am a fox."
    assert store.select(question.id) == back  # nothing changes where the chat is on its branch
    store.select(other.id)
    assert store.select(question.id).messages[-1].id == second.id  # the newest of its branches
    assert [message.content for message in store.tree(chat)] == [
        "Who are you?",
        "I am a fox.",
        "I am a dog.",
        "What are you?",
    ]


def test_editing_an_answer_keeps_who_gave_it(store: Store) -> None:
    chat = store.new_chat(None, members=[Member("Anna", "qwen")]).id
    store.say(chat, "Hello")
    answer = store.finish(store.begin(chat, speaker="Anna").id, "Hi")
    edited = store.edit(answer.id, "Hi there")
    assert (edited.role, edited.speaker, edited.model, edited.parent) == ("assistant", "Anna", "qwen", answer.parent)
    with pytest.raises(BadRequest, match="no member 'Eve'"):
        store.begin(chat, speaker="Eve")


def test_tools_answer_for_the_member_that_called(store: Store) -> None:
    chat = store.new_chat(None, members=[Member("Anna", "qwen")]).id
    store.say(chat, "What time is it?")
    calls = (ToolCall("call_1", "clock", '{"zone": "UTC"}'),)
    asked = store.finish(store.begin(chat, speaker="Anna").id, tool_calls=calls)
    told = store.say(chat, "12:00", role="tool", tool_call_id="call_1")
    assert store.message(asked.id).tool_calls == calls and told.speaker == "Anna" and told.tool_call_id == "call_1"
    for role, call in (("tool", None), ("user", "call_1")):
        with pytest.raises(BadRequest, match="tool_call_id"):
            store.say(chat, "12:00", role=role, tool_call_id=call)


def test_a_chat_takes_its_title_from_what_is_said_first(store: Store) -> None:
    chat = store.new_chat("m")
    store.say(chat.id, "  Tell me\n\x1b[31m about   foxes, " + "please " * 20)
    title = store.chat(chat.id).title
    assert title.startswith("Tell me [31m about foxes, please") and title.endswith("…") and len(title) <= 60
    store.say(chat.id, "And dogs")
    assert store.chat(chat.id).title == title
    named = store.new_chat("m", title="Mine")
    store.say(named.id, "Hello")
    assert store.chat(named.id).title == "Mine"


def test_an_answer_is_streaming_until_it_ends(store: Store) -> None:
    chat = store.new_chat("m").id
    store.say(chat, "Hello")
    answer = store.begin(chat)
    with pytest.raises(BadRequest, match="an answer is being made"):
        store.say(chat, "Hello?")
    with pytest.raises(BadRequest, match="belongs to answers that failed"):
        store.finish(answer.id, state="failed")
    with pytest.raises(BadRequest, match="belongs to answers that failed"):
        store.finish(answer.id, error="but complete")
    with pytest.raises(BadRequest, match="state: "):
        store.finish(answer.id, state="streaming")
    failed = store.finish(answer.id, "Hel", state="failed", error="the model's process died")
    assert (failed.state, failed.error, failed.content) == ("failed", "the model's process died", "Hel")
    for late in (lambda: store.append(answer.id, "lo"), lambda: store.finish(answer.id)):
        with pytest.raises(BadRequest, match="the answer has ended: failed"):
            late()


def test_answers_that_nobody_makes_any_more_are_stopped(store: Store) -> None:
    chats = [store.new_chat("m").id for _ in range(2)]
    answers = [store.begin(chat).id for chat in chats]
    assert store.settle(chats[0]) and not store.settle(chats[0])
    assert [store.message(answer).state for answer in answers] == ["stopped", "streaming"]


def test_an_answer_that_ended_goes_on_where_it_is(store: Store) -> None:
    chat = store.new_chat("m").id
    question = store.say(chat, "Hello")
    answer = store.finish(store.begin(chat).id, "Hel", state="failed", error="died")
    resumed = store.resume(answer.id)
    assert (resumed.state, resumed.error, resumed.content) == ("streaming", None, "Hel")
    assert store.finish(answer.id, "lo").content == "Hello"
    with pytest.raises(BadRequest, match="only an answer"):
        store.resume(question.id)


def test_messages_know_their_bounds(store: Store) -> None:
    chat = store.new_chat("m").id
    with pytest.raises(BadRequest, match="content: got 16777217 characters"):
        store.say(chat, "x" * ((16 << 20) + 1))
    store.say(chat, "Hello")
    answer = store.begin(chat)
    store.append(answer.id, "x" * ((16 << 20) - 5))
    with pytest.raises(BadRequest, match="content: got 6 characters, wanted at most 5"):
        store.append(answer.id, "toolong"[:6])
    with pytest.raises(BadRequest, match="tool_calls: arguments"):
        store.finish(answer.id, tool_calls=[ToolCall("a", "b", "x" * ((1 << 20) + 1))])
    with pytest.raises(BadRequest, match="half a surrogate"):
        store.append(answer.id, "\udc80")
    with pytest.raises(BadRequest, match="role: "):
        store.say(chat, "Hello", role="nonsense")  # type: ignore[arg-type]


def test_a_parent_belongs_to_the_chat(store: Store) -> None:
    one, two = store.new_chat("m").id, store.new_chat("m").id
    message = store.say(one, "Hello")
    with pytest.raises(BadRequest, match="belongs to another chat"):
        store.say(two, "Hello", parent=message.id)


class Tree:
    """What a chat should be: the tree in dictionaries."""

    def __init__(self) -> None:
        self.parents: dict[str, str | None] = {}
        self.contents: dict[str, str] = {}
        self.leaf: str | None = None

    def add(self, name: str, parent: str | None, content: str) -> None:
        self.parents[name], self.contents[name], self.leaf = parent, content, name

    def newest(self, name: str | None) -> str | None:
        while children := [child for child, parent in self.parents.items() if parent == name]:
            name = children[-1]
        return name

    def remove(self, name: str) -> None:
        gone = {name}
        for child, parent in self.parents.items():  # parents stand before children
            if parent in gone:
                gone.add(child)
        above = self.parents[name]
        for each in gone:
            del self.parents[each], self.contents[each]
        if self.leaf in gone:
            self.leaf = self.newest(above)

    def way(self) -> list[str]:
        found, name = [], self.leaf
        while name is not None:
            found.append(name)
            name = self.parents[name]
        return found[::-1]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "root", "answer", "reply", "edit", "select", "remove"]),
        st.integers(0, 50),
        st.text(max_size=12),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):
    path: Path = tmp_path_factory.mktemp("store") / "chats.db"
    with Store(path) as store:
        yield store


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_whatever_is_done_the_tree_is_what_it_should_be(shared: Store, steps: list[tuple[str, int, str]]) -> None:
    chat, tree = shared.new_chat("m").id, Tree()
    for act, place, text in steps:
        names = list(tree.parents)
        name = names[place % len(names)] if names else None
        if act == "say" or name is None:
            tree.add(shared.say(chat, text).id, tree.leaf, text)
        elif act == "root":
            tree.add(shared.say(chat, text, parent=None).id, None, text)
        elif act == "reply":
            tree.add(shared.say(chat, text, parent=name).id, name, text)
        elif act == "answer":
            answer = shared.begin(chat, parent=name)
            shared.append(answer.id, text)
            shared.finish(answer.id, text)
            tree.add(answer.id, name, text + text)
        elif act == "edit":
            tree.add(shared.edit(name, text).id, tree.parents[name], text)
        elif act == "select":
            shared.select(name)
            tree.leaf = tree.leaf if name in tree.way() else tree.newest(name)
        else:
            shared.remove(name)
            tree.remove(name)
    found = shared.tree(chat)
    assert {message.id: message.parent for message in found} == tree.parents
    assert {message.id: message.content for message in found} == tree.contents
    conversation = shared.open(chat)
    assert [message.id for message in conversation.messages] == tree.way()
    for message in conversation.messages:
        beside = tuple(name for name, parent in tree.parents.items() if parent == message.parent)
        assert conversation.siblings.get(message.id, (message.id,)) == beside
