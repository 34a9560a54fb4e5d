"""`furet serve MODEL --draft SMALLER`: loaded with the model, planned with it, and refused before anybody is served."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import tiny
from asking import Run, greedy, told
from parity.checkpoint import save

import furet
from furet.cli.main import main
from furet.errors import BadRequest, Busy, DoesNotFit, FuretError
from furet.serve.limits import OWN
from furet.serve.models import Models

SETTINGS: dict[str, Any] = {"threads": 1, "sequences": 2}


def other_tokens(folder: Path) -> Path:
    """A model whose 65th token is not what it is elsewhere."""
    other = tiny.model(tokenizer=True)
    words = list(other.metadata["tokenizer.ggml.tokens"])
    words[65], words[66] = words[66], words[65]
    other.metadata["tokenizer.ggml.tokens"] = words
    return tiny.write(folder / "other.gguf", other)


def serving(model: Path, draft: Path, **options: Any) -> Models:
    return Models(keep=[str(model)], draft=str(draft), **{**SETTINGS, **options})


def rows(models: Models, path: Path) -> dict[str, int]:
    """What a model in memory has taken, as its process has told."""
    worker = models._tenants.here[str(path)].worker
    assert worker is not None and worker._process is not None
    return dict(worker._process.ready.memory)


def test_answers_are_the_same_and_its_memory_is_in_the_plan(run: Run, tinies: list[Path]) -> None:
    async def use() -> None:
        models = serving(tinies[0], tinies[1])
        await models.start()
        (loaded,) = models.loaded()
        job = greedy("Once upon a time", 60)
        texts = await asyncio.gather(*(told(models.run("tiny0", job)) for _ in range(3)))
        took = rows(models, tinies[0])
        planned = await models.plan("tiny0")
        beside = (await models.plan(str(tinies[0])))["total"], (await told(models.run("tiny0", job)))[0]
        await models.close()
        with furet.load(tinies[0], draft=tinies[1], **SETTINGS) as model:
            assert took == planned["rows"] == dict(model.memory.rows)
            assert loaded.bytes == planned["total"] == model.memory.total == beside[0]
        with furet.load(tinies[0], **SETTINGS) as alone:
            assert planned["rows"]["draft"] == model.memory.total - alone.memory.total > 0
            text = alone.generate(job.prompt, **job.options).text
        assert {each for each, _ in texts} == {text} == {beside[1]}

    run(use())


def test_it_guesses_for_the_model_that_was_named_alone(run: Run, tinies: list[Path], tmp_path: Path) -> None:
    async def use() -> None:
        models = serving(tinies[0], tinies[1])
        models._given["more"] = models._given["tiny0"].__class__("more", None, 0, 0.0, str(tinies[2]))
        assert "draft" in (await models.plan("tiny0"))["rows"] and "draft" not in (await models.plan("more"))["rows"]
        await told(models.run("more", greedy("x", 2)))
        assert "draft" not in rows(models, tinies[2])
        await models.close()

    run(use())


def test_room_for_the_model_alone_is_not_enough(run: Run, tinies: list[Path]) -> None:
    with furet.load(tinies[0], **SETTINGS) as alone:
        room = OWN + alone.memory.total + 1000

    async def use() -> None:
        models = serving(tinies[0], tinies[1], memory=room, context=256)
        with pytest.raises(DoesNotFit, match=r"tiny0 needs .*draft"):
            await models.start()
        assert not models.loaded()
        await models.close()

    run(use())


@pytest.mark.parametrize("kind", ["tokens", "bert", "mamba", "no model"])
def test_what_cannot_guess_is_refused_at_the_start(
    run: Run, tinies: list[Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = tmp_path / "bad.gguf"
    if kind == "tokens":
        draft, code, says = other_tokens(tmp_path), 2, "draft: token 65 is b'B' of it and b'A' of the model"
    elif kind in ("bert", "mamba"):
        draft = tmp_path / kind
        draft.mkdir()
        save(kind, draft)
        (draft / "vocab.txt").write_text("\n".join(["[UNK]", "[CLS]", "[SEP]", "[PAD]", *map(str, range(93))]))
        code, says = 2, "draft: the draft must continue texts and keep no state"
    else:
        draft.write_bytes(b"GGUF" + bytes(100))
        code, says = 4, "bad.gguf"

    async def start() -> None:
        models = serving(tinies[0], draft)
        try:
            await models.start()
        finally:
            assert not models.loaded()
            await models.close()

    with pytest.raises(FuretError) as raised:
        run(start())
    assert raised.value.exit_code == code and says in raised.value.message
    given = ["serve", "--port", "0", "--no-page", "--threads", "1", str(tinies[0]), "--draft", str(draft)]
    assert main(given) == code
    said = capsys.readouterr()
    assert says in said.err and said.out == ""  # no address: nobody was served


@pytest.mark.parametrize("count", [0, 2])
def test_it_wants_one_model(tinies: list[Path], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    named = [str(path) for path in tinies[:count]]
    assert main(["serve", "--port", "0", "--no-page", *named, "--draft", str(tinies[3])]) == 2
    said = capsys.readouterr().err
    assert f"draft: got {count} models to load" in said and "furet serve MODEL --draft SMALLER" in said
    with pytest.raises(BadRequest, match="draft"):
        Models(keep=named, draft=str(tinies[3]))


def test_a_draft_that_is_not_here(tinies: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--offline"]):
        assert main(["serve", "--port", "0", "--no-page", str(tinies[0]), "--draft", "./none.gguf", *more]) == 3
        assert "none.gguf" in capsys.readouterr().err


def test_a_draft_is_not_deleted(run: Run, tinies: list[Path]) -> None:
    async def delete() -> None:
        models = serving(tinies[0], tinies[1])
        models._given["small"] = models._draft  # type: ignore[assignment]
        with pytest.raises(Busy, match="tiny1 guesses for tiny0"):
            await models.delete("small")
        await models.close()

    run(delete())
