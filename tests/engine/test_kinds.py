"""Models that are no plain decoders: encoders give vectors, models with both halves answer a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from parity.checkpoint import cases, save, stored

import furet
from furet.engine.ahead import MOST, Pace
from furet.errors import BadRequest, ContextOverflow

BACKENDS: list[Literal["reference", "native"]] = ["reference", "native"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]


def load(name: str, folder: Path, backend: Any = "reference", **options: Any) -> furet.Model:
    """A checkpoint of tests/parity with a vocabulary of words."""
    save(name, folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return furet.load(folder, backend=backend, threads=1, **options)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_embedding_is_the_mean_of_what_the_tokens_became(tmp_path: Path, backend: str) -> None:
    case = cases()["bert"][1]
    with load("bert", tmp_path, backend) as model:
        tokens = case.tokens(97)
        vector = model.embed([int(token) for token in tokens], normalise=False)
        rows = stored("bert").logits
        assert vector.shape == (64,) and case.length == 48
        np.testing.assert_allclose(model._outputs(list(tokens))[case.rows], rows, rtol=0, atol=0.01)
        np.testing.assert_allclose(vector, model._outputs(list(tokens)).mean(axis=0), rtol=0, atol=1e-6)


def test_texts_are_embedded_alone_and_in_any_company(tmp_path: Path) -> None:
    with load("bert", tmp_path, "native") as model:
        texts = ["w1 w2 w3", "w4", "w1 w2 w3 w5 w6 w7 w8"]
        together = model.embed(texts)
        assert together.shape == (3, 64)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, rtol=1e-6)
        for text, vector in zip(texts, together, strict=True):
            np.testing.assert_array_equal(model.embed(text), vector)


def test_a_text_longer_than_the_context_is_refused_or_cut(tmp_path: Path) -> None:
    with load("bert", tmp_path) as model:
        long = " ".join(["w1"] * 100)
        with pytest.raises(ContextOverflow, match="context holds 64"):
            model.embed(long)
        cut = " ".join(["w1"] * 62)  # with [CLS] and [SEP]
        np.testing.assert_allclose(model.embed(long, truncate=True), model.embed(cut), rtol=0, atol=1e-6)


def test_a_model_is_asked_only_for_what_it_gives(tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "llama").mkdir()
    with load("bert", tmp_path / "bert") as encoder, pytest.raises(BadRequest, match="use `embed`"):
        encoder.generate("w1")
    with load("llama", tmp_path / "llama") as decoder, pytest.raises(BadRequest, match="use `generate`"):
        decoder.embed("w1")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["t5", "t5 gated"])
def test_an_answer_depends_on_the_text_that_was_read(tmp_path: Path, name: str, backend: str) -> None:
    """The logits are those of transformers, whatever the session has read before."""
    case = cases()[name][1]
    with load(name, tmp_path, backend) as model:
        source, tokens = case.source_tokens(97).tolist(), case.tokens(97).tolist()
        wanted = stored(name).logits
        for text in (source[:5], source):
            logits = model.logits(tokens, source=text)
        np.testing.assert_allclose(logits[case.rows], wanted, rtol=0, atol=0.02 * np.abs(wanted).max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_begins_with_the_start_token_and_follows_the_logits(tmp_path: Path, backend: str) -> None:
    with load("t5 gated", tmp_path, backend) as model:
        source = list(range(5, 30))
        answer = model.generate(source, max_tokens=8, temperature=0, ignore_eos=True)
        logits = model.logits([0, *answer.tokens[:-1]], source=source)
        assert answer.tokens == logits.argmax(axis=1).tolist()
        assert answer.timings.prefill_tokens == 26


def test_a_text_longer_than_the_encoder_reads_is_refused(tmp_path: Path) -> None:
    with load("t5", tmp_path, context=64) as model, pytest.raises(ContextOverflow, match="encoder reads 64"):
        model.generate([1] * 65)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["mamba", "rwkv4"])
def test_a_state_begins_again_when_the_prompt_is_another(tmp_path: Path, name: str, backend: str) -> None:
    with load(name, tmp_path, backend, context=128) as model:
        first, other = list(range(20)), [*range(10), *range(40, 50)]
        answers = [model.generate(p, max_tokens=5, temperature=0, ignore_eos=True).tokens for p in (first, other)]
    with load(name, tmp_path, backend, context=128) as model:
        assert model.generate(other, max_tokens=5, temperature=0, ignore_eos=True).tokens == answers[1]
    assert answers[0] != answers[1]


@pytest.mark.parametrize("name", ["mamba", "rwkv4"])
def test_a_state_goes_on_after_an_answer_that_ended_by_itself(tmp_path: Path, name: str) -> None:
    with load(name, tmp_path, "native", context=128) as model:
        prompt = list(range(20))
        tokens = model.generate(prompt, max_tokens=6, temperature=0, ignore_eos=True).tokens
        last = next(n for n in range(1, 6) if tokens[n] not in tokens[:n])
        model.tokenizer.stop_ids = frozenset([tokens[last]])
        answer = model.generate([1, *prompt], max_tokens=6, temperature=0)
        turn = [1, *prompt, *answer.tokens, 5, 6]
        assert answer.finish_reason == "stop" or len(answer.tokens) == 6
        held = model.generate(turn, max_tokens=2, temperature=0, ignore_eos=True).timings.cached_tokens
        assert held >= len(turn) - 3


@pytest.mark.parametrize("name", ["mamba", "rwkv4", "t5"])
def test_guessing_ahead_leaves_states_alone_and_answers_as_they_are(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "count", lambda self: MOST)
    options = {"max_tokens": 40, "temperature": 0, "ignore_eos": True}
    with load(name, tmp_path, context=128) as model:
        ahead, plain = (model.generate([5, 6, 7] * 8, speculate=wanted, **options) for wanted in (True, False))
    assert ahead.tokens == plain.tokens
    assert name == "t5" or ahead.timings.guessed_tokens == 0
