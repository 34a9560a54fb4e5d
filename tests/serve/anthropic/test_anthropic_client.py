"""The official, unmodified client of Anthropic drives every route over pretended models."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import pytest
from pydantic import BaseModel
from serve.fake_models import FakeModels

from furet.errors import Busy, ContextOverflow, DoesNotFit, WorkerDied
from furet.serve.jobs import AnswerChat

SAID: Any = [{"role": "user", "content": "one two three"}]
WEATHER: Any = {
    "name": "weather",
    "description": "of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def job_of(models: FakeModels) -> AnswerChat:
    job = models.jobs[-1][1]
    assert isinstance(job, AnswerChat)
    return job


def test_a_message_comes_whole(client: anthropic.Anthropic) -> None:
    found = client.messages.create(model="fake", max_tokens=10, messages=SAID, system="Be brief.")
    assert found.content[0].type == "text" and found.content[0].text == "one two three"
    assert (found.type, found.role, found.model) == ("message", "assistant", "fake")
    assert found.id.startswith("msg_") and (found.stop_reason, found.stop_sequence) == ("end_turn", None)
    usage = found.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == 7 and usage.cache_read_input_tokens == 3
    assert usage.output_tokens == 3 and usage.cache_creation_input_tokens == 0


def test_a_message_comes_in_events(client: anthropic.Anthropic) -> None:
    """The client's accumulator puts the events together to the very message that comes whole."""
    whole = client.messages.create(model="fake", max_tokens=10, messages=SAID)
    with client.messages.stream(model="fake", max_tokens=10, messages=SAID) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    raw = [each for each in kinds if each != "text"]  # the client adds an event of its own to each piece
    piece = ["content_block_delta"] * 3
    assert raw == [
        "message_start",
        "content_block_start",
        *piece,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert final.model_dump(exclude={"id"}) == whole.model_dump(exclude={"id"})


@pytest.mark.parametrize(
    ("asked", "reason", "sequence"),
    [
        ({"max_tokens": 2}, "max_tokens", None),
        ({"max_tokens": 10, "stop_sequences": ["nothing", "two"]}, "stop_sequence", "two"),
    ],
)
def test_why_it_ended_is_said(client: anthropic.Anthropic, asked: Any, reason: str, sequence: str | None) -> None:
    found = client.messages.create(model="fake", messages=SAID, **asked)
    assert (found.stop_reason, found.stop_sequence) == (reason, sequence)
    with client.messages.stream(model="fake", messages=SAID, **asked) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.stop_sequence) == (reason, sequence)


def test_a_tool_is_called_and_answered(client: anthropic.Anthropic, models: FakeModels) -> None:
    asked: Any = {"role": "user", "content": "call it"}
    with client.messages.stream(model="fake", max_tokens=50, messages=[asked], tools=[WEATHER]) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        streamed = stream.get_final_message()
    whole = client.messages.create(model="fake", max_tokens=50, messages=[asked], tools=[WEATHER])
    assert len(pieces) > 2 and json.loads("".join(pieces)) == {"city": "Paris", "said": "call it"}
    for found in (whole, streamed):
        assert found.stop_reason == "tool_use"
        call = found.content[0]
        assert call.type == "tool_use" and call.name == "weather" and call.input == {"city": "Paris", "said": "call it"}

    sunny, thanks = ({"type": "text", "text": text} for text in ("sunny", "Thanks."))
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": [sunny]}
    turns: Any = [asked, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result, thanks]}]
    found = client.messages.create(model="fake", max_tokens=50, messages=turns, tools=[WEATHER])
    assert found.content[0].type == "text" and found.content[0].text == "Thanks."
    made = job_of(models).messages
    assert [each["role"] for each in made] == ["user", "assistant", "tool", "user"]
    assert json.loads(made[1]["tool_calls"][0]["arguments"]) == call.input
    assert made[2] == {"role": "tool", "content": "sunny", "tool_call_id": made[1]["tool_calls"][0]["id"]}


@pytest.mark.parametrize(
    ("choice", "wanted", "parallel"),
    [
        ({"type": "auto"}, "auto", True),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "tool", "name": "weather"}, {"name": "weather"}, True),
        ({"type": "none"}, "none", True),
    ],
)
def test_tools_are_chosen(
    client: anthropic.Anthropic, models: FakeModels, choice: Any, wanted: Any, parallel: bool
) -> None:
    client.messages.create(model="fake", max_tokens=50, messages=SAID, tools=[WEATHER], tool_choice=choice)
    assert (job_of(models).tool_choice, job_of(models).parallel) == (wanted, parallel)


def test_an_answer_goes_on_where_the_last_message_ends(client: anthropic.Anthropic, models: FakeModels) -> None:
    prefilled: Any = [*SAID, {"role": "assistant", "content": "The answer is"}]
    client.messages.create(model="fake", max_tokens=10, messages=prefilled)
    assert job_of(models).resume and job_of(models).messages[-1] == {"role": "assistant", "content": "The answer is"}
    client.messages.create(model="fake", max_tokens=10, messages=SAID)
    assert not job_of(models).resume


def test_an_answer_has_the_form_of_a_class(client: anthropic.Anthropic, models: FakeModels) -> None:
    class City(BaseModel):
        name: str
        people: int

    said: Any = [{"role": "user", "content": '{"name": "Paris", "people": 2100000}'}]
    found = client.messages.parse(model="fake", max_tokens=50, messages=said, output_format=City)
    assert found.parsed_output == City(name="Paris", people=2_100_000)
    schema = job_of(models).options["json_schema"]
    assert isinstance(schema, dict) and set(schema["properties"]) == {"name", "people"}


def test_settings_reach_the_model(client: anthropic.Anthropic, models: FakeModels) -> None:
    more = {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "thinking": {"type": "disabled"}, "service_tier": "auto"}
    cached: Any = {"cache_control": {"type": "ephemeral"}}
    more |= {"metadata": {"user_id": "42"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    found = client.messages.create(
        model="fake",
        max_tokens=10,
        messages=[{"role": "user", "content": [{"type": "text", "text": "a", **cached}]}],
        system=[{"type": "text", "text": "Be"}, {"type": "text", "text": "brief.", **cached}],
        extra_body=more,
    )
    assert found.usage.service_tier == "standard"
    assert dict(job_of(models).options) == {"max_tokens": 10, "temperature": 0.5, "top_k": 3, "top_p": 0.9}
    assert job_of(models).messages[0] == {"role": "system", "content": "Be\nbrief."}


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    found = client.messages.count_tokens(model="fake", messages=SAID, system="Be brief.", tools=[WEATHER])
    assert found.input_tokens == 7


@pytest.mark.parametrize(
    ("error", "kind", "name"),
    [
        (Busy("too many"), anthropic.ServiceUnavailableError, "overloaded_error"),
        (ContextOverflow("9000 tokens"), anthropic.BadRequestError, "invalid_request_error"),
        (DoesNotFit("8 GB"), anthropic.InternalServerError, "api_error"),
        (WorkerDied("killed"), anthropic.InternalServerError, "api_error"),
    ],
)
def test_a_failure_is_an_exception_of_the_client(
    client: anthropic.Anthropic, models: FakeModels, error: Exception, kind: Any, name: str
) -> None:
    models.before = error
    with pytest.raises(kind) as caught:
        client.messages.create(model="fake", max_tokens=10, messages=SAID)
    body: Any = caught.value.body
    assert body["type"] == "error" and body["error"]["type"] == name and str(error) in body["error"]["message"]
    with pytest.raises(kind), client.messages.stream(model="fake", max_tokens=10, messages=SAID) as stream:
        list(stream)


def test_a_failure_on_the_way_ends_the_stream_with_an_error(client: anthropic.Anthropic, models: FakeModels) -> None:
    models.after = WorkerDied("the process was killed")
    texts = []
    with (
        pytest.raises(anthropic.APIStatusError, match="the process was killed"),
        client.messages.stream(model="fake", max_tokens=10, messages=SAID) as stream,
    ):
        for text in stream.text_stream:
            texts.append(text)
    assert texts == ["one"]


def test_an_unknown_model_is_not_found(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="none", max_tokens=10, messages=SAID)


def test_who_shows_no_token_stays_outside(address: str) -> None:
    stranger = anthropic.Anthropic(base_url=address, api_key="wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as caught:
        stranger.messages.create(model="fake", max_tokens=10, messages=SAID)
    body: Any = caught.value.body
    assert body["error"]["type"] == "authentication_error"


def test_who_leaves_ends_the_answer(address: str, models: FakeModels) -> None:
    """The reader closes the connection in the middle; the answer ends, and is not counted as ended by itself."""
    import asyncio

    models.gate = asyncio.Event()  # never set: the answer waits before its second event
    body = {"model": "fake", "max_tokens": 10, "messages": SAID, "stream": True}
    headers = {"x-api-key": "a token of tests"}
    with httpx.stream("POST", f"{address}/v1/messages", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: message_start" and models.running == 1
    with httpx.Client(base_url=address, headers=headers) as other:
        deadline = 200
        while models.running and deadline:  # each request gives the server's loop a turn
            other.get("/health")
            deadline -= 1
    assert (models.running, models.closed) == (0, 1)


def test_the_models_are_listed_in_its_own_shape(client: anthropic.Anthropic) -> None:
    listed = list(client.models.list(limit=1))
    assert listed and all(model.type == "model" for model in listed)
    assert client.models.retrieve(listed[0].id).display_name == listed[0].id
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")
