"""Classifier-free guidance against its definition, and together with what else an answer may be asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from test_hands import assert_idle
from test_kinds import load as of_kind
from tiny_prompt import PROMPT

from furet.engine.guidance import combined
from furet.engine.request import Request
from furet.errors import BadRequest, ContextOverflow


def defined(wanted, other, guidance):
    """The guided log-probabilities, in float64."""
    a, b = (row - row.max() - np.log(np.exp(row - row.max()).sum()) for row in (wanted, other))
    return b + guidance * (a - b)


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.5, 4.0])
def test_the_definition(guidance):
    random = np.random.default_rng(1)
    rows = random.normal(scale=5, size=(2, 5000)).astype(np.float32)
    before = rows.copy()
    expected = defined(*rows.astype(np.float64), guidance)
    np.testing.assert_allclose(combined(*rows, guidance), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("negative", [None, "away from this"])
def test_every_token_is_the_best_of_the_guided(load, negative):
    model = load(sequences=2)
    out = model.generate(
        PROMPT * 4, guidance=3, negative_prompt=negative, temperature=0, max_tokens=30, ignore_eos=True, logprobs=2
    )
    other = PROMPT[-1:] if negative is None else model.tokens(negative)
    rows = [model.logits([*prompt, *out.tokens[:-1]])[-30:].astype(np.float64) for prompt in (PROMPT * 4, other)]
    for token, logprob, a, b in zip(out.tokens, out.logprobs, *rows, strict=True):
        guided = defined(a, b, 3.0)
        guided -= np.log(np.exp(guided - guided.max()).sum()) + guided.max()
        assert token == int(guided.argmax())
        assert logprob.logprob == pytest.approx(guided[token], abs=1e-4)
        assert logprob.top[0][0] == token
    assert out.tokens != model.generate(PROMPT * 4, temperature=0, max_tokens=30, ignore_eos=True).tokens


def test_seeds_stops_and_forms(load):
    model = load(sequences=2)
    options = {"guidance": 2.0, "seed": 5, "max_tokens": 40, "ignore_eos": True}
    free = model.generate(PROMPT, **options)
    assert free.tokens == load().generate(PROMPT, **options).tokens  # in room for one
    assert free.text != model.generate(PROMPT, **{**options, "seed": 6}).text
    cut = model.generate(PROMPT, stop=free.text[5:7], **options)
    assert cut.finish_reason == "stop" and free.text.startswith(cut.text) and cut.stop == free.text[5:7]
    form = model.generate(PROMPT, regex="(ab|cd){3}", guidance=2.0)
    assert len(form.text) == 6 and set(form.text) <= set("abcd") and form.finish_reason == "stop"


def test_pieces_come_as_they_are_made(load):
    model = load(sequences=2)
    stream = model.stream(PROMPT, guidance=2, max_tokens=50, ignore_eos=True)
    pieces = [next(stream) for _ in range(3)]
    stream.close()
    assert stream.completion.tokens == [piece.token for piece in pieces]
    assert_idle(model)


def test_two_at_once_in_one_context(load):
    model, alone = load(), load(sequences=4)
    options = {"guidance": 1.5, "seed": 1, "max_tokens": 60, "ignore_eos": True}
    prompts = [[n, *PROMPT * 4] for n in range(3)]
    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(model.generate, prompt, **options) for prompt in prompts]
        found = [job.result(timeout=60).tokens for job in jobs]
    assert found == [alone.generate(prompt, **options).tokens for prompt in prompts]
    assert_idle(model)


def test_progress(load):
    seen = []
    load().generate(PROMPT, guidance=2, max_tokens=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 13), (13, 13)]


def test_what_is_refused(load, tmp_path):
    for options, field in (
        ({"guidance": -1}, "guidance"),
        ({"guidance": "2"}, "guidance"),
        ({"negative_prompt": "x"}, "negative_prompt"),
        ({"guidance": 2, "negative_prompt": ""}, "negative_prompt"),
        ({"guidance": 2, "negative_prompt": 3}, "negative_prompt"),
    ):
        with pytest.raises(BadRequest, match=f"^{field}:"):
            Request(**options)
    with pytest.raises(ContextOverflow):
        load(context=64).generate(PROMPT, guidance=2, negative_prompt="a" * 100)
    with of_kind("t5", tmp_path) as model, pytest.raises(BadRequest, match="answers texts"):
        model.generate([3, 4, 5], guidance=2)


def test_a_long_negative_prompt_leaves_less_room(load):
    out = load(context=64).generate(
        PROMPT, guidance=2, negative_prompt="a" * 60, max_tokens=None, ignore_eos=True, temperature=0
    )
    assert 0 < len(out.tokens) < 64 - len(PROMPT) and out.finish_reason == "length"
