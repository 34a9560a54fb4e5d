"""The official client of Ollama against `furet serve` with real models: smollm2, and a tiny encoder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import ollama
import pytest
from parity.checkpoint import save
from serve.ollama.live import furet_serve

import furet

ASKED = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0, "num_predict": 40}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 40}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of an encoder, and a vocabulary of words."""
    folder = tmp_path_factory.mktemp("models") / "encoder"
    folder.mkdir()
    save("bert", folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


@pytest.fixture(scope="module")
def client(encoder: Path) -> Iterator[ollama.Client]:
    with furet_serve(str(encoder), "--threads", "1", "--sequences", "2") as address:
        yield ollama.Client(host=address)


def test_an_answer_is_the_engines_own(client: ollama.Client) -> None:
    """Streamed, whole, and by `furet.load` alike."""
    whole = client.chat("smollm2", ASKED, options=GREEDY)
    pieces = list(client.chat("smollm2:latest", ASKED, options=GREEDY, stream=True))
    with furet.load("smollm2", threads=1, context=2048) as model:
        chat = model.chat()
        wanted = "".join(piece.text for piece in chat.say(ASKED[0]["content"], temperature=0, max_tokens=40))
    assert whole.message.content == "".join(each.message.content or "" for each in pieces) == wanted
    assert "Paris" in wanted
    last = pieces[-1]
    assert last.done_reason == "stop" and last.eval_count == whole.eval_count and last.eval_count
    assert last.total_duration and last.eval_duration and last.prompt_eval_duration is not None
    assert last.total_duration >= last.eval_duration + last.prompt_eval_duration + (last.load_duration or 0)


def test_an_answer_follows_a_schema(client: ollama.Client) -> None:
    found = client.chat("smollm2", [{"role": "user", "content": "A city, as JSON."}], format=CITY, options={"seed": 1})
    jsonschema.validate(json.loads(found.message.content or ""), CITY)
    answers = [client.generate("smollm2", "A city", format="json", options={"seed": seed}) for seed in range(8)]
    ended = [each for each in answers if each.done_reason == "stop"]  # an object of any length may be cut, and says so
    assert ended and {each.done_reason for each in answers} <= {"stop", "length"}
    assert all(isinstance(json.loads(each.response), dict) for each in ended)


def test_a_schema_that_cannot_be_honoured_is_refused(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="json_schema") as caught:
        client.chat("smollm2", ASKED, format={"type": "object", "unheardOf": 1})
    assert caught.value.status_code == 400


def test_tools_are_offered_and_their_results_read(client: ollama.Client) -> None:
    """What a model of this size calls is up to it; whatever it says comes through, and results go back in."""
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    asked = [{"role": "user", "content": "What is the weather in Paris?"}]
    whole = client.chat("smollm2", asked, tools=[tool], options=GREEDY)
    pieces = [each.message for each in client.chat("smollm2", asked, tools=[tool], options=GREEDY, stream=True)]
    assert whole.message.content == "".join(each.content or "" for each in pieces)
    calls = [call for each in pieces for call in each.tool_calls or ()]
    assert [call.function for call in calls] == [call.function for call in whole.message.tool_calls or ()]

    call = {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}]}
    result = {"role": "tool", "tool_name": "weather", "content": "18 degrees and sunny"}
    found = client.chat("smollm2", [*asked, call, result], tools=[tool], options=GREEDY)
    assert (found.prompt_eval_count or 0) > (whole.prompt_eval_count or 0)
    assert found.message.content or found.message.tool_calls


def test_log_probabilities_are_the_engines_own(client: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 3}
    prompt = "The capital of France is"
    found = client.generate("smollm2", prompt, raw=True, logprobs=True, top_logprobs=2, options=options)
    with furet.load("smollm2", threads=1, context=2048) as model:
        wanted = model.generate(prompt, temperature=0, max_tokens=3, logprobs=2)
    assert found.response == wanted.text
    assert "".join(each.token for each in found.logprobs or ()) == wanted.text
    assert [each.logprob for each in found.logprobs or ()] == [each.logprob for each in wanted.logprobs or ()]


def test_vectors_are_the_engines_own(client: ollama.Client, encoder: Path) -> None:
    texts = ["w1 w2 w3", "w4"]
    found = client.embed("encoder", texts)
    with furet.load(encoder, threads=1) as model:
        np.testing.assert_allclose(found.embeddings, model.embed(texts), rtol=0, atol=1e-6)
    assert found.prompt_eval_count == 8, "with [CLS] and [SEP]"
    with pytest.raises(ollama.ResponseError, match="context holds 64"):
        client.embed("encoder", "w1 " * 100)
    assert len(client.embed("encoder", "w1 " * 100, truncate=True).embeddings[0]) == 64
    with pytest.raises(ollama.ResponseError, match="embeds texts"):
        client.chat("encoder", ASKED)


def test_models_come_and_go(client: ollama.Client) -> None:
    assert {"smollm2", "encoder"} <= {each.model for each in client.list().models}
    client.chat("smollm2", [], keep_alive="5m")
    assert {each.model for each in client.ps().models} == {"smollm2", "encoder"}
    running = next(each for each in client.ps().models if each.model == "smollm2")
    assert running.context_length == 4096 and running.size and running.size > 98_000_000
    client.chat("smollm2", [], keep_alive=0)
    assert [each.model for each in client.ps().models] == ["encoder"]
    client.chat("encoder", [], keep_alive=0)
    assert [each.model for each in client.ps().models] == ["encoder"], "the operator has pinned it"

    shown = client.show("smollm2:latest")
    assert shown.modelinfo and shown.modelinfo["llama.context_length"] == 8192
    assert shown.details and shown.details.parameter_size == "134.5M" and shown.license == "apache-2.0"
    assert shown.capabilities == ["completion", "tools"] and shown.details.format == "gguf"
    encoder = client.show("encoder")
    assert encoder.capabilities == ["embedding"] and encoder.details and encoder.details.format == "checkpoint"


def test_what_is_too_much_is_refused_with_figures(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="16384, the model is loaded with a context of 4096") as caught:
        client.chat("smollm2", ASKED, options={"num_ctx": 16384})
    assert caught.value.status_code == 400
    long = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(ollama.ResponseError, match="context holds 4096") as caught:
        client.chat("smollm2", long)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("name", ["/etc/passwd", "../smollm2", "none", "hf:nobody/nothing"])
def test_a_name_is_looked_up_and_never_followed(client: ollama.Client, name: str) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(name, ASKED)
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as caught:
        client.delete(name)
    assert caught.value.status_code in (400, 404)


@pytest.mark.parametrize("name", ["/etc/passwd", "../smollm2", "file:///etc/passwd", "http://localhost/x.gguf"])
def test_nothing_is_fetched_from_where_a_request_likes(client: ollama.Client, name: str) -> None:
    for ask in (lambda: client.pull(name), lambda: list(client.pull(name, stream=True))):
        with pytest.raises(ollama.ResponseError) as caught:
            ask()
        assert caught.value.status_code == 400
