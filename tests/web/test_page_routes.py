"""The page's server side, called without a browser: files, guard, strict bodies, errors, pictures of text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event
from typing import Any

import httpx
import pytest
from web.pretended import Server

from furet.serve.page.files import POLICY, web
from furet.serve.page.markdown import MAX_SPAN, Growing, render
from furet.serve.page.samplers import SAMPLERS

MAX_SCRIPT = 100_000  # bytes


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start("smollm2")


def test_all_script_together_is_small() -> None:
    assert sum(len(file.plain) for path, file in web().items() if path.endswith(".js")) < MAX_SCRIPT


def test_nothing_in_the_files_is_loaded_from_elsewhere() -> None:
    for path, file in web().items():
        text = file.plain.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, path
        if path.endswith(".html"):
            assert "<style" not in text and " style=" not in text and "<script>" not in text and " onclick" not in text


def test_html_is_inserted_in_one_place_alone() -> None:
    scripts = {path: file.plain.decode() for path, file in web().items() if path.endswith(".js")}
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setHTML"):
        users = {path for path, text in scripts.items() if word in text}
        assert users <= ({"js/html.js"} if word == "innerHTML" else set()), word


def test_files_are_tagged_compressed_and_under_a_strict_policy(client: httpx.Client) -> None:
    found = client.get("/ui/js/main.js", headers={"accept-encoding": "gzip"})
    assert found.headers["content-encoding"] == "gzip" and found.headers["content-type"].startswith("text/javascript")
    assert found.headers["content-security-policy"] == POLICY
    assert found.headers["x-content-type-options"] == "nosniff" and found.headers["referrer-policy"] == "no-referrer"
    again = client.get("/ui/js/main.js", headers={"if-none-match": found.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert client.get("/ui/js/main.js", headers={"accept-encoding": "identity"}).text == found.text
    assert client.get("/").headers["location"] == "/ui/"


@pytest.mark.parametrize("path", ["../app.py", "%2e%2e/app.py", "js/%2e%2e/%2e%2e/app.py", "js", "css/", "x.js", "%00"])
def test_only_the_pages_files_are_served(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/ui/{path}")
    assert answer.status_code in (400, 404) and "error" in answer.json()


def test_every_route_is_behind_the_guard(start: Callable[..., Server]) -> None:
    server = start("smollm2", token="a-long-token")
    with httpx.Client(base_url=server.address) as client:
        for path in ("/ui/", "/ui/js/main.js", "/ui/api/start", "/ui/api/events", "/ui/api/export"):
            assert client.get(path).status_code == 401, path
        assert client.post("/ui/api/chats", json={"model": "smollm2"}).status_code == 401
        client.get("/?token=a-long-token")  # the cookie
        assert client.get("/ui/").status_code == 200
        assert client.get("/ui/api/start", headers={"host": "outside.invalid"}).status_code in (403, 421)
        body = {"model": "smollm2"}
        assert client.post("/ui/api/chats", json=body, headers={"origin": "http://outside.invalid"}).status_code == 403
        assert client.post("/ui/api/chats", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/chats", {"model": "smollm2", "colour": "red"}, "colour"),
        ("/chats", {"model": 3}, "model"),
        ("/chats", {"model": "x" * 600}, "model"),
        ("/chats", {"members": [{"name": "a", "model": "smollm2"}] * 9}, "members"),
        ("/presets", {"name": "x", "settings": {"temperature": "hot"}}, "temperature"),
        ("/presets", {"name": "x", "settings": {"warmth": 1}}, "settings: there is no setting 'warmth'"),
        ("/presets", {"name": "x", "settings": {"stop": 5}}, "settings: "),
        ("/import", {"data": "not base64!"}, "data"),
        ("/import", {"data": "e30="}, ""),
        ("/models/plan", {"ref": "smollm2", "context": -1}, "context"),
        ("/messages/none/edit", {"text": ""}, "text"),
    ],
)
def test_what_is_not_wanted_is_refused_by_name(client: httpx.Client, path: str, body: Any, field: str) -> None:
    answer = client.post(f"/ui/api{path}", json=body)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/chats/none", "/chats/none/export", "/chats/none/usage", "/events?chat=none"])
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/ui/api{path}")
    assert answer.status_code == 404 and answer.json()["error"]["message"]


def test_while_somebody_answers_nobody_else_does(client: httpx.Client, server: Server) -> None:
    server.models.held.set()
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    said = client.post(f"/ui/api/chats/{chat}/say", json={"text": "a b c d e f g h i j"}).json()
    for path in (f"/chats/{chat}/say", f"/messages/{said['message']['id']}/edit"):
        refused = client.post(f"/ui/api{path}", json={"text": "again"})
        assert refused.status_code == 400 and "stop it first" in refused.json()["error"]["message"]
    for _ in range(4000):  # an answer that is stopped before it begins leaves nothing
        if server.store.open(chat).messages[-1].role == "assistant":
            break
        client.get("/health")
    client.post(f"/ui/api/chats/{chat}/stop")
    answer = client.get(f"/ui/api/chats/{chat}").json()["messages"][-1]
    assert answer["role"] == "assistant" and answer["state"] == "stopped"


def test_of_two_who_speak_at_once_one_is_refused_and_leaves_nothing_behind(
    client: httpx.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.models.held.set()
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    first = server.store.say(chat, "the first")
    both = Barrier(2)
    real = {"say": server.store.say, "edit": server.store.edit}

    def met(name: str) -> Callable[..., Any]:
        def write(*given: Any) -> Any:
            with suppress(BrokenBarrierError):  # nobody else came as far
                both.wait(0.5)
            return real[name](*given)

        return write

    for name in real:
        monkeypatch.setattr(server.store, name, met(name))
    asked = [(f"chats/{chat}/say", "one"), (f"messages/{first.id}/edit", "other"), (f"chats/{chat}/say", "third")]
    with ThreadPoolExecutor() as threads:
        given = [threads.submit(client.post, f"/ui/api/{path}", json={"text": text}) for path, text in asked]
        statuses = [each.result().status_code for each in given]
    assert sorted(statuses)[1:] == [400, 400]
    said = {message.content for message in server.store.tree(chat) if message.role == "user"}
    assert said == {"the first", asked[statuses.index(min(statuses))][1]}


@pytest.mark.parametrize(
    "path", ["chats/{chat}", "chats/{chat}/messages?before={message}", "messages/{message}/select"]
)
def test_while_messages_are_rendered_others_are_served(
    client: httpx.Client, server: Server, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    chat = server.store.new_chat("smollm2").id
    for _ in range(2):
        message = server.store.begin(chat)
        server.store.finish(message.id, "a long answer", state="complete")
    rendering, served = Event(), Event()

    def slow(text: str) -> tuple[str, ...]:
        rendering.set()
        assert served.wait(10), "nobody else was served meanwhile"
        return (text,)

    monkeypatch.setattr("furet.serve.page.views.render", slow)
    with ThreadPoolExecutor() as threads:
        method = "POST" if path.endswith("select") else "GET"
        opened = threads.submit(client.request, method, "/ui/api/" + path.format(chat=chat, message=message.id))
        assert rendering.wait(10)
        assert client.get("/health", timeout=5).status_code == 200
        served.set()
        assert opened.result().json()["messages"][0]["blocks"] == ["a long answer"]


def test_the_end_of_an_answer_is_rendered_aside(
    client: httpx.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = set[bool]()

    def watched(text: str) -> tuple[str, ...]:
        try:
            aside.add(asyncio.get_running_loop() is None)
        except RuntimeError:  # no loop runs in this thread
            aside.add(True)
        return (text,)

    monkeypatch.setattr("furet.serve.page.views.render", watched)
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    client.post(f"/ui/api/chats/{chat}/say", json={"text": "hello"})
    for _ in range(4000):
        if aside:
            break
        client.get("/health")
    assert aside == {True}


def test_stop_at_any_moment_leaves_nothing_streaming(client: httpx.Client, server: Server) -> None:
    server.models.pause = 0.001
    server.models.answer = "word " * 2000
    for delay in range(12):
        chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
        client.post(f"/ui/api/chats/{chat}/say", json={"text": "go"})
        for _ in range(delay):
            client.get("/health")
        client.post(f"/ui/api/chats/{chat}/stop")
        last = server.store.open(chat).messages[-1]
        assert last.role == "user" or last.state == "stopped"
        assert last.role == "user" or server.models.answer.startswith(last.content)


def test_what_was_written_is_in_the_store_before_the_answer_ends(client: httpx.Client, server: Server) -> None:
    server.models.pause = 0.02
    server.models.answer = "word " * 400
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    client.post(f"/ui/api/chats/{chat}/say", json={"text": "go"})
    for _ in range(4000):
        message = server.store.open(chat).messages[-1]
        if message.role == "assistant" and message.content:
            break
        client.get("/health")
    assert message.state == "streaming" and server.models.answer.startswith(message.content)
    client.delete(f"/ui/api/chats/{chat}")
    assert client.get(f"/ui/api/chats/{chat}").status_code == 404


def test_every_setting_of_sampling_can_be_set() -> None:
    from dataclasses import fields

    from furet.engine.request import Request
    from furet.sample.settings import Sampling

    shown = {setting["name"] for setting in SAMPLERS}
    assert shown >= {field.name for field in fields(Sampling)} - {"chain", "logit_bias"}  # those are for programs
    assert shown <= {field.name for field in fields(Request)}
    for setting in SAMPLERS:
        for bound in ("least", "most"):
            if bound in setting:
                Request(**{setting["name"]: setting[bound]})


@pytest.mark.parametrize(
    "text", ["[" * 8000, "![" * 4000, "*a " * 2600, "<" * 8000, "`" * 8000, "> " * 4000, "- " * 4000]
)
def test_no_text_takes_long_to_render(text: str) -> None:
    from time import process_time

    before = process_time()
    render(text)
    assert process_time() - before < 1.0


def test_a_block_that_is_too_long_is_shown_as_it_is() -> None:
    text = "*a* " * MAX_SPAN
    assert render(text) == (f"<pre>{text}</pre>",)


def test_an_answer_of_any_length_costs_by_its_length() -> None:
    """Frames hold the open block alone: together little more than the text, however long it gets."""
    sizes = {}
    for count in (100, 400):
        growing, sent = Growing(), 0
        for number in range(count):
            growing.feed(f"Paragraph {number} of a long answer.\n\n")
            sent += sum(map(len, growing.frame().blocks))
        sizes[count] = sent
    assert sizes[400] < 4.5 * sizes[100]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        (
            "<think>\nHm, *so*.\n\n- one\n</think>\n\nHello",
            ["Thought: <p>Hm, <em>so</em>.</p><ul><li>one</li></ul>", "<p>Hello</p>"],
        ),
        ("\n <think>a</think>b", ["Thought: <p>a</p>", "<p>b</p>"]),
        ("<think>\n\n</think>\n\nNothing was thought", ["<p>Nothing was thought</p>"]),
        ("<think>it was stopped </th", ["Thought: <p>it was stopped</p>"]),
        ("<think>a</think>b <think>c</think>", ["Thought: <p>a</p>", "<p>b &lt;think&gt;c&lt;/think&gt;</p>"]),
        ("<think>a <think> b</think>c", ["Thought: <p>a &lt;think&gt; b</p>", "<p>c</p>"]),
        ("Say <think>a</think>", ["<p>Say &lt;think&gt;a&lt;/think&gt;</p>"]),
        ("<thin", ["<p>&lt;thin</p>"]),
        ("<thinner> air\n\nb", ["<p>&lt;thinner&gt; air</p>", "<p>b</p>"]),
        (" " * 80 + "<think>a</think>", ["<figure>"]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_what_was_thought_is_one_block_folded(text: str, blocks: list[str], size: int) -> None:
    growing, shown = Growing(), list[str]()
    for at in range(0, len(text), size):
        growing.feed(text[at : at + size])
        frame = growing.frame()
        shown[frame.first :] = frame.blocks
        assert tuple(shown) == growing.since(0).blocks  # what a page that comes now is given
    whole = [block.replace("\n", "") for block in render(text)]
    for block, start in zip(whole, blocks, strict=True):
        assert block.startswith(start.replace("Thought: ", "<details><summary>Thought</summary>"))
    assert [block.replace("Thinking…", "Thought").replace("\n", "") for block in shown] == whole


def test_while_a_model_thinks_its_thought_says_so() -> None:
    growing = Growing()
    growing.feed("<think>first\n\nsecond")
    assert growing.frame().blocks == ("<details><summary>Thinking…</summary><p>first</p>\n<p>second</p>\n</details>",)
    growing.feed("</think>Said")
    frame = growing.frame()
    assert (frame.first, frame.final) == (0, 1) and frame.blocks[0].startswith("<details><summary>Thought</summary>")
    assert frame.blocks[1] == "<p>Said</p>\n"


def test_a_thought_stays_in_the_store_and_out_of_the_list(client: httpx.Client, server: Server) -> None:
    server.models.answer = "<think>Hm.</think>**Yes.**"
    chat = client.post("/ui/api/chats", json={"model": "smollm2"}).json()["id"]
    client.post(f"/ui/api/chats/{chat}/say", json={"text": "go"})
    for _ in range(4000):
        message = server.store.open(chat).messages[-1]
        if message.state == "complete" and message.role == "assistant":
            break
        client.get("/health")
    assert message.content == server.models.answer
    opened = client.get(f"/ui/api/chats/{chat}").json()
    assert opened["chat"]["preview"] == "Yes." and opened["messages"][-1]["text"] == server.models.answer
    assert server.models.answer in client.get(f"/ui/api/chats/{chat}/export?format=markdown").text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("```python\ndef add_numbers(x, y):\n```", "\ndef add_numbers(x, y):\n"),
        ("**Yes**, _so_ ~~not~~ `it` is", "Yes, so not it is"),
        ("# Title\n> said\n* one", "Title\nsaid\none"),
        ("2 * 3 > 5, snake_case", "2 * 3 > 5, snake_case"),
    ],
)
def test_the_list_of_chats_has_words_without_the_marks_of_markdown(
    client: httpx.Client, server: Server, text: str, shown: str
) -> None:
    chat = server.store.new_chat("smollm2").id
    server.store.say(chat, text)
    assert client.get(f"/ui/api/chats/{chat}").json()["chat"]["preview"] == shown


def test_long_messages_come_in_small_pages_and_each_once(client: httpx.Client, server: Server) -> None:
    chat = server.store.new_chat("smollm2").id
    lengths = [10, 30_000, 30_000, 30_000, 300_000, 20, 60_000, 30_000, 30_000]
    ids = []
    for length in lengths:
        ids.append(server.store.begin(chat).id)
        server.store.finish(ids[-1], "x" * length, state="complete")
    page, pages = client.get(f"/ui/api/chats/{chat}").json(), []
    while True:
        pages.append([message["id"] for message in page["messages"]])
        if not page["earlier"]:
            break
        page = client.get(f"/ui/api/chats/{chat}/messages", params={"before": pages[-1][0]}).json()
    assert [len(each) for each in pages] == [2, 2, 1, 4]
    assert [id for each in reversed(pages) for id in each] == ids


def test_the_default_store_is_not_touched(tmp_path: Path, server: Server) -> None:
    assert server.store.path.is_relative_to(tmp_path)
