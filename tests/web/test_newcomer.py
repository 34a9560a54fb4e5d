"""What somebody does who opens the page for the first time, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from web.acting import rest, say

from furet.errors import WorkerDied

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from web.conftest import Watched
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
ANSWER = "Here is a table:\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\nand code:\n\n```python\nprint('ferret')\n```\n\nDone."


def test_the_first_screen_names_the_model_and_what_it_needs(page: Page) -> None:
    expect(page.locator(".default")).to_contain_text("smollm2")
    expect(page.locator(".default")).to_contain_text("98 MB on this disk, needs 288 MB of memory")
    page.get_by_role("button", name="Say hello").click()
    expect(page.locator(".answer .rendered")).to_have_text("You said: Hello")
    expect(page.locator("#chats .chat .name")).to_have_text("Hello")


def test_without_a_model_one_is_fetched_first(start: Callable[..., Server], visit: Callable[..., Watched]) -> None:
    server = start()
    server.models.held.set()
    page = visit(server).page
    page.get_by_role("button", name="Fetch it").click()
    expect(page.get_by_role("progressbar", name="Download")).to_be_visible()
    page.reload()
    expect(page.get_by_role("progressbar", name="Download")).to_be_visible()  # it goes on without the page
    server.models.held.clear()
    expect(page.get_by_role("button", name="Say hello")).to_be_visible()


def test_an_answer_with_a_table_and_code_grows_and_is_kept(page: Page, server: Server) -> None:
    server.models.answer = ANSWER
    server.models.pause = 0.005
    say(page, "Show me <b>everything</b>")
    rest(page)
    expect(page.locator(".user .text")).to_have_text("Show me <b>everything</b>")
    expect(page.locator(".answer td.right")).to_have_text("2")
    expect(page.locator(".answer .nb")).to_have_text("print")
    shown = page.locator(".answer .body").inner_html()
    page.reload()
    rest(page)
    assert page.locator(".answer .body").inner_html() == shown  # whole, it is what it was in pieces
    page.get_by_label("Copy the code").click()
    assert page.evaluate("navigator.clipboard.readText()") == "print('ferret')\n"


def test_a_thought_is_folded_and_stays_open_for_who_opened_it(page: Page, server: Server) -> None:
    server.models.answer = "<think>Well, **ferrets** sleep.</think>\n\nThey sleep."
    server.models.pause = 0.03
    server.models.held.set()
    say(page, "What do ferrets do?")
    thought = page.locator(".answer summary")
    expect(thought).to_have_text("Thinking…")
    thought.click()
    expect(thought).to_be_focused()
    server.models.held.clear()
    expect(thought).to_have_text("Thought")
    rest(page)
    expect(page.locator(".answer details strong")).to_be_visible()
    expect(thought).to_be_focused()
    expect(page.locator("#spoken")).to_have_text("They sleep.")
    page.get_by_label("Copy", exact=True).last.click()
    assert page.evaluate("navigator.clipboard.readText()") == server.models.answer
    page.reload()
    expect(thought).to_have_text("Thought")
    expect(page.locator(".answer details strong")).to_be_hidden()
    page.get_by_label("Edit this answer, as another branch").click()
    expect(page.get_by_label("New wording")).to_have_value(server.models.answer)


def test_stop_keeps_what_was_written_and_going_on_adds_to_it(page: Page, server: Server) -> None:
    server.models.answer = "one two three four five six seven"
    server.models.held.set()
    say(page, "Count")
    expect(page.locator(".answer .rendered")).to_contain_text("o")
    expect(page.locator(".send.stop")).to_be_visible()
    page.keyboard.press("Escape")
    rest(page)
    expect(page.locator(".facts")).to_contain_text("stopped")
    kept = page.locator(".answer .rendered").inner_text()
    assert kept and "one two three four five six seven".startswith(kept)
    server.models.held.clear()
    server.models.answer = "!!"
    page.get_by_label("Go on writing").click()
    rest(page)
    expect(page.locator(".answer .rendered")).to_have_text(f"{kept}!!")
    assert server.models.jobs[-1][1].resume


def test_the_way_down_goes_when_a_shorter_branch_leaves_nothing_below(page: Page, server: Server) -> None:
    server.models.answer = "word  \n" * 200
    say(page, "at length")
    rest(page)
    page.get_by_label("Message", exact=True).press("ArrowUp")
    expect(page.locator("#down")).to_be_visible()
    server.models.answer = "short"
    page.get_by_label("New wording").fill("in short")
    page.get_by_label("New wording").press("Enter")
    expect(page.locator(".answer .rendered")).to_have_text("short")
    rest(page)
    expect(page.locator("#down")).to_be_hidden()


def test_answers_again_and_edits_are_branches_that_can_be_gone_through(page: Page, server: Server) -> None:
    say(page, "first")
    rest(page)
    server.models.answer = "another answer"
    page.get_by_label("Answer again").click()
    expect(page.locator(".answer .rendered")).to_have_text("another answer")
    rest(page)
    expect(page.locator(".answer .branches")).to_contain_text("2/2")
    page.get_by_label("Earlier branch").click()
    expect(page.locator(".answer .rendered")).to_have_text("You said: first")

    server.models.answer = None
    page.get_by_label("Message", exact=True).press("ArrowUp")
    field = page.get_by_label("New wording")
    expect(field).to_have_value("first")
    field.fill("second")
    field.press("Enter")
    expect(page.locator(".answer .rendered")).to_have_text("You said: second")
    rest(page)
    expect(page.locator(".user .branches")).to_contain_text("2/2")
    page.locator(".user").get_by_label("Earlier branch").click()
    expect(page.locator(".answer .rendered")).to_have_text("another answer")  # the newest of what follows
    page.locator(".user").hover()
    page.locator(".user").get_by_label("Delete this and all that follows").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".answer .rendered")).to_have_text("You said: second")


def test_a_reload_in_the_middle_of_an_answer_loses_and_doubles_nothing(page: Page, server: Server) -> None:
    server.models.answer = "\n\n".join(f"paragraph {number} of many" for number in range(60))
    server.models.pause = 0.004
    say(page, "Write a lot")
    for _ in range(3):
        page.wait_for_timeout(150)
        page.reload()
    expect(page.locator(".answer .rendered")).to_have_count(60)
    rest(page)
    assert page.locator(".answer .rendered").all_inner_texts() == server.models.answer.split("\n\n")
    assert len(server.models.jobs) == 1


def test_two_windows_see_the_same_answer(
    page: Page, server: Server, visit: Callable[..., Watched], tmp_path: Path
) -> None:
    server.models.held.set()
    say(page, "for both of us")
    expect(page.locator(".writing")).to_be_visible()
    other = visit(server, "/ui/" + page.url.partition("/ui/")[2]).page
    expect(other.locator(".writing")).to_be_visible()
    server.models.held.clear()
    for each in (page, other):
        expect(each.locator(".answer .rendered")).to_have_text("You said: for both of us")
        rest(each)
    say(other, "from the other")
    expect(page.locator(".answer .rendered").last).to_have_text("You said: from the other")


def test_a_failure_is_told_in_a_sentence_and_can_be_tried_again(page: Page, server: Server) -> None:
    server.models.failure = WorkerDied("smollm2 died while it answered", "try again; it is started anew")
    say(page, "a question that is long enough to fail in the middle")
    expect(page.get_by_role("alert")).to_contain_text("smollm2 died while it answered. Try again. It is started anew.")
    page.get_by_role("button", name="Try again").click()
    rest(page)
    expect(page.locator(".answer .rendered")).to_have_text(re.compile("^You said: a question"))


def test_long_chats_are_shown_from_the_end_and_loaded_upwards(page: Page, server: Server) -> None:
    chat = server.store.new_chat("smollm2", title="Long")
    for number in range(130):
        server.store.say(chat.id, f"line {number}")
    page.goto(f"{server.address}/ui/#/{chat.id}")
    page.reload()
    expect(page.locator(".user .text").last).to_have_text("line 129")
    assert page.locator(".user").count() <= 80
    for _ in range(6):
        page.locator("#scroll").evaluate("element => { element.scrollTop = 0; }")
        page.wait_for_timeout(60)
    expect(page.locator(".user .text").first).to_have_text("line 0")


def test_dark_is_dark_and_stays(page: Page) -> None:
    page.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="Colours: as the system").click()
    page.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="Colours: light").click()
    page.reload()
    colour = page.locator("#talk").evaluate("element => getComputedStyle(element).backgroundColor")
    assert max(map(int, re.findall(r"\d+", colour)[:3])) < 60


def test_when_the_server_goes_away_the_page_says_so(page: Page, server: Server) -> None:
    say(page, "hello")
    rest(page)
    page.route("**/ui/api/**", lambda route: route.abort())
    page.get_by_label("Message", exact=True).fill("are you there?")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Is `furet serve` still running?")
    expect(page.get_by_label("Message", exact=True)).to_have_value("are you there?")
