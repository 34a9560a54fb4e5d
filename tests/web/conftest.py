"""A browser, a server, and a page that tells of everything that it should not do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from web.pretended import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WATCH = """
window.broken = [];
addEventListener("securitypolicyviolation", (event) =>
    window.broken.push(event.violatedDirective + " " + event.blockedURI));
addEventListener("error", (event) => window.broken.push("error " + event.message));
addEventListener("unhandledrejection", (event) => window.broken.push("rejection " + event.reason));
window.alert = window.confirm = window.prompt = () => window.broken.push("a script ran");
"""


@dataclass
class Watched:
    """A page, and what it should not have done."""

    page: Page
    server: Server
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing ran that should not, nothing went elsewhere, nothing failed."""
        assert self.page.evaluate("window.broken") == []
        assert self.outside == []
        assert self.errors == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`start("furet-one", ..., token=...)`: a server with these models."""
    with ExitStack() as stack:
        yield lambda *names, **settings: stack.enter_context(serving(tmp_path, *names, **settings))


@pytest.fixture
def visit(browser: Browser, start: Callable[..., Server]) -> Iterator[Callable[..., Watched]]:
    """`visit(server, ...)`: a page of it in a window of its own, watched; checked when the test ends."""
    seen: list[Watched] = []

    def visit(server: Server, path: str = "/", **options: Any) -> Watched:
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(20000)  # a busy machine
        watched = Watched(page, server)
        seen.append(watched)

        def looked_at(route: Any) -> None:
            if not route.request.url.startswith((server.address, "blob:", "data:")):
                watched.outside.append(route.request.url)
                route.abort()
            else:
                route.continue_()

        context.route("**/*", looked_at)
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on("dialog", lambda dialog: (watched.errors.append("a dialog"), dialog.dismiss()))
        page.goto(server.address + path)
        return watched

    yield visit
    for watched in seen:
        watched.check()
        watched.page.context.close()


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start("smollm2", "qwen")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address) as client:
        yield client


@pytest.fixture
def page(visit: Callable[..., Watched], server: Server) -> Page:
    page = visit(server).page
    page.wait_for_selector("h1:text('Hello. Nice to have you here.')")
    return page
