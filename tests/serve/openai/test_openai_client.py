"""The official client drives every part of the API; the answers are those of models that are pretended."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from serve.fake_models import FakeModels

from furet.errors import Busy, ContextOverflow, DoesNotFit, WorkerDied
from furet.sample.token_logprob import TokenLogprob
from furet.serve.jobs import AnswerChat, Continue
from furet.serve.openai.completions import _Logprobs

SAID: Any = [{"role": "user", "content": "one two three four"}]
ASKED: Any = [{"role": "user", "content": "call the weather"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def job(models: FakeModels) -> Any:
    """The last that was asked for and makes an answer."""
    return next(each for _, each in reversed(models.jobs) if isinstance(each, AnswerChat | Continue))


class Spelled:
    """A `Spelling` that knows every token."""

    async def learn(self, logprobs: Any) -> None:
        pass

    def text(self, token: int) -> str:
        return "abc"


def test_the_offsets_of_a_long_answer_hold_up_nobody() -> None:
    logprobs = [TokenLogprob(5, -0.5)] * 20_000
    began = perf_counter()
    shown = asyncio.run(_Logprobs(Spelled()).of(logprobs, 7))  # type: ignore[arg-type]
    assert perf_counter() - began < 0.5
    assert shown["text_offset"] == [*range(7, 7 + 3 * 20_000, 3)]
    assert asyncio.run(_Logprobs(Spelled()).of([], 7))["text_offset"] == []  # type: ignore[arg-type]


def test_models_are_listed_by_the_names_that_they_answer_to(client: openai.OpenAI) -> None:
    assert [each.id for each in client.models.list()] == ["fake", "fake-embed"]
    assert client.models.retrieve("hf:test/fake:Q4_1").id == "hf:test/fake:Q4_1"
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
        client.models.retrieve("other")


def test_a_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="fake", messages=SAID)
    assert answer.choices[0].message.content == "one two three four"
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.tool_calls is None
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 4, 9)
    assert answer.usage.prompt_tokens_details.cached_tokens == 2
    assert answer.id.startswith("chatcmpl-") and (answer.system_fingerprint or "").startswith("furet-")


def test_a_chat_as_it_is_made(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="fake", messages=SAID, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three four"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 9
    assert len({c.id for c in chunks}) == 1 and all(c.usage is None for c in chunks[:-1])


def test_without_include_usage_there_is_none(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="fake", messages=SAID, stream=True))
    assert all(c.choices and c.usage is None for c in chunks)


@pytest.mark.parametrize("stream", [True, False])
def test_several_answers_have_places_and_seeds_of_their_own(
    client: openai.OpenAI, models: FakeModels, stream: bool
) -> None:
    given = client.chat.completions.create(model="fake", messages=SAID, n=3, seed=2**64 - 2, stream=stream)
    if isinstance(given, openai.Stream):
        texts = ["", "", ""]
        for chunk in given:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    else:
        texts = [choice.message.content or "" for choice in given.choices]
        assert given.usage is not None and (given.usage.prompt_tokens, given.usage.completion_tokens) == (5, 12)
    assert texts == ["one two three four"] * 3
    assert sorted(each.options["seed"] for _, each in models.jobs) == [0, 2**64 - 2, 2**64 - 1]  # type: ignore[union-attr]


def test_every_field_of_the_request_reaches_the_model(client: openai.OpenAI, models: FakeModels) -> None:
    client.chat.completions.create(
        model="fake",
        messages=SAID,
        temperature=0.5,
        top_p=0.25,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={"5": -100},
        seed=9,
        stop=["x", "y"],
        max_completion_tokens=7,
        user="somebody",
        store=False,
        metadata={"a": "b"},
        service_tier="auto",
        extra_body={"top_k": 3, "min_p": 0.5, "dry_multiplier": 0.8, "mirostat": 2, "repeat_penalty": 1.5,
                    "xtc_probability": 0.5, "regex": "a+", "preset": "chatml", "overflow": "drop"},
    )  # fmt: skip
    asked = job(models)
    assert asked.options == {
        "temperature": 0.5, "top_p": 0.25, "presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {5: -100},
        "seed": 9, "stop": ["x", "y"], "max_tokens": 7, "top_k": 3, "min_p": 0.5, "dry_multiplier": 0.8, "mirostat": 2,
        "repeat_penalty": 1.5, "xtc_probability": 0.5, "regex": "a+",
    }  # fmt: skip
    assert (asked.preset, asked.overflow, asked.tool_choice) == ("chatml", "drop", "auto")


def test_all_roles_and_parts_become_plain_messages(client: openai.OpenAI, models: FakeModels) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny.", "refusal": None},
        {"role": "user", "content": "Thanks"},
    ]
    client.chat.completions.create(model="fake", messages=messages, tools=[WEATHER])
    assert job(models).messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Ann: ab"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "name": "weather", "arguments": "{}"}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
        {"role": "assistant", "content": "It is sunny."},
        {"role": "user", "content": "Thanks"},
    ]


def test_a_tool_is_called(client: openai.OpenAI, models: FakeModels) -> None:
    answer = client.chat.completions.create(model="fake", messages=ASKED, tools=[WEATHER], parallel_tool_calls=False)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None and choice.message.tool_calls
    call = choice.message.tool_calls[0]
    assert call.type == "function" and call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] == "Paris"
    assert job(models).tools == [{key: WEATHER["function"][key] for key in ("name", "description", "parameters")}]
    assert job(models).parallel is False
    again: Any = [*ASKED, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert client.chat.completions.create(model="fake", messages=again, tools=[WEATHER]).choices[0].message.content


def test_the_arguments_of_a_call_come_in_pieces(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="fake", messages=ASKED, tools=[WEATHER]) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    pieces = [each.arguments_delta for each in events if each.type == "tool_calls.function.arguments.delta"]
    assert len(pieces) > 3 and json.loads("".join(pieces))["city"] == "Paris"
    assert final.choices[0].message.tool_calls and final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "weather"}}, {"name": "weather"}),
    ],
)
def test_which_tool_is_called_may_be_said(
    client: openai.OpenAI, models: FakeModels, choice: Any, wanted: Any
) -> None:
    answer = client.chat.completions.create(model="fake", messages=SAID, tools=[WEATHER], tool_choice=choice)
    assert job(models).tool_choice == wanted
    assert bool(answer.choices[0].message.tool_calls) == (choice != "none")


class Point(BaseModel):
    """What the answer is to be."""

    x: int
    y: int


def test_an_answer_may_be_asked_for_as_an_object(client: openai.OpenAI, models: FakeModels) -> None:
    messages: Any = [{"role": "user", "content": '{"x": 1, "y": 2}'}]
    parsed = client.chat.completions.parse(model="fake", messages=messages, response_format=Point)
    assert parsed.choices[0].message.parsed == Point(x=1, y=2)
    assert job(models).options["json_schema"]["required"] == ["x", "y"]
    again: Any = [*messages, parsed.choices[0].message, {"role": "user", "content": "on"}]  # as clients send it back
    assert client.chat.completions.create(model="fake", messages=again).choices[0].message.content == "on"
    client.chat.completions.create(model="fake", messages=messages, response_format={"type": "json_object"})
    assert job(models).options["json_schema"] == {"type": "object"}
    client.chat.completions.create(model="fake", messages=messages, response_format={"type": "text"})
    assert "json_schema" not in job(models).options


@pytest.mark.parametrize("stream", [True, False])
def test_log_probabilities_name_tokens_and_their_bytes(client: openai.OpenAI, stream: bool) -> None:
    messages: Any = [{"role": "user", "content": "naïve 🦦"}]
    given = client.chat.completions.create(
        model="fake", messages=messages, logprobs=True, top_logprobs=2, stream=stream
    )
    if isinstance(given, openai.Stream):
        found = [each for c in given for each in (c.choices[0].logprobs.content or [] if c.choices[0].logprobs else [])]
    else:
        assert given.choices[0].logprobs is not None
        found = given.choices[0].logprobs.content or []
    assert [each.token for each in found] == ["naïve", " 🦦"]
    assert bytes(found[1].bytes or []).decode() == " 🦦" and found[0].logprob == -0.25
    assert [other.token for other in found[0].top_logprobs] == ["naïve", " 🦦"]


def test_a_prompt_goes_on(client: openai.OpenAI, models: FakeModels) -> None:
    answer = client.completions.create(model="fake", prompt="one two three", max_tokens=2, echo=True)
    assert answer.choices[0].text == "one two threeone two" and answer.choices[0].finish_reason == "length"
    assert answer.id.startswith("cmpl-")
    client.completions.create(model="fake", prompt="one")
    assert job(models).options["max_tokens"] == 16


def test_several_prompts_go_on_each_several_times(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="fake", prompt=["one two", "three"], n=2, logprobs=1, seed=5)
    assert [choice.text for choice in answer.choices] == ["one two", "one two", "three", "three"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None and logprobs.tokens == ["one", " two"] and logprobs.text_offset == [0, 3]
    assert logprobs.top_logprobs is not None and logprobs.token_logprobs == [-0.25, -0.25]
    assert answer.usage is not None and (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 6)
    ids = client.post("/../tokenize", body={"model": "fake", "content": "one two"}, cast_to=object)
    again = client.completions.create(model="fake", prompt=ids["tokens"], echo=True)  # type: ignore[index]
    assert again.choices[0].text == "one twoone two"


def test_prompts_go_on_as_they_are_made(client: openai.OpenAI) -> None:
    texts = ["", ""]
    offsets: list[int] = []
    for chunk in client.completions.create(
        model="fake", prompt=["one two", "three"], stream=True, logprobs=0, stream_options={"include_usage": True}
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.index == 0 and choice.logprobs and choice.logprobs.text_offset:
                offsets += choice.logprobs.text_offset
    assert texts == ["one two", "three"] and offsets == [0, 3]
    assert chunk.usage is not None and chunk.usage.total_tokens == 6


def test_embeddings_are_the_same_in_both_encodings(client: openai.OpenAI) -> None:
    plain = client.embeddings.create(model="fake-embed", input=["a b", "c"], encoding_format="float")
    packed = client.embeddings.create(model="fake-embed", input=["a b", "c"])  # the client asks for base64
    assert [each.embedding for each in plain.data] == [[0.5, -0.5, 0.5, 0.25], [0.5, -0.5, 0.5, 0.125]]
    assert [each.embedding for each in packed.data] == [each.embedding for each in plain.data]
    assert plain.usage.prompt_tokens == 3 and [each.index for each in plain.data] == [0, 1]
    assert len(client.embeddings.create(model="fake-embed", input=[1, 2, 3], dimensions=4).data) == 1
    with pytest.raises(openai.BadRequestError, match=r"dimensions: got 3, and the vectors of this model have 4"):
        client.embeddings.create(model="fake-embed", input="a", dimensions=3)
    with pytest.raises(openai.BadRequestError, match="this model continues texts"):
        client.embeddings.create(model="fake", input="a")


@pytest.mark.parametrize(
    ("error", "wanted", "code"),
    [
        (ContextOverflow("9 tokens, the context holds 8"), openai.BadRequestError, "context_length_exceeded"),
        (Busy("128 requests wait"), openai.InternalServerError, "overloaded"),
        (WorkerDied("killed"), openai.InternalServerError, "worker_died"),
        (DoesNotFit("7 GB wanted"), openai.InternalServerError, "does_not_fit"),
    ],
)
def test_errors_are_of_the_class_that_people_catch(
    client: openai.OpenAI, models: FakeModels, error: Exception, wanted: type[openai.APIStatusError], code: str
) -> None:
    models.before = error
    for stream in (False, True):
        with pytest.raises(wanted) as caught:
            client.chat.completions.create(model="fake", messages=SAID, stream=stream)
        assert caught.value.code == code and str(error) in str(caught.value)


def test_what_cannot_be_honoured_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=SAID)
    for more, names in [
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"store": True}, "store"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"extra_body": {"regex": "a", "grammar": "b"}}, "regex"),
        ({"extra_body": {"json_schema": {}}}, "json_schema"),
        ({"extra_body": {"overflow": "maybe"}}, "overflow"),
        ({"logit_bias": {"-1": 3}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"seed": -1}, "seed"),
        ({"temperature": -0.5}, "temperature"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages"),
        ({"messages": [{"role": "function", "name": "a", "content": "b"}]}, "messages"),
    ]:
        body: Any = {"model": "fake", "messages": SAID, **more}
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**body)
        assert names in str(caught.value), more


def test_a_failure_amid_a_stream_is_an_error_of_the_client(client: openai.OpenAI, models: FakeModels) -> None:
    models.after = WorkerDied("the process was killed")
    stream = client.chat.completions.create(model="fake", messages=SAID, stream=True)
    with pytest.raises(openai.APIError, match="the process was killed"):
        list(stream)
