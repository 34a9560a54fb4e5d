"""The list of chats: found, renamed, deleted, taken elsewhere and brought here, in a real browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from web.acting import rest, say

from furet.chat.store import Message
from furet.chat.store.insert import ChatTree

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from web.conftest import Watched
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def test_all_chats_come_in_order_whatever_happens_meanwhile(page: Page, server: Server) -> None:
    said = [Message("1", "", None, "user", "marigold")]
    trees = (
        ChatTree("smollm2", {"title": f"chat {number}"}, said if number == 5 else (), None, 1.0, 1.0 + number)
        for number in range(120)
    )
    server.store.insert(trees)
    page.reload()
    expect(page.locator("#chats .chat")).to_have_count(50)
    page.get_by_label("Search all chats").fill("marigold")
    page.locator("#chats a", has_text="marigold").click()
    expect(page.locator("#title")).to_contain_text("chat 5")
    page.get_by_label("Search all chats").press("Escape")
    page.request.post(f"{server.address}/ui/api/models/load", data={"ref": "smollm2"})  # which draws the list anew
    expect(page.locator("#contacts .awake")).to_be_visible()
    expect(page.get_by_role("button", name="More chats")).to_be_attached()
    for count in (100, 120):
        page.locator("#chats").evaluate("element => { element.scrollTop = element.scrollHeight; }")
        expect(page.locator("#chats .chat")).to_have_count(count)
    names = page.locator("#chats .chat .name").all_text_contents()
    assert names == [f"chat {number}" for number in reversed(range(120))]


def test_search_finds_a_message_and_goes_to_it(page: Page, server: Server) -> None:
    for text in ("the marigold is orange", "the ferret is brown"):
        say(page, text)
        rest(page)
        page.keyboard.press("Control+Shift+O")
        expect(page.locator("#welcome")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("marig")
    expect(page.locator("#chats mark").first).to_have_text("marig")
    expect(page.locator("#spoken")).to_have_text(re.compile(r"^\d places? found\.$"))
    page.keyboard.press("Enter")
    expect(page.locator(".user .text")).to_have_text("the marigold is orange")
    page.get_by_label("Search all chats").fill("xyzzy")
    expect(page.locator("#chats")).to_contain_text("Nothing found")
    page.get_by_label("Search all chats").press("Escape")
    expect(page.locator("#chats .chat")).to_have_count(2)


def test_what_is_found_far_up_is_shown_on_the_branch_that_is_open(page: Page, server: Server) -> None:
    chat = server.store.new_chat("smollm2", title="Long").id
    first = server.store.say(chat, "the marigold").id
    for number in range(50):
        open_ = server.store.say(chat, f"line {number}").id
    server.store.say(chat, "another branch", parent=first)
    server.store.select(open_)
    page.get_by_label("Search all chats").fill("marigold")
    page.locator("#chats a", has_text="marigold").click()
    expect(page.locator(".user .text").first).to_have_text("the marigold")
    expect(page.locator(".user .text").first).to_be_in_viewport()
    expect(page.locator(".user .text").last).to_have_text("line 49")
    assert server.store.chat(chat).leaf == open_


def test_what_is_found_is_not_asked_for_without_end(page: Page, server: Server) -> None:
    chat = server.store.new_chat("smollm2", title="Long").id
    for number in range(60):
        server.store.say(chat, f"line {number}" if number else "the marigold")
    asked: list[Route] = []
    page.route(f"**/chats/{chat}/messages?*", lambda route: (asked.append(route), route.abort()))
    page.get_by_label("Search all chats").fill("marigold")
    page.locator("#chats a", has_text="marigold").click()
    expect(page.locator("#toasts")).to_contain_text("does not answer")
    page.wait_for_timeout(300)
    assert len(asked) < 5


@pytest.mark.parametrize("fails", [False, True])
def test_the_chat_that_was_asked_for_last_is_shown(page: Page, server: Server, fails: bool) -> None:
    slow = server.store.new_chat("smollm2", title="slow").id
    server.store.new_chat("smollm2", title="fast")
    page.reload()
    asked: list[Route] = []
    page.route(f"**/ui/api/chats/{slow}", lambda route: asked.append(route))
    page.locator("#chats a", has_text="slow").click()
    page.locator("#chats a", has_text="fast").click()
    expect(page.locator("#title")).to_contain_text("fast")
    if fails:
        asked[0].abort()
        expect(page.locator("#toasts")).to_contain_text("does not answer")
    else:
        asked[0].continue_()
        page.wait_for_timeout(300)  # in which it is shown, if it is
    expect(page.locator("#title")).to_contain_text("fast")


def test_leaving_the_search_does_not_stop_an_answer(page: Page, server: Server) -> None:
    server.models.held.set()
    say(page, "a long story please")
    page.get_by_label("Search all chats").fill("story")
    page.get_by_label("Search all chats").press("Escape")
    expect(page.locator("#field")).to_be_focused()
    server.models.held.clear()
    rest(page)
    expect(page.locator(".answer .rendered")).to_have_text("You said: a long story please")


def test_all_contacts_are_within_reach(start: Callable[..., Server], visit: Callable[..., Watched]) -> None:
    page = visit(start(*"abcdef")).page
    expect(page.locator(".contact")).to_have_count(7)
    for contact in page.locator(".contact").all():
        expect(contact).to_be_in_viewport(ratio=1)


def test_a_title_is_written_to_its_end_whatever_is_told_meanwhile(page: Page, server: Server) -> None:
    say(page, "a name to change")
    rest(page)
    page.get_by_role("button", name="Rename: a name to change").click()
    page.get_by_label("Title").fill("Bet")
    chat = server.store.chats().chats[0].id
    page.request.patch(f"{server.address}/ui/api/chats/{chat}", data={"pinned": True})
    expect(page.locator("#chats h2")).to_have_text("Pinned")
    page.keyboard.type("ter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rename: Better")).to_be_visible()


def test_what_is_exported_can_be_imported(page: Page, server: Server, tmp_path: Path) -> None:
    say(page, "keep this")
    rest(page)
    for kind, ending in (("Markdown", "md"), ("JSON", "json")):
        page.locator(".chat").hover()
        page.get_by_label("More for keep this").click()
        with page.expect_download() as found:
            page.get_by_role("menuitem", name=f"Export as {kind}").click()
        found.value.save_as(tmp_path / f"chat.{ending}")
        assert found.value.suggested_filename == f"furet-chats.{ending}"
    assert "You said: keep this" in (tmp_path / "chat.md").read_text()
    assert json.loads((tmp_path / "chat.json").read_text())
    page.get_by_label("More", exact=True).click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Import…").click()
    chooser.value.set_files(tmp_path / "chat.json")
    expect(page.locator("#toasts")).to_contain_text("1 chat with 2 messages imported.")
    expect(page.locator("#chats .chat")).to_have_count(2)


def test_what_cannot_be_imported_is_named_as_it_is(page: Page, tmp_path: Path) -> None:
    other, large = tmp_path / "notes.txt", tmp_path / "large.json"
    other.write_text("the old ferret")
    with large.open("wb") as file:
        file.truncate(23_000_000)
    for path, says in ((other, "notes.txt: not JSON"), (large, "`furet chat --import FILE` in a terminal")):
        page.get_by_label("More", exact=True).click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("menuitem", name="Import…").click()
        chooser.value.set_files(path)
        expect(page.locator("#toasts")).to_contain_text(says)


def test_chats_are_renamed_pinned_and_deleted(page: Page, server: Server) -> None:
    say(page, "a name to change")
    rest(page)
    page.get_by_role("button", name="Rename: a name to change").click()
    page.get_by_label("Title").fill("Better")
    page.keyboard.press("Enter")
    expect(page.locator("#chats .name")).to_have_text("Better")
    page.locator(".chat").hover()
    page.get_by_label("More for Better").click()
    page.get_by_role("menuitem", name="Pin to the top").click()
    expect(page.locator("#chats h2")).to_have_text("Pinned")
    page.locator(".chat").hover()
    page.get_by_label("More for Better").click()
    page.get_by_role("menuitem", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#chats")).to_contain_text("No chats yet")
    expect(page.locator("#welcome")).to_be_visible()


def test_who_speaks_has_the_name_that_people_know(page: Page, server: Server) -> None:
    told = {name: {"author": {"role": role}, "content": {"content_type": "text", "parts": ["Hello."]}}
            for name, role in (("a", "user"), ("b", "assistant"))}  # fmt: skip
    tree = {"a": {"parent": None, "children": ["b"]}, "b": {"parent": "a", "children": []}}
    mapping = {name: {"id": name, "message": told[name], **place} for name, place in tree.items()}
    chats = [{"title": "Elsewhere", "create_time": 1.0, "update_time": 2.0, "mapping": mapping, "current_node": "b"}]
    data = base64.b64encode(json.dumps(chats).encode()).decode()
    page.request.post(f"{server.address}/ui/api/import", data={"data": data})
    members = [{"name": name, "model": "smollm2"} for name in ("Believer", "Doubter")]
    page.request.post(f"{server.address}/ui/api/chats", data={"members": members})
    expect(page.locator("#chats .said", has_text="Believer, Doubter")).to_be_visible()
    page.locator("#chats a", has_text="Elsewhere").click()
    expect(page.locator(".answer .who")).to_contain_text("ChatGPT")


def test_a_list_that_comes_late_hides_nothing_that_was_told_since(page: Page, server: Server) -> None:
    asked = []

    def late(route: Route) -> None:
        asked.append(route)
        old = route.fetch()
        if len(asked) == 1:
            httpx.post(f"{server.address}/ui/api/chats", json={"model": "smollm2", "title": "Newer"}).raise_for_status()
            expect(page.locator("#chats a", has_text="Newer")).to_be_visible()
        route.fulfill(response=old)

    page.route("**/ui/api/chats?*", late)
    with page.expect_response("**/ui/api/chats?*"):
        page.get_by_role("button", name="smollm2").first.click()
    page.evaluate("() => new Promise((go) => setTimeout(go, 300))")  # in which the late one is shown, if it is
    expect(page.locator("#chats a", has_text="Newer")).to_be_visible()
