"""The official client against `furet serve` with real models: smollm2, and a tiny encoder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from parity.checkpoint import save
from pydantic import BaseModel, Field
from serve.ollama.live import furet_serve

import furet

ASKED: Any = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY: Any = {"model": "smollm2", "messages": ASKED, "temperature": 0, "max_tokens": 24}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 30}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    """What the answer is to be."""

    name: str = Field(max_length=30)
    people: int
    capital: bool


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of an encoder, and a vocabulary of words."""
    folder = tmp_path_factory.mktemp("models") / "encoder"
    folder.mkdir()
    save("bert", folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


@pytest.fixture(scope="module")
def client(encoder: Path) -> Iterator[openai.OpenAI]:
    with (
        furet_serve(str(encoder), "--threads", "1", "--sequences", "2") as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0, timeout=120) as client,
    ):
        yield client


def test_an_answer_is_the_engines_own_whole_or_in_pieces(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**GREEDY)
    chunks = list(client.chat.completions.create(**GREEDY, stream=True, stream_options={"include_usage": True}))
    with furet.load("smollm2", threads=1, context=2048) as model:
        chat = model.chat()
        wanted = "".join(piece.text for piece in chat.say(ASKED[0]["content"], temperature=0, max_tokens=24))
        prompt = chat.last.prompt_tokens
    assert "Paris" in wanted
    assert whole.choices[0].message.content == wanted == _text(chunks)
    assert whole.usage is not None and chunks[-1].usage is not None and whole.usage.prompt_tokens == prompt
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


def test_what_was_read_before_is_not_read_again_and_reported(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(**GREEDY)
    talk: Any = [*ASKED, first.choices[0].message, {"role": "user", "content": "And of Italy?"}]
    second = client.chat.completions.create(**{**GREEDY, "messages": talk})
    assert first.usage is not None and second.usage is not None and second.usage.prompt_tokens_details is not None
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert cached is not None and first.usage.prompt_tokens // 2 < cached < second.usage.prompt_tokens


def test_a_seed_gives_the_same_answer_and_several_answers_differ(client: openai.OpenAI) -> None:
    asked: Any = {**GREEDY, "temperature": 1.2, "seed": 11, "n": 3}
    first, second = (client.chat.completions.create(**asked) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices] and len(set(texts)) == 3
    alone = client.chat.completions.create(**{**asked, "seed": 12, "n": 1})
    assert alone.choices[0].message.content == texts[1]


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client: openai.OpenAI) -> None:
    stopped = client.chat.completions.create(**GREEDY, stop=["Paris"]).choices[0]
    assert stopped.finish_reason == "stop" and "Paris" not in (stopped.message.content or "Paris")
    cut = client.chat.completions.create(**{**GREEDY, "max_tokens": 2}).choices[0]
    assert cut.finish_reason == "length"


def test_an_answer_is_parsed_as_the_object_asked_for(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "Describe Paris as JSON."}]
    for seed in range(3):
        parsed = client.chat.completions.parse(
            model="smollm2", messages=asked, response_format=City, seed=seed, max_tokens=200
        )
        assert isinstance(parsed.choices[0].message.parsed, City)
    found = client.responses.parse(model="smollm2", input=asked, text_format=City, max_output_tokens=200)
    assert isinstance(found.output_parsed, City)
    object_: Any = {"response_format": {"type": "json_object"}, "max_tokens": 30, "seed": 1}
    text = client.chat.completions.create(model="smollm2", messages=asked, **object_).choices[0].message.content
    assert (text or "").lstrip().startswith("{")


def test_a_schema_that_cannot_be_honoured_is_refused(client: openai.OpenAI) -> None:
    schema = {"name": "a", "schema": {"type": "object", "unheardOf": 1}}
    format: Any = {"type": "json_schema", "json_schema": schema}
    with pytest.raises(openai.BadRequestError, match="json_schema"):
        client.chat.completions.create(**GREEDY, response_format=format)


def test_a_call_that_is_required_is_made_with_arguments_of_its_schema(client: openai.OpenAI) -> None:
    asked: Any = {**GREEDY, "max_tokens": 100, "tools": [WEATHER], "tool_choice": "required"}
    with client.chat.completions.stream(**asked) as stream:
        pieces = [each for each in stream if each.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls" and final.message.tool_calls and len(pieces) > 1
    call = final.message.tool_calls[0]
    assert call.function.name == "weather"
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "blue"}'}
    again: Any = {**asked, "messages": [*ASKED, final.message, result], "tool_choice": "none"}
    assert client.chat.completions.create(**again).choices[0].message.content
    orphan: Any = {**asked, "messages": [*ASKED, {**result, "tool_call_id": "nobody"}]}
    with pytest.raises(openai.BadRequestError, match="tool_call_id"):
        client.chat.completions.create(**orphan)


def test_log_probabilities_are_those_of_the_engine(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**{**GREEDY, "max_tokens": 5}, logprobs=True, top_logprobs=3).choices[0]
    assert answer.logprobs is not None and answer.logprobs.content is not None
    assert "".join(each.token for each in answer.logprobs.content) == answer.message.content
    for each in answer.logprobs.content:
        assert len(each.top_logprobs) == 3 and each.top_logprobs[0].logprob == each.logprob <= 0  # greedy
        assert bytes(each.bytes or []).decode() == each.token
    with furet.load("smollm2", threads=1, context=2048) as model:
        wanted = model.generate("The capital of France is", max_tokens=3, temperature=0, logprobs=2)
    found = client.completions.create(
        model="smollm2", prompt="The capital of France is", max_tokens=3, temperature=0, logprobs=2
    ).choices[0]
    assert found.text == wanted.text and found.logprobs is not None and wanted.logprobs is not None
    assert found.logprobs.token_logprobs == pytest.approx([each.logprob for each in wanted.logprobs])


def test_vectors_are_those_of_the_engine(client: openai.OpenAI, encoder: Path) -> None:
    texts = ["w1 w2 w3", "w4"]
    found = client.embeddings.create(model="encoder", input=texts)
    with furet.load(encoder, threads=1) as model:
        wanted = model.embed(texts)
    np.testing.assert_allclose([each.embedding for each in found.data], wanted, rtol=0, atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="continues texts"):
        client.embeddings.create(model="smollm2", input="a")
    with pytest.raises(openai.BadRequestError, match="embeds texts"):
        client.chat.completions.create(**{**GREEDY, "model": "encoder"})
    with pytest.raises(openai.BadRequestError, match="context"):
        client.embeddings.create(model="encoder", input="w1 " * 100)
    cut = client.embeddings.create(model="encoder", input="w1 " * 100, extra_body={"truncate": True})
    assert len(cut.data[0].embedding) == 64


def test_a_conversation_goes_on_from_a_response(client: openai.OpenAI) -> None:
    first = client.responses.create(model="smollm2", input="What is the capital of France?", temperature=0)
    second = client.responses.create(
        model="smollm2", input="And of Italy?", previous_response_id=first.id, temperature=0, max_output_tokens=20
    )
    assert "Paris" in first.output_text and second.output_text and second.usage is not None
    assert first.usage is not None and second.usage.input_tokens > first.usage.total_tokens


def test_a_prompt_beyond_the_context_is_refused_with_both_counts(client: openai.OpenAI) -> None:
    long: Any = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**GREEDY, "messages": long})
    assert caught.value.code == "context_length_exceeded" and "90" in str(caught.value)


def test_who_leaves_a_stream_leaves_nothing_running(client: openai.OpenAI) -> None:
    """The next answer, of a model with two places, comes while streams that were left would still run."""
    for _ in range(4):
        asked: Any = {**GREEDY, "max_tokens": 1500, "stream": True, "extra_body": {"ignore_eos": True}}
        with client.chat.completions.create(**asked) as stream:
            assert isinstance(next(iter(stream)), ChatCompletionChunk)
    assert client.chat.completions.create(**GREEDY).choices[0].message.content
    figures = client.get("/../metrics", cast_to=str)
    left = next(line for line in figures.splitlines() if line.startswith('furet_answers_total{reason="left"}'))
    assert float(left.split()[1]) >= 4


def _text(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
