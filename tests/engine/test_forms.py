"""Answers of a form: what a random model makes of one is always of that form, or refused before it begins."""

from __future__ import annotations

import json
import re
import time
from threading import Thread

import jsonschema
import numpy as np
import pytest
import tiny

from furet.engine.request import Request
from furet.errors import BadRequest

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "kind": {"enum": ["red", "blue", None, 7]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "kind", "tags"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "pattern": "^[a-z]{1,3}$"}},
}
SCHEMAS = [
    PERSON,
    {"type": "boolean"},
    {"const": {"a": [1, "ü"]}},
    {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 3, "maximum": 9}]},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"enum": ["x"]}], "items": False, "minItems": 2},
    {"type": "string", "format": "date"},
    {"type": "number"},
    {"type": ["integer", "null"], "minimum": -5},
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 2, "maxItems": 2},
    '{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": false}',
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"temperature": 3, "top_k": 0, "top_p": 1}], ids=str)
def test_json_of_a_schema(model, schema, options):
    for seed in range(5):
        out = model.generate("the", max_tokens=200, seed=seed, json_schema=schema, **options)
        assert out.finish_reason == "stop", out.text
        jsonschema.validate(json.loads(out.text), json.loads(schema) if isinstance(schema, str) else schema)


def test_a_regex_choices_and_grammars(model):
    for seed in range(5):
        options = {"max_tokens": 100, "seed": seed, "temperature": 2.0}
        assert re.fullmatch("[a-c]{3}-[0-9]{1,4}", model.generate("x", regex="[a-c]{3}-[0-9]{1,4}", **options).text)
        choices = ["Paris", "New (York)", "a|b", "a\n\t\\<b>#-&~%", "é 🦦"]
        assert model.generate("x", choices=choices, **options).text in choices
        gbnf = 'root ::= "<" word ("," word){2} ">"\nword ::= [x-z]+ | "\\"q\\""'
        lark = 'start: "<" word "," word "," word ">"\nword: /[x-z]+/ | "\\"q\\""'
        for grammar in (gbnf, lark):
            text = model.generate("x", grammar=grammar, logit_bias={44: 9, 62: 9}, **options).text
            assert re.fullmatch(r'<(([x-z]+|"q"),){2}([x-z]+|"q")>', text) or len(text) >= 100


def test_a_form_that_leaves_few_tokens_does_not_order_the_others(model, monkeypatch):
    sizes: list[int] = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda keys, **options: sizes.append(len(keys)) or argsort(keys, **options))
    model.generate("x", regex="[a-f]{9}", seed=1, top_k=0)
    assert sizes and max(sizes) <= 6


def test_an_answer_ends_with_its_form_even_where_ends_are_ignored(model):
    out = model.generate("x", regex="abc", max_tokens=50, ignore_eos=True)
    assert (out.text, out.finish_reason, len(out.tokens)) == ("abc", "stop", 3)
    assert model.generate("x", choices=["ab", "abcd"], max_tokens=2, logit_bias={99: 50}).text == "ab"


def test_tokens_that_are_text_end_no_answer_of_a_form(model):
    special, text = min(model.tokenizer.special_ids), ord("b")
    ends = frozenset([special, text])

    def made(**options):
        return "".join(piece.text for piece in model.answer([5], Request(temperature=0, **options), ends=ends))

    assert made(regex="abc") == "abc" and made(logit_bias={text: 100}) == ""
    assert special in model._ends(ends, Request(regex="a")) and text not in model._ends(ends, Request(regex="a"))


def test_stop_strings_and_limits_still_hold(model):
    out = model.generate("x", regex="abc", stop=["z", "b"])
    assert (out.text, out.stop) == ("a", "b") and model.generate("x", regex="abc", stop="z").stop is None
    out = model.generate("x", regex="a{50}", max_tokens=7)
    assert (out.text, out.finish_reason) == ("aaaaaaa", "length")


def test_a_form_is_the_same_on_every_thread(model):
    wanted = model.generate("the", seed=1, json_schema=PERSON, max_tokens=200).text
    found: list[str] = []
    threads = [
        Thread(target=lambda: found.append(model.generate("the", seed=1, json_schema=PERSON, max_tokens=200).text))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


REFUSED = [
    ({"json_schema": {"properties": {"a": {"items": {"not": {}}}}}}, "#/properties/a/items/not"),
    ({"json_schema": {"properties": {"a": {"type": "strin"}, "ab": {}}}}, "at #/properties/a: "),
    ({"json_schema": {"anyOf": [{}, {"type": "string", "format": "foo"}]}}, "at #/anyOf/1: "),
    ({"json_schema": {"type": "integer", "minimum": 5, "maximum": 3}}, "Unsatisfiable"),
    ({"json_schema": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}, "oneOf"),
    ({"json_schema": {"$ref": "http://example.com/schema"}}, "json_schema"),
    ({"json_schema": {"x-guidance": {"lenient": True}}}, "#/x-guidance"),
    ({"json_schema": {"uniqueItems": True}}, "#/uniqueItems"),
    ({"json_schema": "{"}, "not JSON"),
    ({"json_schema": [1]}, "wanted a schema"),
    ({"json_schema": {"minimum": float("nan")}}, "not JSON"),
    ({"json_schema": '{"minimum": NaN}'}, "not JSON"),
    ({"json_schema": {"description": "x" * 10_000_000}}, "10000019 characters"),
    ({"json_schema": '{"items":' * 10_000 + "{}" + "}" * 10_000}, "deep"),
    ({"json_schema": '{"items":' * 100 + "{}" + "}" * 100}, "deep"),
    ({"regex": "(a"}, "regex"),
    ({"regex": r"(a)\1"}, "backreferences"),
    ({"regex": "(?=a)b"}, "look-around"),
    ({"regex": ""}, "regex"),
    ({"regex": "a" * 10_000}, "10000 characters"),
    ({"choices": []}, "choices"),
    ({"choices": "abc"}, "choices"),
    ({"choices": ["a", ""]}, "choices"),
    ({"grammar": "root ::= " + "(" * 60_000 + '"a"' + ")" * 60_000}, "grammar"),
    ({"grammar": "root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000}, "nested too deeply"),
    ({"grammar": "start: " + "(" * 20_000 + '"a"' + ")" * 20_000}, "grammar"),
    ({"grammar": "root ::= nothing"}, "grammar"),
    ({"grammar": "start: nothing"}, "nothing"),
    ({"regex": "a", "choices": ["b"]}, "regex and choices"),
    ({"regex": "\ud800"}, "regex"),
    ({"choices": ["\ud800"]}, "choices"),
    ({"grammar": 'start: "\ud800"'}, "grammar"),
    ({"json_schema": {"const": "\ud800"}}, "json_schema"),
    ({"json_schema": {"properties": {"\ud800": {"not": 1}}}}, "json_schema"),
]


@pytest.mark.parametrize(("form", "named"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_honoured_is_refused_at_once(model, form, named):
    model.generate("x", regex="a")  # the tables that all forms share
    began = time.perf_counter()
    with pytest.raises(BadRequest) as caught:
        model.generate("x", **form)
    assert named in str(caught.value) and len(str(caught.value).encode("utf-8")) < 1000
    assert time.perf_counter() - began < 2  # measured 0.1 at most; the bound is one second on a machine at rest


@pytest.mark.parametrize("regex", ["(a+)+$", "(a|a)*b", "(a|aa)+c", "((a{1,30}){1,30}){1,30}", ".*a.{60}b"])
def test_a_regex_that_ruins_others_costs_little_or_ends_with_an_error(model, regex):
    began = time.perf_counter()
    try:
        out = model.generate("x", regex=regex, max_tokens=60, logit_bias={97: 30})
        assert set(out.text) <= set("abc") or "." in regex
    except BadRequest as error:
        assert "regex" in str(error)
    assert time.perf_counter() - began < 10


def test_a_model_without_an_end_says_so(load, tmp_path, monkeypatch):
    model = load(tiny.write(tmp_path / "m.gguf", tiny.model(tokenizer=True)))
    model.tokenizer.stop_ids = frozenset()
    with pytest.raises(BadRequest, match="no token that ends"):
        model.generate("x", regex="a")
