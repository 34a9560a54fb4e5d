"""The page on a phone, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from web.acting import rest

if TYPE_CHECKING:
    from web.conftest import Watched
    from web.pretended import Server

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
ANSWER = "Here is a table:\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\nand code:\n\n```python\nprint('ferret')\n```\n\nDone."


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
    expect(page.get_by_label("New chat", exact=True)).to_be_focused()  # a field would bring up the keyboard
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
