"""Full-text search: what is found, what is marked, what comes first, and that no text is a command."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from furet.chat.store import Hit, Store
from furet.errors import BadRequest


def marked(hit: Hit) -> list[str]:
    return [hit.snippet[start:end] for start, end in hit.marks]


def found(store: Store, text: str) -> list[str]:
    """The messages that are found."""
    return [store.message(hit.message).content for hit in store.search(text) if hit.message]


TEXTS = [
    "The quick brown fox",
    "Café au lait, s'il vous plaît",
    "東京タワーへ行きました",
    "我们在北京的大学学习中文",
    "ภาษาไทยไม่มีช่องว่าง",
    "대한민국의 수도는 서울이다",
    "हिन्दी में लिखा",
    "don't use foo_bar() or C++ in module.py",
    "Straße und ΑΘΗΝΑ",
]


@pytest.mark.parametrize(
    ("query", "text", "marks"),
    [
        ("quick", 0, ["quick"]),
        ("QUI", 0, ["qui"]),
        ("fox brown", 0, ["brown", "fox"]),
        ('"quick brown"', 0, ["quick brown"]),
        ("cafe", 1, ["Café"]),
        ("PLAIT", 1, ["plaît"]),
        ("東", 2, ["東"]),
        ("東京", 2, ["東京"]),
        ("京タワ", 2, ["京タワ"]),
        ("北京 中文", 3, ["北京", "中文"]),
        ("大学", 3, ["大学"]),
        ("ไทย", 4, ["ไทย"]),
        ("대한민국", 5, ["대한민국"]),
        ("서울", 5, ["서울"]),
        ("हिन्दी", 6, None),
        ("don't", 7, ["don't"]),
        ("foo_bar", 7, ["foo_bar"]),
        ("foo_bar()", 7, ["foo_bar"]),
        ("C++", 7, ["C"]),
        ("module.py", 7, ["module.py"]),
        ("straße", 8, ["Straße"]),
        ("αθηνα", 8, ["ΑΘΗΝΑ"]),
    ],
)
def test_words_of_many_languages_are_found(store: Store, query: str, text: int, marks: list[str] | None) -> None:
    chat = store.new_chat("m", title="untitled").id
    for each in TEXTS:
        store.say(chat, each)
    assert found(store, query) == [TEXTS[text]]
    if marks is not None:
        assert [mark.lower() for mark in marked(store.search(query)[0])] == [mark.lower() for mark in marks]


@pytest.mark.parametrize(
    "query", ["quic ", "uick", '"brown quick"', "fox dog", "京東", "q", "ox", "", "  ", "!?", '""']
)
def test_what_is_not_there_is_not_found(store: Store, query: str) -> None:
    chat = store.new_chat("m", title="untitled").id
    for each in TEXTS:
        store.say(chat, each)
    assert store.search(query) == ()


@pytest.mark.parametrize("query", ["fox*", "^fox", "-fox", "(fox", "fox + ", "\0fox", "{fox}", "fox;--", "fox'"])
def test_marks_in_a_query_are_no_commands(store: Store, query: str) -> None:
    chat = store.new_chat("m", title="untitled").id
    store.say(chat, "fox")
    store.say(chat, "a cat")
    assert found(store, query) == ["fox"]


@pytest.mark.parametrize("query", ["cat OR fox", "fox NOT cat", "NEAR(fox)", "text:fox", "fox AND cat", "{text}: fox"])
def test_words_in_a_query_are_no_commands(store: Store, query: str) -> None:
    chat = store.new_chat("m", title="untitled").id
    store.say(chat, "fox")
    store.say(chat, "a cat")
    assert found(store, query) == []
    store.say(chat, f"all of it: {query}")
    assert found(store, query) == [f"all of it: {query}"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40), query=st.text(max_size=30))
def test_any_text_may_be_searched_for_in_any_text(store: Store, text: str, query: str) -> None:
    chat = store.new_chat("m").id
    message = store.say(chat, text)
    for hit in store.search(query, limit=5) + store.search(text, chat=chat):
        assert all(0 <= start < end <= len(hit.snippet) for start, end in hit.marks)
    store.remove(message.id)
    assert store.search(text, chat=chat) == ()
    store.delete(chat)


def test_titles_are_found_and_changes_follow(store: Store) -> None:
    chat = store.new_chat("m", title="Foxes of the north")
    (hit,) = store.search("north")
    assert (hit.chat, hit.message, hit.role, marked(hit)) == (chat.id, None, None, ["north"])
    store.change(chat.id, title="Bears")
    assert store.search("north") == () and len(store.search("bears")) == 1


def test_an_answer_is_found_when_it_has_ended(store: Store) -> None:
    chat = store.new_chat("m", title="untitled").id
    store.say(chat, "question")
    answer = store.begin(chat)
    store.append(answer.id, "first half ")
    assert store.search("half") == ()
    store.finish(answer.id, "second part")
    assert found(store, "first part") == ["first half second part"]
    store.resume(answer.id)
    assert store.search("half") == ()
    store.finish(answer.id, " end")
    assert len(store.search("half end")) == 1
    store.say(chat, "half of a tool's noise", role="tool", tool_call_id="1")
    assert len(store.search("half")) == 1


def test_the_better_and_the_newer_come_first(store: Store) -> None:
    chat = store.new_chat("m", title="untitled").id
    store.say(chat, "fox among very many other words that have nothing to do with it at all, and some more of them")
    best = store.say(chat, "fox fox")
    hits = store.search("fox")
    assert hits[0].message == best.id and hits[0].score > hits[1].score
    assert len(store.search("fox", limit=1)) == 1


def test_search_in_one_chat(store: Store) -> None:
    one, two = store.new_chat("m", title="fox").id, store.new_chat("m", title="fox").id
    inside = store.say(one, "fox")
    store.say(two, "fox")
    assert [hit.message for hit in store.search("fox", chat=one)] == [inside.id]


def test_a_snippet_is_the_text_around(store: Store) -> None:
    chat = store.new_chat("m", title="untitled").id
    store.say(chat, "word " * 200 + "the ñeedle here" + " more" * 200)
    (hit,) = store.search("needle")
    assert marked(hit) == ["ñeedle"] and hit.snippet.startswith("…word ") and hit.snippet.endswith("…")
    assert len(hit.snippet) < 210 and "\n" not in hit.snippet
    store.say(chat, "a\nb\tgolden\r\nc")
    (hit,) = store.search("golden")
    assert hit.snippet == "a b golden  c" and marked(hit) == ["golden"]


@pytest.mark.parametrize(("arguments", "said"), [(("x" * 401,), "query: "), ((5,), "query: ")])
def test_queries_have_bounds(store: Store, arguments: tuple, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        store.search(*arguments)
    with pytest.raises(BadRequest, match="limit: "):
        store.search("x", limit=101)
    assert store.search("word " * 79) == ()
