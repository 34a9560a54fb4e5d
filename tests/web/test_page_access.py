"""The page for those who use a keyboard, listen instead of look, or see little contrast; checked in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from web.conftest import Watched
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

# Controls that are shown and have no name; ids that occur twice; names that point nowhere.
FAULTS = """
() => {
    const shown = (each) => each.checkVisibility() && !each.closest('[aria-hidden="true"]');
    const named = (each) => each.getAttribute("aria-label") || each.textContent.trim() || each.title
        || [...(each.labels ?? [])].some((label) => label.textContent.trim());
    const controls = [...document.querySelectorAll("button, a, input, textarea, select, [role=button]")].filter(shown);
    const find = (id) => document.getElementById(id);
    const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
    const pointing = [...document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls]")];
    const pointers = ["aria-labelledby", "aria-describedby", "aria-controls"];
    return [
        ...controls.filter((each) => !named(each)).map((each) => "no name: " + each.outerHTML.slice(0, 120)),
        ...ids.filter((id, place) => ids.indexOf(id) !== place).map((id) => "id twice: " + id),
        ...pointing.flatMap((each) => pointers.map((name) => each.getAttribute(name))).filter((id) => id && !find(id)),
        ...[...document.querySelectorAll("img:not([alt])")].map(() => "image without alt"),
        ...[...document.querySelectorAll("[role=button]:not([tabindex])")].map(() => "Tab does not reach a button"),
    ];
}
"""

# Texts whose contrast with what lies behind them is below 4.5, or 3 where they are large (WCAG 2.2, 1.4.3).
PALE = """
() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        const [x, y, z] = [r, g, b].map((c) => linear(c / 255));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (each) => {
        for (let at = each; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] > 200) return colour;
        }
        return [255, 255, 255, 255];
    };
    const found = [];
    for (const each of document.querySelectorAll("body *")) {
        const text = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const seen = each.checkVisibility({ opacityProperty: true });
        if (!text || !seen || each.closest(".unseen, .skip, :disabled, noscript")) continue;
        const style = getComputedStyle(each);
        const [one, other] = [light(rgba(style.color)), light(behind(each))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        const wanted = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
        if (ratio < wanted) found.push(each.outerHTML.slice(0, 90) + " " + ratio.toFixed(2));
    }
    return found;
}
"""
ANSWER = "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n\n"
ANSWER += "```python\n# note\ndef f(x): return 'text' + str(1.5)\n```"


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    server = start("smollm2", "qwen")
    server.models.answer = ANSWER
    return server


def every_view(page: Page) -> list[tuple[str, Callable[[], None]]]:
    """The page's views, each with what opens it after the one before."""

    def talk() -> None:
        page.get_by_label("Message", exact=True).fill("hello")
        page.keyboard.press("Enter")
        page.wait_for_selector(".answer .actions")

    def settings() -> None:
        page.keyboard.press("Control+.")
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")

    def models() -> None:
        page.keyboard.press("Control+.")
        page.get_by_label("Models", exact=True).click()

    def menu() -> None:
        page.keyboard.press("Escape")
        page.get_by_label("More", exact=True).click()

    def group() -> None:
        page.get_by_role("menuitem", name="New group…").click()
        page.get_by_role("button", name="Add smollm2").click()

    def search() -> None:
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        page.keyboard.type("hel")
        page.wait_for_selector("#chats mark")

    def nothing() -> None:
        page.wait_for_selector(".hello h1")

    views = (nothing, talk, settings, models, menu, group, search)
    return [(view.__name__, view) for view in views]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_every_text_contrast(
    server: Server, visit: Callable[..., Watched], scheme: str
) -> None:
    page = visit(server, color_scheme=scheme).page
    for name, open_view in every_view(page):
        open_view()
        assert page.evaluate(FAULTS) == [], name
        assert page.evaluate(PALE) == [], name


def test_the_keyboard_goes_through_everything_in_order(server: Server, visit: Callable[..., Watched]) -> None:
    page = visit(server).page
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.evaluate("document.querySelector('.skip').focus()")
    order = []
    for _ in range(14):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    expected = ["New chat", "Models", "More", "Search all chats", "All", "qwen", "smollm2"]
    assert order[:7] == expected
    assert order[7].startswith("Memory: ") and order[8:10] == ["Say hello", "Other models"]


def test_the_field_that_is_written_in_is_seen_to_be(server: Server, visit: Callable[..., Watched]) -> None:
    page = visit(server, color_scheme="light").page
    edge = "element => getComputedStyle(element).borderColor"
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    assert page.locator("#composer .box").evaluate(edge) == "rgb(134, 80, 10)"  # 6.6 to 1 on white
    page.get_by_role("button", name="Say hello").click()
    page.get_by_label("Edit, as another branch").click()
    assert page.locator("form.edit").evaluate(edge) == "rgb(134, 80, 10)"


def test_a_page_that_is_slow_to_come_takes_no_focus_away(server: Server, visit: Callable[..., Watched]) -> None:
    page = visit(server).page
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    held: list[Route] = []
    page.route("**/start", lambda route: held.append(route))
    page.reload()
    page.get_by_label("More", exact=True).press("Enter")
    first = page.get_by_role("menuitem").first
    expect(first).to_be_focused()
    with page.expect_response("**/start"):
        held[0].continue_()
    expect(page.get_by_role("button", name="Say hello")).to_be_visible()
    expect(first).to_be_focused()


def test_dialogs_and_menus_give_the_focus_back(server: Server, visit: Callable[..., Watched]) -> None:
    page = visit(server).page
    more = page.get_by_label("More", exact=True)
    more.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()
    models = page.get_by_role("button", name="Models", exact=True)
    models.press("Enter")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(models).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys and help")).to_be_visible()


def test_an_answer_is_said_once_when_it_is_whole(server: Server, visit: Callable[..., Watched]) -> None:
    server.models.pause = 0.1  # what is there when a chat is opened is not said
    page = visit(server).page
    page.evaluate(
        """() => {
            window.said = [];
            new MutationObserver(() => window.said.push(document.getElementById("spoken").textContent))
                .observe(document.getElementById("spoken"), { childList: true });
        }"""
    )
    page.get_by_role("button", name="Say hello").click()
    page.wait_for_selector(".answer .actions")
    expect(page.locator("#spoken")).to_contain_text("Title")
    said = page.evaluate("window.said")
    assert len(said) == 1 and said[0].startswith("Title")
    assert page.locator(".body").get_attribute("aria-live") is None


@pytest.fixture
def talked(server: Server) -> str:
    """A chat that was had before."""
    chat = server.store.new_chat("smollm2", title="Ferrets").id
    for text in ("Do they sleep?", "And eat?"):
        server.store.say(chat, text)
        server.store.finish(server.store.begin(chat).id, f"# Yes\n\n{text}", state="complete")
    return chat


def test_what_was_said_before_is_found_and_not_read_out(
    server: Server, visit: Callable[..., Watched], talked: str
) -> None:
    page = visit(server).page
    with page.expect_response(lambda answer: f"events?chat={talked}" in answer.url):
        page.locator("#chats .chat a").click()
    log = page.get_by_role("log", name="Messages")
    expect(log.get_by_role("article")).to_have_count(4)
    expect(log).to_have_attribute("aria-live", "off")
    names = [each.get_attribute("aria-label") for each in log.get_by_role("article").all()]
    assert names == ["You said", "smollm2 said"] * 2
    headings = log.get_by_role("heading", level=2)
    expect(headings).to_have_count(4)
    expect(page.get_by_role("heading", name="Ferrets", level=1)).to_be_visible()
    expect(page.locator("#field")).to_be_focused()
    page.request.patch(f"{server.address}/ui/api/chats/{talked}", data={"title": "Sleep"})
    expect(page.get_by_role("heading", name="Sleep", level=1)).to_be_visible()  # all that was told before has come
    expect(page.locator("#spoken")).to_have_text("Ferrets: 4 messages.")
    server.models.held.set()
    page.get_by_label("Answer again").last.click()
    expect(log.get_by_role("article", name="smollm2 is writing")).to_be_visible()
    server.models.held.clear()
    expect(page.locator("#spoken")).to_contain_text("Title")


def test_on_a_phone_what_is_opened_is_read_before_a_keyboard_comes(
    server: Server, visit: Callable[..., Watched], talked: str
) -> None:
    page = visit(server, f"/ui/#/{talked}", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    expect(page.get_by_role("log", name="Messages")).to_be_focused()
    page.get_by_label("Show chats").click()
    page.get_by_label("New chat", exact=True).click()
    expect(page.locator("#field")).to_be_focused()
