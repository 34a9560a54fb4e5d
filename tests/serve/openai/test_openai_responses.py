"""/v1/responses, by the official client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel
from serve.fake_models import FakeModels

from furet.errors import WorkerDied
from furet.serve.openai.responses.kept import Responses

WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


def messages(models: FakeModels) -> Any:
    """Of the last job."""
    return models.jobs[-1][1].messages  # type: ignore[union-attr]


def test_a_response(client: openai.OpenAI, models: FakeModels) -> None:
    answer = client.responses.create(model="fake", input="one two three", instructions="Be brief.", temperature=0.5)
    assert answer.output_text == "one two three" and answer.status == "completed" and answer.error is None
    assert answer.usage is not None and answer.usage.input_tokens_details.cached_tokens == 3
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (7, 3, 10)
    assert messages(models) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one two three"},
    ]
    assert (answer.instructions, answer.temperature, answer.id[:5]) == ("Be brief.", 0.5, "resp_")


def test_one_that_is_cut_says_so(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="fake", input="one two three", max_output_tokens=2)
    assert answer.status == "incomplete" and answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens" and answer.output_text == "one two"
    assert answer.output[0].status == "incomplete"  # type: ignore[union-attr]
    with client.responses.stream(model="fake", input="one two three", max_output_tokens=2) as stream:
        (done,) = [each for each in stream if each.type == "response.output_item.done"]
    assert done.item.status == "incomplete"  # type: ignore[union-attr]
    again: Any = [*answer.output, {"role": "user", "content": "on"}]
    assert client.responses.create(model="fake", input=again).output[0].status == "completed"  # type: ignore[union-attr]


def test_the_events_tell_what_the_response_is(client: openai.OpenAI) -> None:
    with client.responses.stream(model="fake", input="one two three") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [each.type for each in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [each.sequence_number for each in events] == list(range(len(events)))
    assert events[0].response.output == [] and final.output_text == "one two three"  # type: ignore[union-attr]


def test_a_call_and_what_it_gave(client: openai.OpenAI, models: FakeModels) -> None:
    with client.responses.stream(model="fake", input="call", tools=[WEATHER], tool_choice="required") as stream:
        events = list(stream)
        final = stream.get_final_response()
    pieces = [each.delta for each in events if each.type == "response.function_call_arguments.delta"]
    call = final.output[0]
    assert isinstance(call, ResponseFunctionToolCall) and call.arguments == "".join(pieces) and len(pieces) > 3
    assert json.loads(call.arguments)["city"] == "Paris"
    given: Any = [
        {"role": "user", "content": "call"},
        *final.output,
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    assert client.responses.create(model="fake", input=given, tools=[WEATHER]).output_text == "sunny"
    asked = {"id": call.call_id, "name": "weather", "arguments": call.arguments}
    assert messages(models) == [
        {"role": "user", "content": "call"},
        {"role": "assistant", "content": "", "tool_calls": [asked]},
        {"role": "tool", "content": "sunny", "tool_call_id": call.call_id},
    ]


def test_a_conversation_goes_on_from_a_response(client: openai.OpenAI, models: FakeModels) -> None:
    first = client.responses.create(model="fake", input="one", instructions="Be brief.")
    second = client.responses.create(model="fake", input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert messages(models) == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "two"},
    ]
    output: Any = client.responses.retrieve(second.id).output  # as clients send it back
    client.responses.create(model="fake", input=[*output, {"role": "user", "content": "three"}])
    assert messages(models)[0] == {"role": "assistant", "content": "two"}


def test_what_is_not_stored_or_deleted_is_not_there(client: openai.OpenAI) -> None:
    unstored = client.responses.create(model="fake", input="one", store=False)
    stored = client.responses.create(model="fake", input="one")
    client.responses.delete(stored.id)
    for id in (unstored.id, stored.id):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(id)
        with pytest.raises(openai.BadRequestError, match="previous_response_id: no response"):
            client.responses.create(model="fake", input="two", previous_response_id=id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(stored.id)


class Point(BaseModel):
    """What the answer is to be."""

    x: int


def test_an_answer_may_be_asked_for_as_an_object(client: openai.OpenAI, models: FakeModels) -> None:
    parsed = client.responses.parse(model="fake", input='{"x": 3}', text_format=Point)
    assert parsed.output_parsed == Point(x=3)
    again: Any = [*parsed.output, {"role": "user", "content": "on"}]  # as clients send it back
    assert client.responses.create(model="fake", input=again).output_text == "on"
    assert models.jobs[0][1].options["json_schema"]["required"] == ["x"]  # type: ignore[union-attr]


def test_log_probabilities_are_included_when_asked_for(client: openai.OpenAI) -> None:
    asked: Any = {"model": "fake", "input": "one two", "include": ["message.output_text.logprobs"], "top_logprobs": 1}
    part: Any = client.responses.create(**asked).output[0].content[0]  # type: ignore[union-attr]
    assert [each.token for each in part.logprobs] == ["one", " two"] and part.logprobs[0].top_logprobs[0].token == "one"


def test_a_long_conversation_may_lose_its_oldest_turns(client: openai.OpenAI, models: FakeModels) -> None:
    client.responses.create(model="fake", input="one", truncation="auto")
    assert models.jobs[-1][1].overflow == "drop"  # type: ignore[union-attr]


def test_what_cannot_be_honoured_is_refused_by_name(client: openai.OpenAI) -> None:
    for more, names in [
        ({"reasoning": {"effort": "low"}}, "reasoning"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"extra_body": {"logprobs": 2}}, "logprobs"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "a"}]}]}, "input"),
        ({"input": [{"type": "item_reference", "id": "a"}]}, "input"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ]:
        body: Any = {"model": "fake", "input": "one", **more}
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(**body)
        assert names in str(caught.value), more


def test_a_failure_amid_a_stream_is_a_response_that_failed(client: openai.OpenAI, models: FakeModels) -> None:
    models.after = WorkerDied("the process was killed")
    *_, last = client.responses.create(model="fake", input="one two", stream=True)
    assert last.type == "response.failed" and last.response.status == "failed" and last.response.error is not None
    assert "the process was killed" in last.response.error.message


def test_what_is_kept_is_bounded() -> None:
    kept = Responses(most=3, most_bytes=400)
    for id in ("a", "b", "c"):
        kept.keep({"id": id}, [])
    assert kept.get("a") is not None
    kept.keep({"id": "d"}, [])
    assert kept.get("b") is None and kept.get("a") is not None
    kept.keep({"id": "e"}, [{"content": "x" * 340}])
    assert kept.get("c") is None and kept.get("e") is not None
    kept.keep({"id": "f"}, [{"content": "x" * 500}])
    assert kept.get("f") is None and kept.get("e") is not None
    assert kept.forget("e") and not kept.forget("e")
