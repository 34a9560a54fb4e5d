"""Texts that want to run: as answers in random pieces, as messages, titles, names and imports. Nothing runs, nothing
goes out, the policy of the page is never even asked."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from web.vectors import VECTORS

from furet.serve.page.markdown import Growing, render
from furet.serve.page.sanitise import _TAGS

if TYPE_CHECKING:
    from web.conftest import Watched
    from web.pretended import Server

ATTRIBUTES = {
    "a": {"href", "title", "rel", "target"},
    "ol": {"start"},
    "span": {"class"},
    "th": {"class"},
    "td": {"class"},
}

TITLES = [" ".join(vector.split())[:190] for vector in VECTORS[:40] if vector.isprintable()]

TOUCHED = """
[...document.querySelectorAll(".rendered *")].every((each) => {
    each.dispatchEvent(new Event("mouseover", { bubbles: true }));
    return [...each.attributes].every((one) => !one.name.startsWith("on"));
})
"""


class _Strict(HTMLParser):
    """Fails at the first element or attribute that is not on the list."""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS
        for name, value in attributes:
            assert name in ATTRIBUTES.get(tag, set()), (tag, name)
            if name == "href":
                assert value and value.split(":")[0] in ("http", "https", "mailto")
            if name == "rel":
                assert value == "noopener noreferrer nofollow"

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


def strict(html: str) -> None:
    parser = _Strict()
    parser.feed(html)
    parser.close()


def test_there_are_enough_vectors() -> None:
    assert len(set(VECTORS)) >= 250


@pytest.mark.parametrize("seed", range(3))
def test_what_is_rendered_has_nothing_but_what_is_allowed(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(100):
        text = (
            "\n\n".join(generator.sample(VECTORS, 3))
            if generator.random() < 0.5
            else "".join(generator.sample(VECTORS, 3))
        )
        blocks = render(text)
        for block in blocks:
            strict(block)
        growing, shown, at = Growing(), list[str](), 0
        while at < len(text):
            size = generator.randint(1, 40)
            growing.feed(text[at : at + size])
            at += size
            frame = growing.frame()
            for block in frame.blocks:
                strict(block)
            shown[frame.first :] = frame.blocks
        assert tuple(block.replace("Thinking…", "Thought") for block in shown) == blocks


@pytest.mark.parametrize("vector", VECTORS)
def test_a_thought_holds_what_is_in_it(vector: str) -> None:
    whole = render(f"<think>{vector}</think>The answer.")
    for block in whole:
        strict(block)
    folds = [block for block in whole if "<details" in block]
    assert len(folds) == (not vector.startswith("</think>")) and folds == list(whole[: len(folds)])
    assert all(fold.count("<details>") == fold.count("<summary>") == fold.count("</details>") == 1 for fold in folds)
    assert all(fold.startswith("<details><summary>Thought</summary>") and fold.endswith("</details>") for fold in folds)


def test_answers_messages_titles_and_names(start: Callable[..., Server], visit: Callable[..., Watched]) -> None:
    server = start("smollm2", "<img src=x onerror=window.broken.push(1)>")
    watched = visit(server)
    page = watched.page
    page.wait_for_selector(".hello h1")
    parts = [VECTORS[start : start + 45] for start in range(0, len(VECTORS), 45)]
    for number, part in enumerate(parts):
        text = "\n\n".join(part)
        server.models.answer = f"<think>{text}</think>{text}" if number % 2 else text
        chat = server.store.new_chat("smollm2" if number % 2 else server.models.names[1], title=TITLES[number])
        server.store.change(chat.id, system=part[0])
        page.evaluate("(id) => { location.hash = '#/' + id; }", chat.id)
        page.wait_for_function("(title) => document.title.startsWith(title)", arg=TITLES[number])
        page.fill("#field", text)
        page.keyboard.press("Enter")
        page.wait_for_selector(".answer .actions")
        assert page.locator(".user .text").evaluate("element => element.children.length") == 0
        for thought in page.locator("summary").all():
            thought.click()
        assert page.evaluate(TOUCHED)
    page.keyboard.press("Control+k")
    page.keyboard.type("script")
    page.wait_for_selector("#chats mark")
    watched.check()


def test_links_leave_without_telling_and_only_when_they_are_clicked(
    start: Callable[..., Server], visit: Callable[..., Watched]
) -> None:
    server = start("smollm2")
    server.models.answer = "[out](http://outside.invalid/x) ![image](http://outside.invalid/y.png)"
    page = visit(server).page
    page.get_by_role("button", name="Say hello").click()
    page.wait_for_selector(".answer .actions")
    for link in page.locator(".rendered a").all():
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("target") == "_blank"
    assert page.locator(".rendered img").count() == 0


def test_imports_are_text_as_well(start: Callable[..., Server], visit: Callable[..., Watched]) -> None:
    server = start("smollm2")
    watched = visit(server)
    page = watched.page
    messages = {}
    for number, vector in enumerate(VECTORS[:50]):
        said = {"content_type": "text", "parts": [vector]}
        messages[f"m{number}"] = {
            "id": f"m{number}",
            "parent": f"m{number - 1}" if number else None,
            "children": [f"m{number + 1}"] if number < 49 else [],
            "message": {"author": {"role": "assistant" if number % 2 else "user"}, "content": said},
        }
    document = [
        {"title": VECTORS[0], "create_time": 1.0, "update_time": 2.0, "mapping": messages, "current_node": "m49"}
    ]
    body = {"name": VECTORS[1], "data": base64.b64encode(json.dumps(document).encode()).decode()}
    given = page.request.post(server.address + "/ui/api/import", data=body)
    assert given.status == 201, given.text()
    page.locator("#chats .chat a").click()
    page.wait_for_selector(".answer .rendered")
    watched.check()


def test_a_script_in_the_page_could_not_be_made_from_text(
    start: Callable[..., Server], visit: Callable[..., Watched]
) -> None:
    """The policy works: what the tests above find nothing of would be found."""
    page = visit(start("smollm2")).page
    broken: Any = page.evaluate(
        """() => {
            const fails = (act) => { try { act(); return false; } catch { return true; } };
            return [
                fails(() => { document.createElement("div").innerHTML = "<b>x</b>"; }),
                fails(() => { document.createElement("script").text = "1"; }),
                fails(() => trustedTypes.createPolicy("other", {})),
                fails(() => trustedTypes.createPolicy("furet", {})),
            ];
        }"""
    )
    assert broken == [True, True, True, True]
    page.evaluate("document.head.append(Object.assign(document.createElement('style'), { textContent: 'p {}' }))")
    page.wait_for_function("window.broken.length >= 5")
    page.evaluate("window.broken = []")
