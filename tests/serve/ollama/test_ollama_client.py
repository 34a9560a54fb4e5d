"""The official, unmodified client of Ollama drives every route over pretended models."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import ollama
import pytest
from serve.fake_models import FakeModels

from furet.errors import Busy, DoesNotFit, WorkerDied
from furet.serve.jobs import AnswerChat, Continue

SAID = [{"role": "user", "content": "one two three"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_an_answer_comes_whole_or_in_pieces(client: ollama.Client) -> None:
    whole = client.chat("fake", SAID)
    pieces = list(client.chat("fake", SAID, stream=True))
    assert whole.message.content == "one two three" == "".join(each.message.content or "" for each in pieces)
    assert [each.done for each in pieces] == [False, False, False, True]
    for last in (whole, pieces[-1]):
        assert last.model == "fake" and last.done_reason == "stop" and last.message.role == "assistant"
        assert (last.prompt_eval_count, last.eval_count) == (4, 3)
        assert (last.prompt_eval_duration, last.eval_duration) == (10_000_000, 3_000_000)
        assert last.total_duration and last.load_duration is not None and last.load_duration <= last.total_duration


def test_options_reach_the_model_under_its_own_names(client: ollama.Client, models: FakeModels) -> None:
    answer = client.chat(
        "fake", SAID, options={"num_predict": 2, "tfs_z": 0.9, "penalize_newline": False, "stop": ["four"], "seed": -1}
    )
    assert answer.message.content == "one two" and answer.done_reason == "length"
    job = models.jobs[-1][1]
    assert isinstance(job, AnswerChat)
    wanted = {"max_tokens": 2, "tail_free": 0.9, "penalise_newline": False, "stop": ["four"], "seed": None}
    assert dict(job.options) == wanted


def test_a_tool_is_called_and_answered(client: ollama.Client, models: FakeModels) -> None:
    """The arguments come as an object, in a stream, too; the client knows no ids, so the calls are matched by name."""
    asked = {"role": "user", "content": "call it"}
    for call in (
        client.chat("fake", [asked], tools=[WEATHER]).message,
        next(each.message for each in client.chat("fake", [asked], tools=[WEATHER], stream=True)),
    ):
        assert call.tool_calls and call.tool_calls[0].function.name == "weather"
        assert call.tool_calls[0].function.arguments == {"city": "Paris", "said": "call it"}
    result = {"role": "tool", "tool_name": "weather", "content": "sunny"}
    assert client.chat("fake", [asked, call, result], tools=[WEATHER]).message.content == "sunny"
    job = models.jobs[-1][1]
    assert isinstance(job, AnswerChat)
    made = job.messages[1]["tool_calls"][0]
    assert json.loads(made["arguments"]) == {"city": "Paris", "said": "call it"}
    assert job.messages[2] == {"role": "tool", "content": "sunny", "tool_call_id": made["id"]}
    assert job.tools[0]["parameters"]["required"] == ["city"]


def test_a_function_of_python_is_a_tool(client: ollama.Client, models: FakeModels) -> None:
    def add(a: int, b: int) -> int:
        """Add.

        Args:
            a: one
            b: other
        """
        return a + b

    client.chat("fake", [{"role": "user", "content": "call"}], tools=[add])
    job = models.jobs[-1][1]
    assert isinstance(job, AnswerChat)
    assert job.tools[0]["name"] == "add" and job.tools[0]["parameters"]["properties"]["a"]["type"] == "integer"


@pytest.mark.parametrize(
    ("format", "schema"),
    [
        ("json", {"type": "object"}),
        ({"type": "array"}, {"type": "array"}),
        ("", None),
    ],
)
def test_a_format_is_a_schema(client: ollama.Client, models: FakeModels, format: Any, schema: Any) -> None:
    client.chat("fake", SAID, format=format)
    job = models.jobs[-1][1]
    assert isinstance(job, AnswerChat) and job.options.get("json_schema") == schema


def test_a_prompt_is_a_message_unless_it_is_raw(client: ollama.Client, models: FakeModels) -> None:
    assert client.generate("fake", "a b", system="Be brief.").response == "a b"
    job = models.jobs[-1][1]
    assert isinstance(job, AnswerChat)
    assert job.messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a b"}]
    assert "".join(each.response or "" for each in client.generate("fake", "a b", raw=True, stream=True)) == "a b"
    job = models.jobs[-1][1]
    assert isinstance(job, Continue) and job.prompt == "a b"


def test_logprobs_have_their_tokens_spelled(client: ollama.Client) -> None:
    whole = client.generate("fake", "un deux", logprobs=True, top_logprobs=2)
    assert whole.logprobs and [each.token for each in whole.logprobs] == ["un", " deux"]
    assert whole.logprobs[1].top_logprobs and [each.token for each in whole.logprobs[1].top_logprobs] == ["un", " deux"]
    assert all(each.logprob == -0.25 for each in whole.logprobs)


def test_texts_become_vectors(client: ollama.Client) -> None:
    found = client.embed("fake-embed", ["a", "b c"])
    assert [list(each) for each in found.embeddings] == [[0.5, -0.5, 0.5, 0.125], [0.5, -0.5, 0.5, 0.25]]
    assert found.prompt_eval_count == 3
    assert list(client.embeddings("fake-embed", "b c").embedding) == [0.5, -0.5, 0.5, 0.25]
    cut = client.embed("fake-embed", "a", dimensions=2).embeddings[0]
    assert cut == pytest.approx([2**-0.5, -(2**-0.5)])


def test_models_are_listed_and_described(client: ollama.Client) -> None:
    listed = client.list().models
    assert [each.model for each in listed] == ["fake", "fake-embed", "hf:test/broken"]
    assert listed[0].details and listed[0].details.family == "llama" and listed[0].details.quantization_level == "Q4_0"
    assert listed[0].digest and len(listed[0].digest) == 64
    assert listed[2].details and listed[2].details.family == "", "a broken file is listed, and nothing said of it"

    shown = client.show("fake")
    assert shown.capabilities == ["completion", "tools"] and shown.template and "im_start" in shown.template
    assert shown.modelinfo and shown.modelinfo["llama.context_length"] == 256
    assert shown.modelinfo["general.parameter_count"] > 10_000
    assert shown.modelinfo["tokenizer.ggml.tokens"] is None
    assert client.show("fake-embed").capabilities == ["embedding"]


def test_models_in_memory_are_shown(client: ollama.Client) -> None:
    assert client.ps().models == []
    client.chat("fake", SAID)
    (running,) = client.ps().models
    assert running.model == "fake" and running.size == 120_000_000 and running.context_length == 2048
    client.chat("fake", [], keep_alive=0)
    assert client.ps().models == []


def test_a_model_is_loaded_and_unloaded_without_a_question(client: ollama.Client) -> None:
    assert client.chat("fake", []).done_reason == "load"
    assert [each.model for each in client.ps().models] == ["fake"]
    assert client.generate("fake", keep_alive=0).done_reason == "unload"
    assert client.ps().models == []


def test_a_model_is_fetched_and_deleted(client: ollama.Client, models: FakeModels) -> None:
    steps = list(client.pull("fake", stream=True))
    assert [each.status for each in steps] == [*["pulling fake.gguf"] * 3, "success"]
    assert [each.completed for each in steps[:3]] == [0, 50, 100] and steps[0].total == 100
    assert client.pull("fake").status == "success"
    assert client.delete("fake").status == "success" and models.deleted == ["fake"]


@pytest.mark.parametrize("action", ["copy", "create", "push"])
def test_what_furet_does_not_do_is_said(client: ollama.Client, action: str) -> None:
    ask = {
        "copy": lambda: client.copy("fake", "other"),
        "create": lambda: client.create("new", from_="fake"),
        "push": lambda: client.push("fake"),
    }[action]
    with pytest.raises(ollama.ResponseError, match="not supported") as caught:
        ask()
    assert caught.value.status_code == 501


@pytest.mark.parametrize(
    ("error", "status"),
    [(Busy("too many"), 503), (DoesNotFit("8 GB"), 507), (WorkerDied("killed"), 502)],
)
def test_a_failure_has_its_status(client: ollama.Client, models: FakeModels, error: Exception, status: int) -> None:
    models.before = error
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match=str(error)) as caught:
            list(client.chat("fake", SAID, stream=stream))
        assert caught.value.status_code == status
    with pytest.raises(ollama.ResponseError, match=str(error)) as caught:
        list(client.pull("fake", stream=True))
    assert caught.value.status_code == status


def test_a_failure_on_the_way_ends_the_stream_with_an_error(client: ollama.Client, models: FakeModels) -> None:
    models.after = WorkerDied("the process was killed")
    seen = []
    with pytest.raises(ollama.ResponseError, match="the process was killed"):
        for piece in client.chat("fake", SAID, stream=True):
            seen.append(piece.message.content)
    assert seen == ["one"]
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("fake", SAID)
    assert caught.value.status_code == 502


def test_an_unknown_model_is_not_found(client: ollama.Client) -> None:
    for ask in (lambda: client.chat("none", SAID), lambda: client.show("none"), lambda: client.delete("none")):
        with pytest.raises(ollama.ResponseError, match="no ") as caught:
            ask()
        assert caught.value.status_code == 404


def test_many_ask_at_once(app: Any, models: FakeModels) -> None:
    """The asynchronous client; every answer is its own."""
    from serve.ollama.live import serving

    async def ask(address: str) -> list[str | None]:
        client = ollama.AsyncClient(host=address)
        said = [[{"role": "user", "content": f"word {number}"}] for number in range(20)]
        answers = await asyncio.gather(*(client.chat("fake", each) for each in said))
        return [each.message.content for each in answers]

    with serving(app) as address:
        assert asyncio.run(ask(address)) == [f"word {number}" for number in range(20)]
    assert models.running == 0
