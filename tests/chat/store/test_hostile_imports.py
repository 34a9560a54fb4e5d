"""Files made to hurt: refused with the place named, in little time and memory, and nothing of them is kept."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from furet.chat.exchange import archive, bounded, export_json, import_chats
from furet.chat.store import Store
from furet.errors import BadRequest


@pytest.fixture(autouse=True)
def nothing_is_kept(store: Store) -> Iterator[None]:
    yield
    assert store.chats(limit=1).chats == ()


def refused(store: Store, data: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        import_chats(store, io.BytesIO(data), name="file.json")


SOUND = {"mapping": {"a": {"parent": None, "message": None}}, "title": "sound"}
CHAT = json.dumps(SOUND).encode()
USER = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hello"]}}
NATIVE = {"format": "furet chats", "version": 1, "model": "m", "messages": []}
SAID = {"id": "1", "parent": None, "role": "user", "content": "hello"}
CLAUDE = {"chat_messages": [{"uuid": "1", "sender": "human", "text": "hello"}]}


def mapping(**parents: Any) -> dict[str, Any]:
    return {"mapping": {key: {"parent": parent, "message": USER} for key, parent in parents.items()}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (mapping(a="b", b="a"), "conversation 2: mapping: '[ab]': follows itself"),
        (mapping(a="a"), "mapping: 'a': follows itself"),
        (mapping(a=5), "mapping: 'a': parent: got 5, wanted a text"),
        ({"mapping": []}, "mapping: got .*, wanted an object"),
        ({"mapping": {"a": 1}}, "mapping: 'a': got 1, wanted an object"),
        ({"mapping": {"a": {"message": {}}}}, "message: author: got None"),
        ({"mapping": {"a": {"message": {**USER, "content": {"content_type": "text", "parts": 7}}}}}, "parts: got 7"),
        ({"mapping": {"a": {"message": {**USER, "create_time": "soon"}}}}, "create_time: .*ISO 8601"),
        ({"mapping": {"a": {"message": {**USER, "create_time": 1e12}}}}, "create_time: .*of this age"),
        ({"mapping": {}, "title": ["x"]}, "title: got"),
        ({"mapping": {}, "create_time": 10**400}, "create_time"),
        ({"chat_messages": {"a": 1}}, "chat_messages: .*wanted a list"),
        ({"chat_messages": [{"sender": "robot", "text": ""}]}, "chat_messages 1: sender: got 'robot'"),
        ({"chat_messages": CLAUDE["chat_messages"] * 2}, "chat_messages 2: uuid: there are two of '1'"),
        ({"chat_messages": [{"uuid": "1", "sender": "human", "text": 5}]}, "text: got 5"),
        ({"chat_messages": [], "created_at": "2026-13-99"}, "created_at: .*ISO 8601"),
        ({**NATIVE, "version": 2}, "version: got 2"),
        ({**NATIVE, "messages": [SAID, SAID]}, "messages 2: id: there are two of '1'"),
        ({**NATIVE, "messages": [{**SAID, "parent": "2"}]}, "'1': its parent '2' is missing"),
        ({**NATIVE, "messages": [{**SAID, "parent": "1"}]}, "follows itself"),
        ({**NATIVE, "messages": [{**SAID, "role": "root"}]}, "messages 1: role: got 'root'"),
        ({**NATIVE, "messages": [{**SAID, "state": "streaming"}]}, "messages 1: state: got 'streaming'"),
        ({**NATIVE, "messages": [{**SAID, "counts": {"seed": 1 << 64}}]}, "counts: seed: "),
        ({**NATIVE, "messages": [{**SAID, "state": "failed"}]}, "conversation 2: .*error: belongs"),
        ({**NATIVE, "leaf": "1"}, "leaf: got '1', wanted the id of a message"),
        ({**NATIVE, "settings": {"nonsense": 1}}, "conversation 2: settings: there is no setting 'nonsense'"),
        ({**NATIVE, "settings": {"temperature": "hot"}}, "conversation 2: settings: temperature"),
        ({**NATIVE, "preset": "/etc/passwd.jinja"}, "conversation 2: preset: "),
        ({**NATIVE, "title": "a\nb"}, "conversation 2: title: "),
        ({**NATIVE, "model": None}, "conversation 2: members: "),
        ({**NATIVE, "model": None, "members": [{"name": 1}]}, "members 1: name: got 1"),
        ({"format": "furet chat", "version": 1, "messages": [{}]}, "wanted one of the user"),
        ({"prompt_format": "", "model": "m", "top_p": 7}, "conversation 2: settings: top_p: got 7"),
        ({"prompt_format": 1, "model": "m"}, "prompt_format: got 1"),
        ({"messages": []}, "no chat of furet, ChatGPT"),
        (5, "conversation 2: got 5, wanted an object"),
        (None, "conversation 2: got None"),
    ],
)
def test_what_is_wrong_is_named_and_what_stands_before_it_is_not_kept(store: Store, document: Any, said: str) -> None:
    refused(store, json.dumps([SOUND, document]).encode(), f"file.json: .*{said}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"[", "the list does not end"),
        (b"[%s, %s" % (CHAT, CHAT), "the list does not end"),
        (b"[%s]]" % CHAT, "the list does not end where the file does"),
        (b"[] trailing", "the list does not end where the file does"),
        (b'["abc', "a text without an end at byte 1"),
        (b'{"a": "b', "a text without an end"),
        (b"[1 2]", "element 1: not JSON"),
        (b"[%s,]" % CHAT, "element 2: not JSON"),
        (b"[,]", "element 1: not JSON"),
        (b"{]", "not JSON"),
        (b"[" * 100_000, "nested more than 64 deep"),
        (b'{"a":' * 100_000, "nested more than 64 deep"),
        (b"[" + b"[" * 70 + b"]" * 70 + b"]", "nested more than 64 deep"),
        (b'["\xff"]', "not JSON"),
        (b"[" + b"9" * 5000 + b"]", "not JSON"),
        ('[{"mapping": {}}]'.encode("utf-16"), "not JSON"),
        (b"\x00" * 100, "not JSON"),
        (b"[" + b"1," * 60_000 + b"1]", "wanted an object|more than 50000 elements"),
        (b'["' + b'\\"' * 300_000, "a text without an end"),
    ],
)
def test_what_is_no_json_or_too_much_of_it(store: Store, data: bytes, said: str) -> None:
    refused(store, data, said)


@pytest.mark.parametrize(
    ("bound", "value", "data", "said"),
    [
        ("MAX_VALUES", 100, b"[[" + b"[]," * 200 + b"[]]]", "element 1: more than 100 values"),
        ("MAX_VALUES", 100, b'{"a": [' + b"[]," * 200 + b"[]]}", "more than 100 values"),
        ("MAX_ELEMENT", 100, b'[{"a": "' + b"x" * 200 + b'"}]', "element 1: larger"),
        ("MAX_ELEMENTS", 3, json.dumps([SOUND] * 4).encode(), "more than 3 elements"),
        ("MAX_BYTES", 100, b"[" + b" " * 200 + b"]", "larger than"),
    ],
)
def test_bounds(store: Store, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, data: bytes, said: str) -> None:
    monkeypatch.setattr(bounded, bound, value)
    refused(store, data, said)


def zipped(*files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as file:
        for name, content in files:
            file.writestr(name, content)
    return data.getvalue()


WANTED = "conversations.json"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped((WANTED, b"[" + b" " * 20_000_000 + b"]")), "bytes out of .*, wanted at most"),
        (zipped(("other.json", b"[]")), "0 files conversations.json"),
        (zipped((WANTED, b"[]"), (f"a/{WANTED}", b"[]")), "2 files conversations.json"),
        (zipped((WANTED, b"[]"), compression=zipfile.ZIP_LZMA), "compressed by method 14"),
        (zipped((WANTED, b"[5]")), "wanted an object"),
        (zipped((WANTED, b"[]" * 50))[:-30], "its end is missing"),
        (b"PK\x03\x04" + b"x" * 100, "its end is missing"),
        (b"PK\x03\x04" + b"PK\x05\x06" + b"\xff" * 18, "65535 entries"),
        (zipped((WANTED, b"[]")).replace(b"PK\x01\x02", b"PK\x01\x09"), "damaged zip"),
    ],
)
def test_archives(store: Store, data: bytes, said: str) -> None:
    refused(store, data, said)


def test_an_archive_that_lies_about_its_sizes(store: Store) -> None:
    data = bytearray(zipped((WANTED, json.dumps([SOUND] * 2000).encode())))
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 10)  # the size, as the directory has it
    refused(store, bytes(data), "damaged zip|not JSON|does not end")
    data = bytearray(zipped((WANTED, b"[]")))
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 8, 1)
    refused(store, bytes(data), "encrypted")


def test_more_entries_than_an_export_has(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    refused(store, zipped((WANTED, b"[]"), *((f"{number}.png", b"") for number in range(3))), "4 entries")


def test_an_import_is_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that only the database finds wrong undoes the chats before it."""
    bad = {**NATIVE, "messages": [{**SAID, "speaker": "a\nb"}]}
    refused(store, json.dumps([SOUND, {**NATIVE, "messages": [SAID]}, bad]).encode(), "conversation 3: speaker: ")
    assert store.search("hello") == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def changed(document: Any, path: list[int], value: Any) -> Any:
    """The document with one of its values replaced."""
    if path and isinstance(document, dict) and document:
        key = sorted(document)[path[0] % len(document)]
        return {**document, key: changed(document[key], path[1:], value)}
    if path and isinstance(document, list) and document:
        place = path[0] % len(document)
        return [*document[:place], changed(document[place], path[1:], value), *document[place + 1 :]]
    return value


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.integers(0, 4), path=st.lists(st.integers(0, 20), min_size=1, max_size=6), value=JSON)
def test_any_value_anywhere_is_taken_or_refused(store: Store, kind: int, path: list[int], value: Any) -> None:
    chat = store.new_chat("m", settings={"top_k": 3})
    store.finish(store.begin(chat.id, parent=store.say(chat.id, "hello").id).id, "hi")
    native = json.loads("".join(export_json(store, [chat.id])))
    documents = [[mapping(a=None, b="a")], [CLAUDE], native, [{"prompt_format": "", "model": "m"}], [SOUND]]
    data = json.dumps(changed(documents[kind], path, value)).encode()
    try:
        found = import_chats(store, io.BytesIO(data), name="file.json").chats
    except BadRequest as error:
        assert error.message.startswith("file.json")
        found = ()
    for each in (chat, *found):
        store.open(each.id)
        store.delete(each.id)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.integers(0, 255))
def test_any_byte_of_an_archive(store: Store, cut: int, at: int, byte: int) -> None:
    data = bytearray(zipped((WANTED, json.dumps([mapping(a=None)]).encode())))
    data = data[: max(4, len(data) - cut % 60 * (cut % 3 == 0))]
    data[at % len(data)] = byte
    try:
        found = import_chats(store, io.BytesIO(bytes(data))).chats
    except BadRequest:
        return
    for chat in found:
        store.delete(chat.id)
