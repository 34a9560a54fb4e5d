"""Settings, groups and models, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from web.acting import rest, say

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


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


def test_a_setting_belongs_to_the_chat_that_was_open(page: Page, server: Server) -> None:
    one, other = (server.store.new_chat("smollm2", title=title, settings={"top_k": 7}).id for title in ("one", "other"))
    page.reload()
    page.locator("#chats a", has_text="one").click()
    expect(page.locator("#title")).to_contain_text("one")
    page.keyboard.press("Control+.")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_label("Temperature", exact=True).fill("0.3")
        page.locator("#chats a", has_text="other").click()
        expect(page.locator("#title")).to_contain_text("other")
    assert server.store.chat(one).settings == {"top_k": 7, "temperature": 0.3}
    assert server.store.chat(other).settings == {"top_k": 7}


def test_a_setting_that_is_refused_holds_up_no_other(page: Page, server: Server) -> None:
    chat = server.store.new_chat("smollm2", title="one").id
    page.reload()
    page.locator("#chats a", has_text="one").click()
    expect(page.locator("#title")).to_contain_text("one")
    page.keyboard.press("Control+.")
    page.get_by_label("Seed", exact=True).fill("1e30")
    expect(page.locator("#toasts")).to_contain_text("wanted a whole number")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_label("Temperature", exact=True).fill("0.3")
    assert server.store.chat(chat).settings == {"temperature": 0.3}
    page.locator("#preset").focus()
    page.locator("#preset").select_option(index=1)
    expect(page.locator("#toasts")).to_contain_text("holds from the next answer on")
    expect(page.locator("#preset")).to_be_focused()


def test_in_a_group_each_answers_in_turn_or_when_called(page: Page, server: Server) -> None:
    page.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="New group…").click()
    page.get_by_role("button", name="Add smollm2").click()
    page.get_by_role("button", name="Add qwen").click()
    page.get_by_label("Name of qwen").fill("smollm2")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("dialog")).to_be_visible()  # two of the same name could not be called
    page.get_by_label("Name of qwen").fill("x" * 41)
    expect(page.get_by_label("Name of qwen")).to_have_value("x" * 40)
    page.get_by_label("Name of qwen").fill("Doubter")
    page.get_by_label("What qwen is told").fill("You doubt everything.")
    page.route("**/ui/api/chats", lambda route: route.abort(), times=1)
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#toasts")).to_contain_text("does not answer")
    expect(page.get_by_label("What qwen is told")).to_have_value("You doubt everything.")
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


@pytest.mark.parametrize("where", ["Other models", "More for qwen"])
def test_a_button_can_be_pressed_while_a_download_goes_on(page: Page, server: Server, where: str) -> None:
    server.models.pause = 0.2
    if where != "Other models":
        page.get_by_label("Models", exact=True).click()
    page.request.post(f"{server.address}/ui/api/models/pull", data={"ref": "hf:a/b"})
    if where != "Other models":
        expect(page.get_by_role("progressbar", name="Download of hf:a/b")).to_be_visible()
    page.get_by_role("button", name=where).hover()
    page.mouse.down()
    page.wait_for_timeout(500)  # in which more of it has come
    page.mouse.up()
    expect(page.get_by_role("menu" if where != "Other models" else "dialog")).to_be_visible()
