"""What people do on the page again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


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
