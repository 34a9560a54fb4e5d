"""Answers: the same by every path, and with everything that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from tiny_prompt import PROMPT

from furet.sample.chain import Chooser
from furet.sample.settings import Sampling


def test_greedy_tokens_are_the_largest_logits_of_the_whole_sequence(model):
    out = model.generate(PROMPT, max_tokens=20, temperature=0, ignore_eos=True)
    logits = model.logits(PROMPT + out.tokens)
    assert out.tokens == logits[len(PROMPT) - 1 : -1].argmax(axis=1).tolist()
    assert (out.finish_reason, out.prompt_tokens) == ("length", 12)


def test_sampled_tokens_are_those_that_the_draws_of_the_seed_hit(model):
    out = model.generate(PROMPT, max_tokens=20, seed=5, top_k=7, ignore_eos=True)
    logits = model.logits(PROMPT + out.tokens)[len(PROMPT) - 1 :]
    chooser, all = Chooser(Sampling(top_k=7), 5, spared=model.tokenizer.special_ids), PROMPT + out.tokens
    hits = [chooser.choose(logits[n], all[: len(PROMPT) + n], n) for n in range(20)]
    assert (out.tokens, out.seed) == (hits, 5)


PATHS = [*({"chunk": chunk} for chunk in (1, 7, 64, 200)), {"threads": 2}, {"sequences": 2}]


@pytest.mark.parametrize("options", PATHS, ids=str)
def test_chunks_and_threads_change_nothing(load, options):
    prompt = (PROMPT * 9)[:100]
    usual, other = load(), load(**options)
    tokens = [model.generate(prompt, seed=1, ignore_eos=True).tokens for model in (usual, other)]
    assert tokens[0] == tokens[1]
    np.testing.assert_array_equal(usual.logits(prompt), other.logits(prompt))


def test_a_held_prefix_changes_nothing_but_the_time(load):
    model, fresh = load(), load()
    first = model.generate(PROMPT, max_tokens=10, seed=3, ignore_eos=True)
    longer = PROMPT + first.tokens[:6] + PROMPT
    held = model.generate(longer, max_tokens=10, seed=4, ignore_eos=True)
    whole = fresh.generate(longer, max_tokens=10, seed=4, ignore_eos=True)
    assert held.tokens == whole.tokens
    assert (held.timings.cached_tokens, held.timings.prefill_tokens) == (18, 12)
    assert (whole.timings.cached_tokens, whole.timings.prefill_tokens) == (0, 30)


def test_a_stream_joins_to_the_answer_and_is_one_piece_per_token(model):
    whole = model.generate("the world", max_tokens=30, seed=2, logprobs=0, ignore_eos=True)
    stream = model.stream("the world", max_tokens=30, seed=2, logprobs=0, ignore_eos=True)
    pieces = list(stream)
    assert "".join(piece.text for piece in pieces) == whole.text == stream.completion.text
    assert [piece.token for piece in pieces] == whole.tokens == stream.completion.tokens
    assert [piece.logprob for piece in pieces] == whole.logprobs == stream.completion.logprobs


def test_the_native_program_and_the_reference_agree(load):
    native, reference = load(), load(backend="reference")
    prompt = PROMPT * 5
    error = np.abs(native.logits(prompt) - reference.logits(prompt)).max()
    assert error < 0.01  # measured 0.003, from the float16 cache; a token out of its place gives 3
    greedy = {"max_tokens": 12, "temperature": 0, "ignore_eos": True}
    assert native.generate(prompt, **greedy).tokens == reference.generate(prompt, **greedy).tokens


@pytest.mark.parametrize("kv", ["q8_0", "q4_0"])
def test_keys_and_values_in_blocks(load, tmp_path, kv):
    path = tiny.write(tmp_path / "heads.gguf", tiny.model(tokenizer=True, C=128, H=4, K=2, D=32))
    ids = [(7 * i) % 256 for i in range(60)]
    native, again = load(path, kv=kv), load(path, kv=kv, threads=2, chunk=7)
    exact = load(path, kv=kv, backend="reference")
    got = native.logits(ids)
    np.testing.assert_array_equal(again.logits(ids), got)
    np.testing.assert_allclose(got, exact.logits(ids), rtol=0, atol=1e-4)
    assert np.abs(got - load(path).logits(ids)).max() > 1e-4


def test_log_probabilities_are_those_of_the_model(model):
    out = model.generate(PROMPT, max_tokens=5, seed=9, temperature=3, logprobs=3, ignore_eos=True)
    rows = model.logits(PROMPT + out.tokens)[len(PROMPT) - 1 : -1].astype(np.float64)
    exact = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    assert out.logprobs is not None
    for n, (found, row) in enumerate(zip(out.logprobs, exact, strict=True)):
        assert found.token == out.tokens[n]
        assert found.logprob == pytest.approx(row[found.token], abs=1e-12)
        assert [id for id, _ in found.top] == np.argsort(-row)[:3].tolist()


def test_the_seed_that_was_used_gives_the_same_answer_again(model):
    first, second = (model.generate(PROMPT, max_tokens=12, temperature=2, ignore_eos=True) for _ in range(2))
    assert first.seed != second.seed
    again = model.generate(PROMPT, max_tokens=12, temperature=2, seed=first.seed, ignore_eos=True)
    assert again.tokens == first.tokens != second.tokens


def test_a_seed_of_the_model_serves_requests_without_one(load):
    model = load(seed=11)
    assert model.generate(PROMPT, max_tokens=3).seed == 11
    assert model.generate(PROMPT, max_tokens=3, seed=12).seed == 12


def test_a_stop_string_ends_the_answer_wherever_tokens_begin(model):
    free = model.generate(PROMPT, max_tokens=60, temperature=0, ignore_eos=True)
    start = len(free.text) // 2
    for length in (1, 2, 5, 9):
        stop = free.text[start : start + length]
        out = model.generate(PROMPT, max_tokens=60, temperature=0, ignore_eos=True, stop=[stop, "never seen"])
        assert out.text == free.text[: free.text.index(stop)]
        assert out.finish_reason == "stop"
        pieces = list(model.stream(PROMPT, max_tokens=60, temperature=0, ignore_eos=True, stop=stop))
        assert "".join(piece.text for piece in pieces) == out.text


def test_text_held_back_for_a_stop_string_is_given_at_the_end(model):
    free = model.generate(PROMPT, max_tokens=8, temperature=0, ignore_eos=True)
    out = model.generate(PROMPT, max_tokens=8, temperature=0, ignore_eos=True, stop=free.text[-1] + "\0never")
    assert (out.text, out.finish_reason) == (free.text, "length")


def test_a_token_that_ends_answers_ends_it_and_is_no_part_of_it(model):
    tokens = model.generate(PROMPT, max_tokens=9, temperature=0, ignore_eos=True).tokens
    place = next(n for n in range(1, 9) if tokens[n] not in tokens[:n])
    model.tokenizer.stop_ids = frozenset([tokens[place]])
    out = model.generate(PROMPT, max_tokens=9, temperature=0)
    assert (out.tokens, out.finish_reason) == (tokens[:place], "stop")
    assert model.generate(PROMPT, max_tokens=9, temperature=0, ignore_eos=True).tokens == tokens


def test_an_answer_ends_with_the_context(load):
    model = load(context=20)
    out = model.generate(PROMPT, max_tokens=None, temperature=0, ignore_eos=True)
    assert (len(out.tokens), out.finish_reason) == (9, "length")  # 8 fit in, the last needs no place
    assert out.tokens == load().generate(PROMPT, max_tokens=9, temperature=0, ignore_eos=True).tokens
    assert len(model.generate(PROMPT + PROMPT[:8], max_tokens=5, ignore_eos=True).tokens) == 1


def test_timings_count_every_token_once(model):
    timings = model.generate(PROMPT, max_tokens=10, ignore_eos=True).timings
    assert (timings.prefill_tokens, timings.cached_tokens, timings.decode_tokens) == (12, 0, 9)
    assert timings.prefill_seconds > 0 and timings.decode_seconds > 0
    assert timings.decode_rate == timings.decode_tokens / timings.decode_seconds
    assert model.generate(PROMPT, max_tokens=1).timings.decode_rate == 0


def test_progress_of_a_prefill_is_told(load):
    seen = []
    load(chunk=5).generate(PROMPT, max_tokens=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 12), (5, 12), (10, 12), (12, 12)]


def test_an_empty_prompt_is_the_token_that_begins_a_text(model):
    a, b = (model.generate(prompt, max_tokens=4, temperature=0) for prompt in ("", [model.tokenizer.bos_id]))
    assert a.tokens == b.tokens and a.prompt_tokens == 1


def test_text_and_its_tokens_are_the_same_prompt(model):
    text, tokens = "the é", model.tokenizer.encode("the é")
    assert model.generate(text, seed=1).tokens == model.generate(tokens, seed=1).tokens


def test_numpy_token_ids_are_accepted(model):
    assert model.tokens(np.array(PROMPT, dtype=np.int64)) == PROMPT


def test_a_big_endian_file_gives_the_same_answers(load, path, tmp_path):
    source = tiny.model(tokenizer=True, types="Q8_0")
    files = [tiny.write(tmp_path / f"{order}.gguf", source, byteorder=order) for order in ("big", "little")]
    for backend in ("native", "reference"):
        a, b = (load(file, backend=backend).logits(PROMPT) for file in files)
        np.testing.assert_array_equal(a, b)
