"""What cannot be honoured is refused before anything runs, naming what is wrong."""

from __future__ import annotations

import pytest
import tiny
from tiny_prompt import PROMPT

from furet.errors import BadRequest, ContextOverflow, ModelFileError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"temperature": float("nan")}, "temperature"),
        ({"logprobs": -1}, "logprobs"),
        ({"logprobs": 101}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x", ""]}, "stop"),
        ({"stop": ["x" * 1025]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": [3]}, "stop"),
        ({"mirostat": 3}, "mirostat"),
        ({"logit_bias": {1 << 30: 1.0}}, "logit_bias: token 1073741824 is outside the vocabulary"),
    ],
    ids=str,
)
def test_options(model, options, named):
    with pytest.raises(BadRequest, match=named):
        model.generate(PROMPT, **options)


@pytest.mark.parametrize("prompt", [[-1], [261], [5, 10**12], [1.5], ["a"], b"ab", [None]], ids=str)
def test_prompts(model, prompt):
    with pytest.raises(BadRequest, match=r"token|prompt"):
        model.generate(prompt)


def test_half_a_surrogate_pair(model):
    with pytest.raises(BadRequest, match="U\\+D800"):
        model.generate("a\ud800b")


def test_a_prompt_longer_than_the_context_is_refused_with_figures(load):
    model = load(context=10)
    with pytest.raises(ContextOverflow, match="12 tokens, the context holds 10") as caught:
        model.generate(PROMPT)
    assert "at least 12" in caught.value.hint
    with pytest.raises(ContextOverflow):
        model.logits(PROMPT)


def test_an_empty_prompt_without_a_token_that_begins_a_text(load, tmp_path):
    source = tiny.model(tokenizer=True)
    del source.metadata["tokenizer.ggml.bos_token_id"]
    model = load(tiny.write(tmp_path / "nobos.gguf", source))
    for empty in ("", []):
        with pytest.raises(BadRequest, match="empty"):
            model.generate(empty)


def test_weights_that_are_not_finite(load, tmp_path):
    source = tiny.model(tokenizer=True)
    source.blocks["blk.1.ffn_down.weight"][4000:4004] = [0, 0, 0xC0, 0x7F]
    model = load(tiny.write(tmp_path / "nan.gguf", source))
    for ask in (model.generate, model.logits):
        with pytest.raises(ModelFileError, match=r"nan\.gguf: the logits are not finite"):
            ask(PROMPT)


def test_a_file_that_was_cut_short_while_open(load, tmp_path):
    model = load(tiny.write(tmp_path / "short.gguf", tiny.model(tokenizer=True)))
    stream = model.stream(PROMPT, max_tokens=None, ignore_eos=True)
    next(stream)
    with (tmp_path / "short.gguf").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(ModelFileError, match="cut short"):
        list(stream)
    with pytest.raises(ModelFileError, match="cut short"):
        model.generate(PROMPT)


def test_a_closed_model(load):
    model = load()
    stream = model.stream(PROMPT, max_tokens=None, ignore_eos=True)
    next(stream)
    model.close()
    model.close()
    with pytest.raises(BadRequest, match="closed"):
        list(stream)
    for ask in (model.generate, model.stream, model.logits):
        with pytest.raises(BadRequest, match="closed"):
            ask(PROMPT)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"threads": 0}, "threads"),
        ({"threads": 2.5}, "threads"),
        ({"chunk": 0}, "chunk"),
        ({"chunk": 1 << 20}, "chunk"),
        ({"context": 0}, "context"),
        ({"context": -5}, "context"),
        ({"sequences": 0}, "sequences"),
        ({"backend": "gpu"}, "backend"),
        ({"kv": "q5_0"}, "kv"),
        ({"memory": "lots"}, "memory"),
        ({"seed": -1}, "seed"),
    ],
    ids=str,
)
def test_settings(load, options, named):
    with pytest.raises(BadRequest, match=named):
        load(**options)
