"""Chats: what may be written, how they are listed, changed and deleted."""

from __future__ import annotations

import pytest

from furet.chat.store import Chat, Member, Message, Store
from furet.chat.store.insert import ChatTree
from furet.errors import BadRequest, NotFound

MEMBERS = [Member("Anna", "smollm2", system="Be brief.", settings={"top_k": 3}), Member("Bob B", "qwen")]


def test_a_chat_is_read_as_it_was_written(store: Store) -> None:
    settings = {"temperature": 0.5, "logit_bias": {7: -1.5}, "stop": ["\n"], "seed": 2**64 - 1}
    written = store.new_chat(
        "smollm2",
        title=" Über Füchse ",
        system="Sei\nkurz.",
        preset="Llama3",
        settings=settings,
        icon="🦊",
        colour="#AA00ff",
        pinned=True,
    )
    found = store.chat(written.id)
    assert found == written and found.created == found.updated > 1e9
    assert (found.title, found.preset, found.colour, found.icon) == ("Über Füchse", "llama3", "#aa00ff", "🦊")
    assert found.settings == settings and found.pinned and not found.archived and not found.group


def test_a_group_keeps_its_members_in_order(store: Store) -> None:
    chat = store.new_chat(None, title="Group", members=MEMBERS, turns="mention")
    assert store.chat(chat.id).members == tuple(MEMBERS) and chat.group and chat.turns == "mention"
    assert store.chats(groups=True).chats == (chat,)
    changed = store.change(chat.id, members=list(reversed(MEMBERS)))
    assert changed.members == tuple(reversed(MEMBERS))


def test_change_changes_what_is_given_and_not_its_place(store: Store) -> None:
    older, newer = store.new_chat("a"), store.new_chat("a")
    changed = store.change(older.id, title="New", settings={"top_k": 5}, model="b", archived=False)
    assert (changed.title, changed.settings, changed.model) == ("New", {"top_k": 5}, "b")
    assert changed.updated == older.updated
    assert [chat.id for chat in store.chats().chats] == [newer.id, older.id]
    assert store.change(older.id) == changed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title": "a\nb"}, "title: .*a single line"),
        ({"title": "x" * 201}, "title: got 201 characters"),
        ({"title": 5}, "title: got 5, wanted a text"),
        ({"title": "\ud800"}, "title: half a surrogate pair"),
        ({"system": "x" * ((1 << 20) + 1)}, "system: "),
        ({"preset": "nonsense"}, "preset: no preset 'nonsense'"),
        ({"preset": "/etc/passwd.jinja"}, "preset: no preset"),
        ({"settings": {"temperature": -1}}, "settings: temperature: got -1"),
        ({"settings": {"temprature": 1}}, "settings: there is no setting 'temprature'"),
        ({"settings": {"temperature": float("nan")}}, "settings: wanted values that JSON can hold"),
        ({"settings": {"stop": 5}}, "settings: a value of the wrong type"),
        ({"settings": {"json_schema": 5}}, "settings: json_schema: got 5, wanted a schema"),
        ({"settings": {"choices": 5}}, "settings: choices: got 5, wanted a list of texts"),
        ({"settings": {"regex": object()}}, "settings: wanted values that JSON can hold"),
        ({"settings": {"regex": "x" * 300_000}}, "settings: got .* characters"),
        ({"settings": [1]}, "settings: .*an object"),
        ({"colour": "red"}, "colour: .*#rrggbb"),
        ({"icon": "x" * 33}, "icon: "),
        ({"pinned": 1}, "pinned: .*true or false"),
        ({"turns": "never"}, "turns: .*in_turn, mention"),
        ({"members": MEMBERS}, "one model, or members"),
        ({"nonsense": 1}, "no field 'nonsense'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(store: Store, fields: dict, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        store.new_chat("smollm2", **fields)
    assert store.chats().chats == ()
    chat = store.new_chat("smollm2")
    with pytest.raises(BadRequest, match=said):
        store.change(chat.id, **fields)
    assert store.chat(chat.id) == chat


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([Member("a", "m"), Member("A", "m")], "two are called 'A'"),
        ([Member("", "m")], "name: wanted a text"),
        ([Member("a", "")], "model: wanted a text"),
        ([Member("a", "m", settings={"top_k": -1})], "settings: top_k"),
        ([Member(str(number), "m") for number in range(17)], "at most 16 members"),
        (["a"], "at most 16 members"),
        ([], "one model, or members"),
    ],
)
def test_members_that_cannot_be(store: Store, members: list, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        store.new_chat(None, members=members)


def pages(store: Store, **arguments) -> list[list[Chat]]:
    found = [store.chats(**arguments)]
    while found[-1].next is not None:
        found.append(store.chats(after=found[-1].next, **arguments))
    return [list(page.chats) for page in found]


def test_pages_hold_every_chat_once_pinned_and_newest_first(store: Store) -> None:
    made = [store.new_chat(f"m{number % 3}", title=str(number)) for number in range(23)]
    store.change(made[3].id, pinned=True)
    store.change(made[5].id, archived=True)
    expected = ["3", *(str(number) for number in reversed(range(23)) if number not in (3, 5))]
    for limit in (1, 7, 22, 50):
        listed = pages(store, limit=limit)
        assert [chat.title for page in listed for chat in page] == expected
        assert all(len(page) == limit for page in listed[:-1])
    assert [chat.title for chat in store.chats(model="m0").chats] == ["3", *map(str, range(21, 3, -3)), "0"]
    assert [chat.title for chat in store.chats(archived=True).chats] == ["5"]


def test_what_is_said_while_one_pages_moves_a_chat_to_the_front_only(store: Store) -> None:
    made = [store.new_chat("m", title=str(number)) for number in range(6)]
    first = store.chats(limit=3)
    store.say(made[0].id, "again")
    assert [chat.title for chat in store.chats(limit=9, after=first.next).chats] == ["2", "1"]
    assert store.chats(limit=1).chats[0].title == "0"


@pytest.mark.parametrize("after", ["", "1", "a,b,c", "1,2,3,4", "0,nan,x", f"{1 << 63},0,0", f"0,0,{-1 << 63}", 5])
def test_a_place_in_the_list_that_is_none(store: Store, after) -> None:
    with pytest.raises(BadRequest, match="after: "):
        store.chats(after=after)


@pytest.mark.parametrize("limit", [0, 201, True, "5"])
def test_a_page_has_bounds(store: Store, limit) -> None:
    with pytest.raises(BadRequest, match="limit: "):
        store.chats(limit=limit)


def test_contacts_are_the_models_of_chats(store: Store) -> None:
    store.new_chat("a")
    group = store.new_chat(None, members=MEMBERS)
    b = store.new_chat("b")
    store.new_chat("c", archived=True)
    latest = store.new_chat("a")
    found = store.contacts()
    assert [(contact.model, contact.chats) for contact in found] == [("a", 2), ("b", 1), (None, 1)]
    assert [contact.updated for contact in found] == [latest.updated, b.updated, group.updated]


def test_chats_are_found_by_the_beginning_of_id_or_title(store: Store) -> None:
    fox = store.new_chat("m", title="Fox_es 100%")
    dog = store.new_chat("m", title="Foxtrot")
    assert store.find(fox.id) == (fox,) and store.find(dog.id[:8]) == (dog,)
    assert store.find("fox") == (dog, fox)
    assert store.find("fox_") == (fox,) and store.find("FOX_ES 100%") == (fox,)
    assert store.find("%") == store.find("*") == store.find("[a-z]") == store.find("_") == ()


def test_deleting_leaves_nothing_of_a_chat(store: Store) -> None:
    kept, gone = store.new_chat("m"), store.new_chat("m", title="secret")
    message = store.say(kept.id, "kept words")
    messages = [
        Message(str(number), "", str(number - 1) if number else None, "user", f"secret {number}")
        for number in range(1500)  # deeper than SQLite cascades
    ]
    deep = store.insert([ChatTree("m", {}, messages, None, 1.0, 1.0)])[0]
    store.delete(deep.id)
    store.say(gone.id, "secret")
    last = store.edit(store.say(gone.id, "secret").id, "secret branch")
    store.delete(gone.id)
    assert store.chats().chats == (store.chat(kept.id),) and store.search("secret") == ()
    assert {hit.message for hit in store.search("kept")} == {None, message.id}  # None: by its title
    for call in (lambda: store.chat(gone.id), lambda: store.open(gone.id), lambda: store.message(last.id)):
        with pytest.raises(NotFound, match="there is no"):
            call()


def test_ids_cannot_be_guessed_and_are_no_options(store: Store) -> None:
    ids = [store.new_chat("m").id for _ in range(300)]
    assert len(set(ids)) == 300 and {len(each) for each in ids} == {16}
    assert not any(each.startswith("-") for each in ids)


@pytest.mark.parametrize("name", ["", "nonsense", None, 5, ["a"], {"a": 1}])
def test_an_id_that_there_is_not(store: Store, name) -> None:
    for call in (store.chat, store.open, store.tree, store.delete, store.message, store.select, store.remove):
        with pytest.raises(NotFound):
            call(name)
    with pytest.raises(NotFound):
        store.say(name, "text")
    with pytest.raises(NotFound):
        store.append(name, "text")
