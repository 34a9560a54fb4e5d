"""The official client of Anthropic against `furet serve` with smollm2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import jsonschema
import pytest
from serve.ollama.live import furet_serve

import furet

ASKED: Any = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY: Any = {"model": "smollm2", "max_tokens": 40, "extra_body": {"temperature": 0}}
WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 40}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def client() -> Iterator[anthropic.Anthropic]:
    with furet_serve("--threads", "1", "--sequences", "2", "--context", "2048") as address:
        yield anthropic.Anthropic(base_url=address, api_key="none", max_retries=0)


def test_an_answer_is_the_engines_own(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(messages=ASKED, system="Answer briefly.", **GREEDY)
    with client.messages.stream(messages=ASKED, system="Answer briefly.", **GREEDY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    with furet.load("smollm2", threads=1, context=2048) as model:
        chat = model.chat(system="Answer briefly.")
        wanted = "".join(piece.text for piece in chat.say(ASKED[0]["content"], temperature=0, max_tokens=40))
    assert whole.content[0].type == "text" and whole.content[0].text == text == wanted
    assert whole.stop_reason == final.stop_reason
    assert whole.usage.output_tokens == final.usage.output_tokens > 0


def test_what_was_read_before_is_told(client: anthropic.Anthropic) -> None:
    """The second time, all of the prompt but its last token is held already."""
    said: Any = [{"role": "user", "content": "Name three colours, then three fruits."}]
    first = client.messages.create(messages=said, **GREEDY).usage
    again = client.messages.create(messages=said, **GREEDY).usage
    count = client.messages.count_tokens(model="smollm2", messages=said).input_tokens
    for usage in (first, again):
        assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == count
    assert again.input_tokens == 1
    begun: Any = [*said, {"role": "assistant", "content": "Red, green"}]
    usage = client.messages.create(messages=begun, **GREEDY).usage
    count = client.messages.count_tokens(model="smollm2", messages=begun).input_tokens
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == count


def test_a_tool_is_called_with_arguments_of_its_schema(client: anthropic.Anthropic) -> None:
    asked: Any = [{"role": "user", "content": "What is the weather in Paris, in Celsius?"}]
    for choice in ({"type": "any"}, {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}):
        with client.messages.stream(messages=asked, tools=[WEATHER], tool_choice=choice, **GREEDY) as stream:
            pieces = [event.partial_json for event in stream if event.type == "input_json"]
            final = stream.get_final_message()
        call = final.content[-1]
        assert final.stop_reason == "tool_use" and call.type == "tool_use" and call.name == "weather"
        assert len(pieces) > 3
        jsonschema.validate(call.input, WEATHER["input_schema"])
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees and sunny"}
    turns: Any = [*asked, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    found = client.messages.create(messages=turns, tools=[WEATHER], tool_choice={"type": "none"}, **GREEDY)
    assert found.content[0].type == "text" and found.content[0].text


def test_an_answer_goes_on_where_the_last_message_ends(client: anthropic.Anthropic) -> None:
    prefilled: Any = [*ASKED, {"role": "assistant", "content": "The capital of"}]
    found = client.messages.create(messages=prefilled, **GREEDY)
    assert found.content[0].type == "text" and found.content[0].text.startswith(" France is Paris")
    assert found.stop_reason == "end_turn"


def test_an_answer_follows_a_schema(client: anthropic.Anthropic) -> None:
    form: Any = {"format": {"type": "json_schema", "schema": WEATHER["input_schema"]}}
    found = client.messages.create(messages=ASKED, output_config=form, **GREEDY)
    assert found.content[0].type == "text"
    jsonschema.validate(json.loads(found.content[0].text), WEATHER["input_schema"])


def test_why_it_ended_is_said(client: anthropic.Anthropic) -> None:
    stopped = client.messages.create(messages=ASKED, stop_sequences=["never", " Paris"], **GREEDY)
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " Paris")
    assert stopped.content[0].type == "text" and "Paris" not in stopped.content[0].text
    cut = client.messages.create(messages=ASKED, **{**GREEDY, "max_tokens": 2})
    assert cut.stop_reason == "max_tokens" and cut.usage.output_tokens == 2
    long: Any = [{"role": "user", "content": "word " * 2000}]
    full = client.messages.create(messages=long, **{**GREEDY, "max_tokens": 100})
    assert full.stop_reason == "model_context_window_exceeded" and full.usage.output_tokens < 100


def test_what_does_not_fit_is_refused_with_both_counts(client: anthropic.Anthropic) -> None:
    long: Any = [{"role": "user", "content": "word " * 3000}]
    with pytest.raises(anthropic.BadRequestError, match=r"30\d\d tokens, the context holds 2048"):
        client.messages.create(messages=long, **GREEDY)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(messages=ASKED, **{**GREEDY, "model": "/etc/passwd"})


def test_a_schema_that_cannot_be_honoured_is_refused(client: anthropic.Anthropic) -> None:
    strange = {**WEATHER, "input_schema": {"type": "object", "unheardOf": 1}}
    with pytest.raises(anthropic.BadRequestError, match="unheardOf"):
        client.messages.create(messages=ASKED, tools=[strange], tool_choice={"type": "any"}, **GREEDY)
