"""Calls that a model makes under a grammar: whatever it would like to write, they can be read and fit the schema."""

from __future__ import annotations

import json

import jsonschema
import pytest
from llguidance import LLMatcher
from tool_cases import ANSWERS, NOW, PARIS, TEMPLATES, TOOLS, WEATHER

from furet.chat import answering
from furet.chat.answering import answer
from furet.chat.events import CallArguments, CallBegan, Ended, Text
from furet.chat.tools.family import families, find_family
from furet.chat.tools.grammar import MAX_CALLS, calls_grammar
from furet.chat.tools.tool import read_offer
from furet.errors import BadRequest

ASK = [{"role": "user", "content": "the weather?"}]
SCHEMAS = {"get_weather": WEATHER["parameters"], "now": {"type": "object", "maxProperties": 0}}


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def with_template(source):
    def change(metadata):
        metadata["tokenizer.chat_template"] = source

    return change


def called(events) -> list[tuple[str, str]]:
    """Names and arguments, in their order."""
    events = list(events)
    names = [event.name for event in events if isinstance(event, CallBegan)]
    joined = [
        "".join(e.text for e in events if isinstance(e, CallArguments) and e.index == i) for i in range(len(names))
    ]
    return list(zip(names, joined, strict=True))


@pytest.mark.parametrize("family", TEMPLATES)
def test_the_template_tells_the_family(family):
    assert find_family(TEMPLATES[family]).name == family
    assert find_family("{{ messages }}", family).name == family


def test_a_family_that_is_not_known():
    with pytest.raises(BadRequest, match="'xml'") as caught:
        find_family("", "xml")
    assert "hermes" in caught.value.hint


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("choice", ["required", {"name": "get_weather"}], ids=str)
def test_what_must_be_called_is_called(make, family, choice):
    """By a random model, which would write noise."""
    model = make(with_template(TEMPLATES[family]), context=1024)
    ends = 0
    for seed in range(4):
        options = {"seed": seed, "temperature": 1.5, "max_tokens": 400}
        *events, ended = answer(model, ASK, tools=TOOLS, tool_choice=choice, options=options)
        assert not any(isinstance(event, Text) and event.text.strip() for event in events)
        calls = called(events)
        assert 0 < len(calls) <= MAX_CALLS
        if ended.reason == "length":  # the last one may have been cut off
            calls.pop()
        else:
            ends += 1
            assert ended.reason == "tool_calls"
        for name, arguments in calls:
            assert choice == "required" or name == "get_weather"
            jsonschema.validate(json.loads(arguments), SCHEMAS[name])
    assert ends >= 1


@pytest.mark.parametrize("family", TEMPLATES)
def test_one_call_at_most(make, family):
    model = make(with_template(TEMPLATES[family]), context=512)
    for seed in range(5):
        *events, ended = answer(
            model, ASK, tools=[NOW], tool_choice="required", parallel=False, options={"seed": seed, "temperature": 2}
        )
        assert called(events) == [("now", "{}")] and ended.reason == "tool_calls"


@pytest.mark.parametrize(("family", "mark"), [("mistral", "[TOOL_CALLS]"), ("llama3", "<|python_tag|>")])
def test_a_mark_that_is_a_control_token(make, family, mark):
    """It is not shown as text, and in a grammar it has another name."""

    def change(metadata):
        metadata["tokenizer.ggml.tokens"][258] = mark
        metadata["tokenizer.chat_template"] = TEMPLATES[family]

    model = make(change, context=512)
    assert model.tokenizer.encode(mark) == [258] and 258 in model.tokenizer.special_ids
    for options in ({"tool_choice": "required"}, {"options": {"logit_bias": {258: 100}}}):
        *events, ended = answer(model, ASK, tools=[NOW], parallel=False, **options)
        assert called(events) == [("now", "{}")] and ended.reason == "tool_calls"
        assert not any(isinstance(event, Text) for event in events)
    (text, *_), _ = said(answer(model, ASK, tool_choice="none", tools=[NOW], options={"max_tokens": 5}))
    assert mark not in text


def said(events):
    events = list(events)
    texts = [event.text for event in events if isinstance(event, Text)]
    return ["".join(texts)], events[-1]


def written(model, monkeypatch, text, **more):
    """The events of an answer that is this text."""
    monkeypatch.setattr(answering, "calls_grammar", lambda *_: f"start: {json.dumps(text)}")
    return list(answer(model, ASK, tools=TOOLS, **more))


@pytest.mark.parametrize("family", TEMPLATES)
def test_calls_are_found_in_an_answer_and_what_is_none_stays_text(make, monkeypatch, family):
    model = make(with_template(TEMPLATES[family]), context=1024)
    events = written(model, monkeypatch, ANSWERS[family].replace('}, {"type"', '},{"type"'))
    assert said(events)[0] == ["Sure."] and events[-1].reason == "tool_calls"
    assert called(events) == [("get_weather", PARIS), ("now", "{}")]
    events = written(model, monkeypatch, ANSWERS[family].replace("get_weather", "nothing").replace("now", "nobody"))
    assert called(events) == [] and events[-1].reason == "stop"
    assert "nothing" in said(events)[0][0] and "nobody" in said(events)[0][0]
    tokens = [token for event in events if isinstance(event, Text) for token in event.tokens]
    assert len(tokens) == events[-1].answer_tokens


def test_a_second_call_is_not_waited_for_where_one_is_enough(make, monkeypatch):
    model = make(with_template(TEMPLATES["plain"]), context=1024)
    events = written(model, monkeypatch, ANSWERS["plain"], parallel=False)
    assert called(events) == [("get_weather", PARIS)] and events[-1].reason == "tool_calls"
    assert events[-1].answer_tokens < len(ANSWERS["plain"]) - 20


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.name)
def test_where_a_model_may_call_text_is_free_until_a_call_begins(model, family):
    def taken(text: str, *, parallel: bool = True) -> str:
        """As much of an answer as the grammar takes, and whether it may end there."""
        grammar = calls_grammar(read_offer(TOOLS, "auto", parallel), family, model.tokenizer)
        matcher = LLMatcher(model._guides._built(), LLMatcher.grammar_from_lark(grammar), log_level=0)
        ids = model.tokenizer.encode(text, parse_special=False)
        count = matcher.try_consume_tokens(ids)
        return model.tokenizer.decode(ids[:count]) + ("." if matcher.is_accepting() else "")

    call = family.head("now") + "{}" + family.tail
    one, two = family.opening + call + family.closing, family.opening + call + family.between + call + family.closing
    lead = "" if family.bare else "Sure: "
    assert taken("Hello {}\n<b> [1]") == "Hello {}\n<b> [1]."
    assert taken(lead + one) == lead + one + "."
    assert taken(lead + two) == (lead + one if family.single else lead + two) + "."
    assert taken(one + "x") == one + "."
    assert not taken(two, parallel=False).startswith(two)
    begun = lead + family.opening + family.head("nobody")
    assert begun.startswith(taken(begun)) and "nobody" not in taken(begun)


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.name)
def test_where_a_call_is_held_to_its_schema(make, monkeypatch, family):
    """By families with a mark wherever it stands; by the others where the answer begins. It is read all the same."""
    model = make(with_template(TEMPLATES[family.name]), context=1024)
    call = family.opening + family.head("get_weather") + '{"city": 5}' + family.tail + family.closing

    def taken(text: str) -> bool:
        grammar = calls_grammar(read_offer([{**WEATHER, "strict": True}], "auto", True), family, model.tokenizer)
        matcher = LLMatcher(model._guides._built(), LLMatcher.grammar_from_lark(grammar), log_level=0)
        ids = model.tokenizer.encode(text, parse_special=False)
        return matcher.try_consume_tokens(ids) == len(ids)

    assert not taken(call)
    for before in ("Sure.\n", "\n", " "):
        assert taken(before + call) == family.bare
        events = written(model, monkeypatch, before + call)
        assert called(events) == [("get_weather", '{"city": 5}')]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"not": {}}, "'get_weather': #/not cannot be honoured"),
        ({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}, "'get_weather': .*#/properties/a"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "'get_weather'"),
    ],
    ids=str,
)
def test_schemas_that_cannot_be_enforced(make, change, says):
    """Refused where they would have to be; otherwise such arguments are any JSON object."""
    model = make(context=1024)
    tool = {"name": "get_weather", "parameters": {"type": "object", **change}}
    for more, choice in (({}, "required"), ({"strict": True}, "auto")):
        with pytest.raises(BadRequest, match=says):
            answer(model, ASK, tools=[{**tool, **more}], tool_choice=choice)
    answer(model, ASK, tools=[tool]).close()


def test_too_many_schemas(model):
    properties = {f"p{n}": {"type": "string", "description": "x" * 200} for n in range(100)}
    tools = [{"name": f"t{n}", "parameters": {"type": "object", "properties": properties}} for n in range(10)]
    with pytest.raises(BadRequest, match="tools: their schemas make a grammar of"):
        answer(model, ASK, tools=tools, tool_choice="required")
    assert len(calls_grammar(read_offer(tools, "auto", True), families()["hermes"], model.tokenizer)) < 10_000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tools": [{}]}, r"tools\[0\]\.name"),
        ({"tools": [{"name": "a b"}]}, r"tools\[0\]\.name"),
        ({"tools": ["x"]}, r"tools\[0\]"),
        ({"tools": [NOW, NOW]}, r"tools\[1\]\.name: 'now' is the name of two"),
        ({"tools": [{"name": "a", "params": {}}]}, r"tools\[0\]\.params"),
        ({"tools": [{"name": "a", "description": 3}]}, r"tools\[0\]\.description"),
        ({"tools": [{"name": "a", "parameters": []}]}, r"tools\[0\]\.parameters"),
        ({"tools": [{"name": "a", "parameters": {"type": "array"}}]}, r"tools\[0\]\.parameters\.type"),
        ({"tools": [{"name": "a", "parameters": {"x": float("nan")}}]}, r"tools\[0\]\.parameters"),
        ({"tools": [{"name": "a", "parameters": {"x": "\ud800"}}]}, r"tools\[0\]\.parameters"),
        ({"tools": [{"name": "a", "parameters": nested(25)}]}, r"tools\[0\]\.parameters: nested more than 24"),
        ({"tools": [{"name": "a", "parameters": nested(5000)}]}, r"tools\[0\]\.parameters"),
        (
            {"tools": [{"name": n, "parameters": {"title": "x" * 90_000}} for n in "abc"]},
            "tools: their schemas have 27",
        ),
        ({"tools": [{"name": "a", "strict": "yes"}]}, r"tools\[0\]\.strict"),
        ({"tools": "now"}, "tools"),
        ({"tools": [{"name": f"t{n}"} for n in range(129)]}, "tools"),
        ({"tools": [NOW], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [NOW], "tool_choice": {"name": "then"}}, "tool_choice: no tool 'then'"),
        ({"tools": [NOW], "tool_choice": {"name": "now", "x": 1}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice: required, but there are no tools"),
        ({"tools": [NOW], "parallel": 1}, "parallel"),
        ({"tools": [NOW], "options": {"json_schema": {}}}, "json_schema: an answer that may call tools"),
        ({"tools": [NOW], "family": "xml"}, "no family"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_what_cannot_be_offered(model, given, says):
    with pytest.raises(BadRequest, match=says):
        answer(model, ASK, **given)


def test_the_default_model_calls_a_tool():
    """SmolLM2 was never told of tools: what it writes is given by the grammar, what it means is its own."""
    import furet

    with furet.load("smollm2", context=1024, threads=1) as model:
        ask = [{"role": "user", "content": "What is the weather in Paris, in Celsius?"}]
        options = {"temperature": 0, "max_tokens": 100}
        *events, ended = answer(model, ask, tools=[WEATHER], tool_choice="required", parallel=False, options=options)
        ((name, arguments),) = called(events)
        assert name == "get_weather" and isinstance(ended, Ended) and ended.reason == "tool_calls"
        jsonschema.validate(json.loads(arguments), WEATHER["parameters"])
        assert json.loads(arguments)["city"] == "Paris" and json.loads(arguments)["unit"] == "C"
        assert sum(isinstance(event, CallArguments) for event in events) > 5  # as they were written
        for seed in range(10):
            options = {"seed": seed, "temperature": 1.5, "max_tokens": 80}
            *events, ended = answer(model, ask, tools=TOOLS, tool_choice="required", parallel=False, options=options)
            assert ended.reason == "tool_calls"
            ((name, arguments),) = called(events)
            jsonschema.validate(json.loads(arguments), SCHEMAS[name])
