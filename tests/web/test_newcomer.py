"""What somebody does who opens the page for the first time, in a real browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from furet.errors import WorkerDied

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from web.conftest import Watched
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
ANSWER = "Here is a table:\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\nand code:\n\n```python\nprint('ferret')\n```\n\nDone."


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start("smollm2", "qwen")


@pytest.fixture
def page(visit: Callable[..., Watched], server: Server) -> Page:
    page = visit(server).page
    expect(page.locator("h1")).to_have_text("Hello. Nice to have you here.")
    return page


def say(page: Page, text: str) -> None:
    """Say it, and wait until an answer has begun."""
    answers = page.locator(".answer").count()
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".answer").nth(answers)).to_be_visible()


def rest(page: Page) -> None:
    """Wait until nobody is answering."""
    expect(page.locator(".writing")).to_have_count(0)
    expect(page.locator(".send:not(.stop)")).to_be_visible()


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
    expect(page.get_by_role("alert")).to_contain_text("Smollm2 died while it answered. Try again; it is started anew.")
    page.get_by_role("button", name="Try again").click()
    rest(page)
    expect(page.locator(".answer .rendered")).to_have_text(re.compile("^You said: a question"))


def test_settings_of_a_chat_reach_the_model_and_can_be_kept_as_a_preset(page: Page, server: Server) -> None:
    say(page, "hello")
    rest(page)
    page.keyboard.press("Control+.")
    drawer = page.get_by_role("complementary", name="Settings of this chat")
    expect(drawer.locator("#use-text")).to_contain_text("of 2,048 tokens")
    drawer.get_by_label("What it is told beforehand").fill("You are a ferret.")
    drawer.get_by_label("Temperature", exact=True).fill("9")
    drawer.get_by_label("Temperature", exact=True).fill("0.3")
    drawer.get_by_label("Stop at").fill("END\n\\n\\n")
    with page.expect_response(lambda answer: "END" in (answer.request.post_data or "")):
        pass
    drawer.get_by_role("button", name="Keep these as a preset").click()
    page.get_by_label("Name", exact=True).fill("Ferret")
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(drawer.locator("#preset")).to_contain_text("Ferret")
    page.keyboard.press("Control+.")
    expect(drawer).to_be_hidden()
    say(page, "again")
    rest(page)
    job = server.models.jobs[-1][1]
    assert job.messages[0] == {"role": "system", "content": "You are a ferret."}
    assert job.options["temperature"] == 0.3 and job.options["stop"] == ["END", "\n\n"]


def test_in_a_group_each_answers_in_turn_or_when_called(page: Page, server: Server) -> None:
    page.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="New group…").click()
    page.get_by_role("button", name="Add smollm2").click()
    page.get_by_role("button", name="Add qwen").click()
    page.get_by_label("Name of qwen").fill("smollm2")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("dialog")).to_be_visible()  # two of the same name could not be called
    page.get_by_label("Name of qwen").fill("Doubter")
    page.get_by_label("What qwen is told").fill("You doubt everything.")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("h1")).to_have_text("smollm2 and Doubter are listening.")
    say(page, "who is there?")
    expect(page.locator(".answer")).to_have_count(2)
    rest(page)
    assert [model for model, _ in server.models.jobs] == ["smollm2", "qwen"]
    assert server.models.jobs[1][1].messages[0] == {"role": "system", "content": "You doubt everything."}
    assert "smollm2: You said" in server.models.jobs[1][1].messages[-1]["content"]
    say(page, "@doubter only you")
    expect(page.locator(".answer")).to_have_count(3)
    rest(page)
    assert [model for model, _ in server.models.jobs] == ["smollm2", "qwen", "qwen"]


def test_search_finds_a_message_and_goes_to_it(page: Page, server: Server) -> None:
    for text in ("the marigold is orange", "the ferret is brown"):
        say(page, text)
        rest(page)
        page.keyboard.press("Control+Shift+O")
        expect(page.locator("#welcome")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("marig")
    expect(page.locator("#chats mark").first).to_have_text("marig")
    page.keyboard.press("Enter")
    expect(page.locator(".user .text")).to_have_text("the marigold is orange")
    page.get_by_label("Search all chats").fill("xyzzy")
    expect(page.locator("#chats")).to_contain_text("Nothing found")
    page.get_by_label("Search all chats").press("Escape")
    expect(page.locator("#chats .chat")).to_have_count(2)


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


def test_models_are_planned_fetched_and_deleted(page: Page, server: Server) -> None:
    page.get_by_label("Models", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Model to fetch").fill("hf:a/b:Q4_K_M")
    dialog.get_by_role("button", name="Plan").click()
    expect(dialog.locator(".plan")).to_contain_text("288 MB")
    dialog.get_by_role("button", name="Fetch it").click()
    expect(dialog.locator(".models .name")).to_contain_text(["b:Q4_K_M"])
    dialog.get_by_label("More for qwen").click()
    page.get_by_role("menuitem", name="Wake up").click()
    expect(page.locator("#gauge")).to_contain_text("350 MB of 8.0 GB")
    dialog.get_by_label("More for qwen").click()
    page.get_by_role("menuitem", name="Delete the file…").click()
    page.get_by_role("dialog", name="Delete qwen?").get_by_role("button", name="Delete").click()
    expect(dialog.first.get_by_label("More for qwen")).to_have_count(0)


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


def test_on_a_phone_the_chats_are_a_drawer_and_nothing_is_too_wide(
    start: Callable[..., Server], visit: Callable[..., Watched]
) -> None:
    server = start("smollm2")
    server.models.answer = ANSWER + "\n\n" + "averylongword" * 40
    page = visit(server, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).page
    expect(page.locator("#side")).not_to_be_in_viewport()
    page.get_by_label("Message", exact=True).fill("hello")
    page.get_by_label("Send").click()
    rest(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#scroll").evaluate("element => element.scrollWidth - element.clientWidth") <= 0
    page.get_by_label("Show chats").click()
    expect(page.locator("#chats .chat")).to_be_in_viewport()
    page.locator("#veil").click(position={"x": 350, "y": 300})
    expect(page.locator("#side")).not_to_be_in_viewport()


def test_words_in_tables_stay_whole_on_a_phone(start: Callable[..., Server], visit: Callable[..., Watched]) -> None:
    server = start("smollm2")
    server.models.answer = (
        "| Drink | Caffeine in mg | Origin | Remarks |\n|--|--|--|--|\n| Coffee | 95 | Ethiopia | beans are roasted |"
    )
    page = visit(server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    page.get_by_role("button", name="Say hello").click()
    rest(page)
    lines = "cell => { const range = document.createRange(); range.selectNodeContents(cell); return new Set("
    lines += "[...range.getClientRects()].map((each) => each.top)).size; }"
    for word in ("Coffee", "Ethiopia"):
        assert page.get_by_role("cell", name=word).evaluate(lines) == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390


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
