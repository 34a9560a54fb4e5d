"""Contrastive search against its definition, which computes every candidate from the first token on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
from test_hands import assert_idle
from test_kinds import load as of_kind
from tiny_prompt import PROMPT

from furet.engine.backend import Run
from furet.engine.request import Request
from furet.errors import BadRequest, ContextOverflow

FREE = {"ignore_eos": True}


def rows_of(model, tokens):
    """The logits of every token, and what they are made of. [T, V], [T, C]"""
    backend = model._scheduler._backend
    cache = backend.new_cache(len(tokens))
    logits, hidden = (np.empty((len(tokens), n), np.float32) for n in (backend.vocab, backend.width))
    for at in range(0, len(tokens), backend.max_rows):
        part = tokens[at : at + backend.max_rows]
        backend.step([Run(part, cache, len(part))], logits[at : at + len(part)])
        backend.hidden(hidden[at : at + len(part)])
    return logits, hidden


def defined(model, prompt, alpha, count, max_tokens):
    tokens = list(prompt)
    for _ in range(max_tokens):
        logits = rows_of(model, tokens)[0][-1].astype(np.float64)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        scores = {}
        for token in np.argsort(-logits, kind="stable")[:count]:
            hidden = rows_of(model, [*tokens, int(token)])[1].astype(np.float64)
            hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
            scores[int(token)] = (1 - alpha) * shares[token] - alpha * (hidden[:-1] @ hidden[-1]).max()
        tokens.append(max(scores, key=scores.__getitem__))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_hidden_rows_are_what_logits_are_made_of(load, tmp_path, backend, architecture):
    cap = 5.0
    keys = {"final_logit_softcapping": cap} if architecture == "gemma2" else {}
    made = tiny.model(architecture, tokenizer=True, keys=keys)
    model = load(tiny.write(tmp_path / "m.gguf", made), backend=backend)
    logits, hidden = rows_of(model, PROMPT)
    head = made.blocks["output.weight" if "output.weight" in made.blocks else "token_embd.weight"]
    expected = hidden @ head.view(np.float32).reshape(-1, 64).T
    if architecture == "gemma2":
        expected = cap * np.tanh(expected / cap)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("alpha", "count"), [(0.6, 4), (0.2, 8), (0.9, 2), (1.0, 16)])
def test_every_token_is_that_of_the_definition(load, alpha, count):
    model = load(sequences=4)
    for prompt in (PROMPT, PROMPT * 6):
        out = model.generate(prompt, penalty_alpha=alpha, top_k=count, max_tokens=20, **FREE)
        assert out.tokens == defined(model, prompt, alpha, count, 20)
    assert_idle(model)


def test_it_is_not_greedy(load):
    model = load(sequences=4)
    plain = model.generate(PROMPT, temperature=0, max_tokens=20, **FREE)
    assert model.generate(PROMPT, penalty_alpha=0.6, top_k=4, max_tokens=20, **FREE).tokens != plain.tokens


@pytest.mark.parametrize("types", ["Q8_0", "Q4_K"])
def test_coarse_weights(load, tmp_path, types):
    path = tiny.write(tmp_path / "m.gguf", tiny.model(types=types, tokenizer=True, C=256, F=256))
    model = load(path, sequences=4, threads=2)
    out = model.generate(PROMPT, penalty_alpha=0.5, top_k=4, max_tokens=15, **FREE)
    assert out.tokens == defined(model, PROMPT, 0.5, 4, 15)


@pytest.mark.parametrize("settings", [{"sequences": 1}, {"chunk": 4}, {"sequences": 2, "threads": 2}], ids=str)
def test_the_same_in_any_room(load, settings):
    options = {"penalty_alpha": 0.6, "top_k": 4, "max_tokens": 60, **FREE}
    assert load(**settings).generate(PROMPT * 5, **options).tokens == load(sequences=8).generate(
        PROMPT * 5, **options
    ).tokens


def test_beside_others(load):
    model, alone = load(sequences=2), load(sequences=4)
    prompts = [[n, *PROMPT * 4] for n in range(4)]
    options = [{"penalty_alpha": 0.6, "top_k": 3} if n % 2 else {"seed": n} for n in range(4)]
    with ThreadPoolExecutor(4) as threads:
        jobs = [
            threads.submit(model.generate, prompt, max_tokens=40, **FREE, **option)
            for prompt, option in zip(prompts, options, strict=True)
        ]
        found = [job.result(timeout=60).tokens for job in jobs]
    assert found == [
        alone.generate(prompt, max_tokens=40, **FREE, **option).tokens
        for prompt, option in zip(prompts, options, strict=True)
    ]
    assert_idle(model)


def test_a_state_that_cannot_be_cut(tmp_path):
    with of_kind("mamba", tmp_path, "native", context=64, sequences=2) as model:
        out = model.generate([3, 4, 5, 6], penalty_alpha=0.6, top_k=3, max_tokens=8, **FREE)
        assert out.tokens == defined(model, [3, 4, 5, 6], 0.6, 3, 8)


def test_stops_logprobs_and_the_end_of_the_context(load):
    model = load(sequences=4)
    options = {"penalty_alpha": 0.6, "top_k": 4, **FREE}
    free = model.generate(PROMPT, max_tokens=20, logprobs=1, **options)
    assert [each.token for each in free.logprobs] == free.tokens
    cut = model.generate(PROMPT, max_tokens=20, stop=free.text[3:5], **options)
    assert cut.finish_reason == "stop" and free.text.startswith(cut.text)
    assert len(load(context=64).generate(PROMPT, max_tokens=None, **options).tokens) == 64 - len(PROMPT)
    with pytest.raises(ContextOverflow):
        load(context=64).generate([3] * 64, **options)


def test_what_is_refused(tmp_path):
    for options, field in (
        ({"penalty_alpha": 1.5}, "penalty_alpha"),
        ({"penalty_alpha": 0.6}, "top_k"),
        ({"penalty_alpha": 0.6, "top_k": 1}, "top_k"),
        ({"penalty_alpha": 0.6, "top_k": 17}, "top_k"),
        ({"penalty_alpha": 0.6, "top_k": 4, "temperature": 0.5}, "temperature"),
        ({"penalty_alpha": 0.6, "top_k": 4, "guidance": 2}, "guidance"),
        ({"penalty_alpha": 0.6, "top_k": 4, "choices": ["a"]}, "choices"),
        ({"beams": 2, "penalty_alpha": 0.6}, "penalty_alpha"),
    ):
        with pytest.raises(BadRequest, match=f"^{field}:"):
            Request(**options)
    with of_kind("t5", tmp_path) as model, pytest.raises(BadRequest, match="answers texts"):
        model.generate([3, 4, 5], penalty_alpha=0.5, top_k=4)


def test_the_core_gives_no_other_bytes(load):
    compiled = load()._scheduler._backend._compiled
    buffer, width = compiled.hidden
    for number, shape in ((-1, (1, width)), (10_000, (1, width)), (buffer, (1, width + 1)), (buffer, (17, width))):
        with pytest.raises(ValueError, match=r"buffer|read"):
            compiled.program.read(number, np.empty(shape, np.float32))
    with pytest.raises(ValueError, match="floats for rows"):  # the embedding's, of tokens
        compiled.program.read(0, np.empty((1, 64), np.float32))
