"""Writing, answers and branches where something comes in between, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from web.acting import rest, say

from furet.chat.exchange import import_chats
from furet.chat.store import Message
from furet.chat.store.insert import ChatTree

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from web.conftest import Watched
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def held(page: Page, path: str, method: str) -> list[Route]:
    """Requests of this kind, kept until the test lets them go."""
    found: list[Route] = []
    page.route(path, lambda route: found.append(route) if route.request.method == method else route.fallback())
    return found


def awaited(page: Page, found: list[Route]) -> Route:
    """The first of them, once it has come."""
    for _ in range(200):
        if found:
            return found[0]
        page.wait_for_timeout(20)
    raise AssertionError("nothing was asked for")


def long_chat(server: Server, length: int) -> tuple[str, list[str]]:
    """A chat in which questions and answers take turns; its id and theirs."""
    roles = ("user", "assistant")
    said = [
        Message(str(place), "", str(place - 1) if place else None, roles[place % 2], f"line {place}")
        for place in range(length)
    ]
    (chat,) = server.store.insert([ChatTree("smollm2", {"title": "Long"}, said, None, 1.0, 1.0)])
    return chat.id, [message.id for message in server.store.tree(chat.id)]


def tokens(page: Page) -> int:
    """How many the answer has, as the line below it says."""
    found = re.search(r"(\d+) tokens$", page.locator(".facts").inner_text())
    assert found
    return int(found[1])


def test_what_could_not_be_sent_stands_where_it_was_written(page: Page, server: Server) -> None:
    for title in ("one", "other"):
        server.store.new_chat("smollm2", title=title)
    page.reload()
    field = page.get_by_label("Message", exact=True)
    page.locator("#chats a", has_text="one").click()
    expect(page.locator("#title")).to_contain_text("one")
    sent = held(page, "**/say", "POST")
    field.fill("to the first")
    field.press("Enter")
    awaited(page, sent)
    page.locator("#chats a", has_text="other").click()
    expect(page.locator("#title")).to_contain_text("other")
    sent[0].abort()
    expect(page.locator("#toasts")).to_contain_text("Is `furet serve` still running?")
    expect(field).to_have_value("")
    page.locator("#chats a", has_text="one").click()
    expect(field).to_have_value("to the first")


def test_what_is_written_while_a_chat_begins_stays_in_the_field(page: Page) -> None:
    begun = held(page, "**/ui/api/chats", "POST")
    field = page.get_by_label("Message", exact=True)
    field.fill("first")
    field.press("Enter")
    field.fill("second")
    awaited(page, begun).continue_()
    expect(page.locator(".answer .rendered")).to_have_text("You said: first")
    rest(page)
    expect(field).to_have_value("second")


def test_going_on_shows_what_is_written_and_counts_all_of_it(page: Page, server: Server) -> None:
    server.models.answer = "word " * 40
    say(page, "Write")
    rest(page)
    before = tokens(page)
    server.models.answer = "and more of it"
    server.models.held.set()
    page.get_by_label("Go on writing").click()
    expect(page.locator(".answer.message .rendered")).to_contain_text("word and")
    expect(page.locator("#field")).to_be_focused()
    server.models.held.clear()
    rest(page)
    expect(page.locator(".answer .rendered")).to_contain_text("and more of it")
    assert tokens(page) > before


def test_another_window_follows_to_a_branch_before_what_it_shows(visit: Callable[..., Watched], server: Server) -> None:
    chat, messages = long_chat(server, 60)
    page = visit(server, f"/ui/#/{chat}").page
    expect(page.locator(".message").last).to_contain_text("line 59")
    httpx.post(f"{server.address}/ui/api/messages/{messages[1]}/again", json={}).raise_for_status()
    expect(page.locator(".message")).to_have_count(2)
    expect(page.locator(".user .text")).to_have_text("line 0")
    expect(page.locator(".answer .rendered")).to_have_text("You said: line 0")


def test_the_focus_is_never_lost(page: Page, server: Server) -> None:
    field = page.get_by_label("Message", exact=True)
    for text in ("first", "second"):
        say(page, text)
        rest(page)
    page.get_by_label("Answer again").last.click()
    expect(page.locator(".branches")).to_be_visible()
    expect(field).to_be_focused()
    rest(page)
    field.press("ArrowUp")
    page.get_by_label("New wording").fill("third")
    page.get_by_label("New wording").press("Enter")
    expect(page.locator(".answer .rendered").last).to_have_text("You said: third")
    expect(field).to_be_focused()
    rest(page)
    page.get_by_label("Delete this and all that follows").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".answer .rendered")).to_have_count(1)
    expect(field).to_be_focused()
    server.models.held.set()
    field.fill("fourth")
    page.get_by_label("Send", exact=True).click()
    page.get_by_label("Stop the answer").click()
    rest(page)
    expect(field).to_be_focused()


def test_copying_works_without_a_clipboard_of_the_browser(page: Page) -> None:
    say(page, "to be copied")
    rest(page)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_label("Copy", exact=True).first.click()
    expect(page.locator("#spoken")).to_have_text("Copied.")
    page.get_by_label("Message", exact=True).press("Control+v")
    expect(page.get_by_label("Message", exact=True)).to_have_value("to be copied")


def test_a_connection_that_breaks_off_in_an_answer_holds_nothing_up(page: Page, server: Server) -> None:
    cut, whole = (server.store.new_chat("smollm2", title=title).id for title in ("cut", "whole"))
    page.reload()
    page.route(f"**/ui/api/chats/{cut}", lambda route: route.fulfill(status=200, body='{"chat": '))
    page.locator("#chats a", has_text="cut").click()
    expect(page.locator("#toasts")).to_contain_text("Is `furet serve` still running?")
    page.locator("#chats a", has_text="whole").click()
    expect(page.locator("#title")).to_contain_text("whole")
    say(page, "hello")
    expect(page.locator(".answer .rendered")).to_have_text("You said: hello")
    assert server.store.open(whole).messages


def test_what_tools_were_asked_and_told_is_shown(page: Page, server: Server) -> None:
    call = {"id": "c", "name": "clock", "arguments": json.dumps({"zone": "UTC"})}
    answer = {"id": "2", "parent": "1", "role": "assistant", "content": "", "tool_calls": [call]}
    told = {"id": "3", "parent": "2", "role": "tool", "content": "<b>12:00</b>", "tool_call_id": "c"}
    asked = {"id": "1", "parent": None, "role": "user", "content": "What time is it?"}
    document = {"format": "furet chats", "version": 1, "model": "smollm2", "title": "Tools"}
    import_chats(server.store, BytesIO(json.dumps({**document, "messages": [asked, answer, told]}).encode()))
    page.reload()
    page.locator("#chats a", has_text="Tools").first.click()
    expect(page.get_by_role("article", name="smollm2 said").locator("pre")).to_have_text('clock {"zone": "UTC"}')
    tool = page.get_by_role("article", name="Tool said")
    expect(tool.locator("pre")).to_have_text("<b>12:00</b>")
    expect(tool.get_by_label("Answer again")).to_have_count(0)
