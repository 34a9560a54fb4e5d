"""Downloads that the page has begun, and what is kept of those that failed."""

from __future__ import annotations

import asyncio

import pytest
from serve.fake_models import FakeModels

from furet.errors import BadRequest, DownloadFailed
from furet.serve.page.board import Board
from furet.serve.page.library import MAX_FAILED, Pulls


@pytest.mark.parametrize("ref", ["/etc/passwd", "../x", "http://x/y.gguf", "small", ""])
def test_what_may_not_be_fetched_is_not_noted(models: FakeModels, ref: str) -> None:
    pulls = Pulls(models, Board())  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="model: got"):
        pulls.start(ref)
    assert pulls.view() == []


def test_of_those_that_failed_the_oldest_are_forgotten(models: FakeModels) -> None:
    models.before = DownloadFailed("no network")

    async def main() -> list[str]:
        pulls = Pulls(models, Board())  # type: ignore[arg-type]
        for number in range(MAX_FAILED + 3):
            pulls.start(f"hf:a/b{number}")
            await asyncio.wait(set(pulls._tasks.values()))
        return [each["ref"] for each in pulls.view()]

    assert asyncio.run(main()) == [f"hf:a/b{number}" for number in range(3, MAX_FAILED + 3)]
