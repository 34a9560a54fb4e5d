"""How long models stay in memory after Ollama's clients have used them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from math import inf
from time import time

import ollama
from fastapi.testclient import TestClient
from serve.fake_models import FakeModels

from furet.serve.ollama.keep import LONGEST, Departures


def test_a_request_says_how_long_its_model_stays(client: ollama.Client, models: FakeModels) -> None:
    said = [{"role": "user", "content": "one"}]
    client.chat("fake", said)
    assert models.stays == {}
    client.chat("fake", said, keep_alive="5m")
    assert models.stays == {"fake": 300}
    client.embed("fake-embed", "a", keep_alive=1.5)
    assert models.stays == {"fake": 300, "fake-embed": 1.5}


def test_the_last_word_counts(models: FakeModels) -> None:
    async def work() -> None:
        departures = Departures(models)  # type: ignore[arg-type]
        await departures.set("fake", inf)
        assert models.loaded()[0].pinned and not models.stays
        await departures.set("fake", 300)
        assert not models.loaded()[0].pinned and models.stays == {"fake": 300}
        await departures.set("fake", 0)
        assert not models.loaded()

    asyncio.run(work())


def test_what_the_operator_pinned_stays_pinned(models: FakeModels) -> None:
    async def work() -> None:
        departures = Departures(models)  # type: ignore[arg-type]
        await models.pin("fake", True)
        await departures.set("fake", inf)
        await departures.set("fake", 300)
        assert models.loaded()[0].pinned

    asyncio.run(work())


def test_what_is_in_memory_tells_when_it_leaves(http: TestClient, models: FakeModels) -> None:
    asyncio.run(models.load("fake"))
    for expires, wanted in ((time() + 42, time() + 42), (None, time() + LONGEST)):
        models._loaded["fake"] = replace(models._loaded["fake"], expires=expires)
        (shown,) = http.get("/api/ps").json()["models"]
        assert abs(datetime.fromisoformat(shown["expires_at"]).timestamp() - wanted) < 10
