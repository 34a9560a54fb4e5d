"""Beam search is what its definition says, whatever room there is, and leaves nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
from test_hands import assert_idle
from test_kinds import load as of_kind
from tiny_prompt import PROMPT

from furet.engine.request import Request
from furet.errors import BadRequest

SETTINGS = [
    {"beams": 2},
    {"beams": 4, "max_tokens": 12, "early_stopping": True},
    {"beams": 4, "max_tokens": 30, "length_penalty": -1.0},
    {"beams": 3, "max_tokens": 30, "length_penalty": 2.5, "early_stopping": "never"},
    {"beams": 5, "max_tokens": 30, "length_penalty": 0.0, "early_stopping": "never"},
    {"beams": 16, "max_tokens": 5},
]


def defined(model, prompt, ends, *, beams, max_tokens=10, length_penalty=1.0, early_stopping=False):
    """The best answers and their scores: every path computed from its first token, all continuations ordered."""
    running, complete = [(0.0, [])], []
    for length in range(1, max_tokens + 1):
        found = []
        for total, tokens in running:
            logits = model.logits(prompt + tokens)[-1].astype(np.float64)
            logprobs = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
            found += [(total + logprob, [*tokens, token]) for token, logprob in enumerate(logprobs)]
        found = sorted(found, key=lambda each: -each[0])[: max(2, 1 + len(ends)) * beams]
        over = [tokens[-1] in ends or length == max_tokens for _, tokens in found]
        for (total, tokens), ended in list(zip(found, over, strict=True))[:beams]:
            if ended:
                complete.append((total / length**length_penalty, [t for t in tokens if t not in ends]))
        complete = sorted(complete, key=lambda each: -each[0])[:beams]
        running = [each for each, ended in zip(found, over, strict=True) if not ended][:beams]
        if not running:
            break
        hoped = max_tokens if early_stopping == "never" and length_penalty > 0 else length
        full = len(complete) == beams
        if full and (early_stopping is True or running[0][0] / hoped**length_penalty <= complete[-1][0]):
            break
    return complete


@pytest.fixture(scope="module")
def ending(tmp_path_factory):
    """A model that is sure enough of some tokens for its answers to end now and then."""
    made = tiny.model(tokenizer=True)
    head = made.blocks["output.weight"].view(np.float32).reshape(-1, 64)
    head *= 3
    return tiny.write(tmp_path_factory.mktemp("ending") / "m.gguf", made)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize("prompt", [PROMPT, PROMPT * 10])
def test_the_best_are_those_of_the_definition(load, ending, prompt, options):
    model = load(ending, sequences=4)
    options = {"max_tokens": 10, **options}
    ends = frozenset({5, 17, 200})  # any tokens will do
    stream = model.answer(prompt, Request(**options), ends=ends)
    pieces = list(stream)
    found = stream.completion
    expected = defined(model, prompt, ends | model.tokenizer.stop_ids, **options)
    assert [beam.tokens for beam in found.beams] == [tokens for _, tokens in expected]
    np.testing.assert_allclose([beam.score for beam in found.beams], [score for score, _ in expected], rtol=1e-6)
    assert found.tokens == found.beams[0].tokens == [piece.token for piece in pieces if piece.token is not None]
    assert found.text == found.beams[0].text == "".join(piece.text for piece in pieces)
    assert found.finish_reason == ("length" if len(found.tokens) == options["max_tokens"] else "stop")


def test_some_answers_end_before_the_last_token(load, ending):
    """Else the definition would not have been asked about that."""
    stream = load(ending, sequences=4).answer(PROMPT, Request(beams=4, max_tokens=30), ends=frozenset({5, 17, 200}))
    list(stream)
    assert {beam.finish_reason for beam in stream.completion.beams} >= {"stop"}


@pytest.mark.parametrize("settings", [{"sequences": 1}, {"chunk": 2}, {"threads": 2}, {"kv": "q8_0"}], ids=str)
def test_the_same_in_any_room(load, settings, tmp_path):
    path = tiny.write(tmp_path / "m.gguf", tiny.model(tokenizer=True, C=128, H=4, K=2, D=32))
    options = {"beams": 6, "max_tokens": 40, "ignore_eos": True}
    kv = settings.get("kv", "f16")
    wanted = load(path, sequences=8, kv=kv).generate(PROMPT * 5, **options)
    assert load(path, **settings).generate(PROMPT * 5, **options).beams == wanted.beams


def test_the_end_of_the_context(load):
    out = load(context=64).generate(PROMPT * 5, beams=4, max_tokens=None, ignore_eos=True)
    assert len(out.tokens) == 5 and out.finish_reason == "length"


def test_several_at_once(load):
    model, alone = load(sequences=4), load(sequences=4)
    prompts = [[n, *PROMPT * 4] for n in range(5)]
    with ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(model.generate, prompt, beams=3, max_tokens=30) for prompt in prompts]
        found = [job.result(timeout=120).beams for job in jobs]
    assert found == [alone.generate(prompt, beams=3, max_tokens=30).beams for prompt in prompts]
    assert_idle(model)


def test_a_stop_string_completes_an_answer(load, ending):
    model = load(ending, sequences=4)
    options = {"beams": 4, "max_tokens": 12, "length_penalty": 0.0, "ignore_eos": True}  # so that short ones win
    stop = model.generate(PROMPT, **options).text[3:5]
    out = model.generate(PROMPT, stop=stop, **options)
    assert all(stop not in beam.text for beam in out.beams)
    assert out.finish_reason == "stop" and out.stop == stop


def test_logprobs_add_up_to_the_score(load):
    out = load(sequences=4).generate(PROMPT, beams=4, max_tokens=12, logprobs=2, ignore_eos=True)
    assert [each.token for each in out.logprobs] == out.tokens
    assert sum(each.logprob for each in out.logprobs) / 12 == pytest.approx(out.beams[0].score)


@pytest.mark.parametrize("name", ["t5", "mamba"])
def test_sequences_that_are_held_as_a_whole(tmp_path, name):
    options = {"beams": 3, "max_tokens": 8, "ignore_eos": True}
    found = []
    for sequences in (1, 4):
        with of_kind(name, tmp_path, "native", context=64, sequences=sequences) as model:
            found.append(model.generate([3, 4, 5, 6], **options).beams)
    assert len(found[0]) == 3 and found[0] == found[1]


def test_leaving_early_leaves_nothing_behind(load):
    model = load(sequences=2)
    stream = model.stream(PROMPT, beams=8, max_tokens=200, ignore_eos=True)
    with ThreadPoolExecutor(1) as thread:
        job = thread.submit(list, stream)
        while model._scheduler.counts == (0, 0):
            pass
        stream.cancel()
        assert job.result(timeout=30) == []
    assert stream.completion.finish_reason == "cancelled"
    assert_idle(model)


REFUSED = [
    ({"beams": 0}, "beams"),
    ({"beams": 17}, "beams"),
    ({"beams": True}, "beams"),
    ({"beams": 2, "temperature": 0.7}, "temperature"),
    ({"beams": 2, "top_k": 5}, "top_k"),
    ({"beams": 2, "mirostat": 2}, "mirostat"),
    ({"beams": 2, "repeat_penalty": 1.1}, "repeat_penalty"),
    ({"beams": 2, "logit_bias": {1: 1.0}}, "logit_bias"),
    ({"beams": 2, "regex": "a"}, "regex"),
    ({"beams": 2, "guidance": 2}, "guidance"),
    ({"beams": 2, "early_stopping": "now"}, "early_stopping"),
    ({"beams": 2, "length_penalty": float("nan")}, "length_penalty"),
    ({"length_penalty": 2.0}, "length_penalty"),
    ({"early_stopping": True}, "early_stopping"),
]


@pytest.mark.parametrize(("options", "field"), REFUSED, ids=str)
def test_what_makes_no_sense_is_refused_by_name(options, field):
    with pytest.raises(BadRequest, match=f"^{field}:"):
        Request(**options)


def test_what_says_nothing_new_is_not_refused():
    Request(beams=2, temperature=0, seed=3, top_k=40, stop="a", logprobs=1)
