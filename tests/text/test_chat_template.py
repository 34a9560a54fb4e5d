"""The dialect of chat templates, and typed errors for conversations and templates that do not fit.

Byte for byte equality with apply_chat_template on seventy published templates and thirty conversations is
what benchmarks/template_parity.py checks.
"""

from __future__ import annotations

import threading
from datetime import datetime

import numpy as np
import pytest

from furet.errors import BadRequest, ModelFileError
from furet.text.limits import current
from furet.text.template import MAX_SOURCE, ChatTemplate

USER = [{"role": "user", "content": 'Hi <b> & "you"'}]
CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>'}}\n"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FROZEN = datetime(2026, 1, 2, 3, 4, 5)


def render(source: str, messages=USER, **options) -> str:
    return ChatTemplate(source, "<s>", "</s>", now=lambda: FROZEN).render(messages, **options)


def test_a_conversation():
    messages = [{"role": "system", "content": "Be brief."}, *USER]
    expected = '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi <b> & "you"<|im_end|>\n'
    assert render(CHATML, messages) == expected + "<|im_start|>assistant\n"
    assert render(CHATML, messages, add_generation_prompt=False) == expected


DIALECT = {
    "blocks are trimmed": ("{% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"),
    "tokens by name": ("{{ bos_token }}{{ eos_token }}", "<s></s>"),
    "no HTML escapes": ("{{ messages[0].content }}", 'Hi <b> & "you"'),
    "JSON": ("{{ {'a<': ['é', 1.5, none, true]} | tojson }}", '{"a<": ["é", 1.5, null, true]}'),
    "JSON in ASCII": ("{{ 'é' | tojson(ensure_ascii=true) }}", '"\\u00e9"'),
    "JSON indented": (
        "{{ {'b': 1, 'a': [2]} | tojson(indent=1, sort_keys=true) }}",
        '{\n "a": [\n  2\n ],\n "b": 1\n}',
    ),
    "JSON separated": ("{{ [1, 2] | tojson(separators=(',', ':')) }}", "[1,2]"),
    "continue": ("{% for i in range(4) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "023"),
    "break": ("{% for i in range(4) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
    "generation": (
        "{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %}{% endfor %}",
        "user",
    ),
    "the date": ("{{ strftime_now('%d %b %Y') }}", "02 Jan 2026"),
    "namespace": (
        "{% set n = namespace(i=0) %}{% for _ in 'ab' %}{% set n.i = n.i + 2 %}{% endfor %}{{ n.i }}",
        "4",
    ),
    "macros": (
        "{% macro m(x, y='!') %}[{{ x }}{{ y }}]{% endmacro %}{{ m(1) }}{{ m(2, y='?') }}",
        "[1!][2?]",
    ),
    "call blocks": ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}", "<in>"),
    "set blocks": ("{% set x %}a{{ 1 }}{% endset %}{{ x * 2 }}", "a1a1"),
    "filter blocks": ("{% filter upper %}a{% endfilter %}", "A"),
    "loops": (
        "{% for a in 'xyz' %}{{ loop.index0 }}{{ a }}{{ ',' if not loop.last }}{% endfor %}",
        "0x,1y,2z",
    ),
    "loops with a test": ("{% for i in range(5) if i % 2 %}{{ i }}{% else %}none{% endfor %}", "13"),
    "recursion": (
        "{% for i in [[1, [2]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}",
        "12",
    ),
    "unpacking": ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
    "slices": ("{{ 'abcd'[1:3] }}{{ [1, 2, 3][::-1] | first }}{{ messages[-1].role }}", "bc3user"),
    "strings": ("{{ ' a-b '.strip().split('-') | join('+') }}{{ 'a'.upper() ~ 1 ~ none }}", "a+bA1None"),
    "formatting": (
        "{{ '%s %03d' % ('a', 7) }}{{ '{} {x}'.format(1, x=2) }}{{ '%s' | format(3) }}",
        "a 0071 23",
    ),
    "lists": (
        "{{ [3, 1, 2] | sort }}{{ [1, 2] | sum }}{{ [1, 2, 3] | batch(2) | list }}",
        "[1, 2, 3]3[[1, 2], [3]]",
    ),
    "pieces": (
        "{{ range(5) | slice(3) | list }}{{ [1] | slice(2, 0) | list }}",
        "[[0, 1], [2, 3], [4]][[1], [0]]",
    ),
    "attributes": (
        "{{ messages | map(attribute='role') | join('-') }}{{ [{'n': 3}] | sum(attribute='n') }}",
        "user3",
    ),
    "defaults": ("{{ 'x' | default('y') }}{{ z | default('y') }}{{ '' | d('y', true) }}", "xyy"),
    "text": (
        "{{ 'a\nb' | indent(2) }}{{ 'abc' | replace('b', '') }}{{ ' x ' | trim }}{{ 'b' | center(3) }}",
        "a\n  bacx b ",
    ),
    "numbers": (
        "{{ 1.26 | round(1) }}{{ 'abc' | length }}{{ '7' | int + 1 }}{{ 7 // 2 }}{{ 2 ** 3 }}",
        "1.33838",
    ),
    "selected": (
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ [0, 1] | select | list }}",
        "1[1]",
    ),
    "rejected": ("{{ messages | rejectattr('tool_calls', 'defined') | list | length }}", "1"),
    "tests": ("{{ x is defined }}{{ none is none }}{{ 'a' is string }}{{ 1 in [1] }}", "FalseTrueTrueTrue"),
    "undefined prints nothing": ("[{{ x }}{{ messages[0].nothing }}]", "[]"),
    "no tools": ("{{ tools is none }}{{ tools is defined }}{{ documents is none }}", "TrueTrueTrue"),
    "escaping where asked for": ("{{ '<' | e }}{{ '<' | safe + '<' }}", "&lt;<&lt;"),
    "dict": ("{{ dict(a=1) }}{{ dict.fromkeys('ab', 0) }}", "{'a': 1}{'a': 0, 'b': 0}"),
    "raw": ("{% raw %}{{ x }}{% endraw %}{# gone #}", "{{ x }}"),
}


@pytest.mark.parametrize("what", DIALECT)
def test_the_dialect(what):
    source, expected = DIALECT[what]
    assert render(source) == expected


def test_further_variables_and_tools():
    source = "{{ enable_thinking }}{{ tools[0].function.name }}{{ documents }}"
    tools = ({"type": "function", "function": {"name": "f"}},)
    assert render(source, tools=tools, enable_thinking=False, documents=[]) == "Falsef[]"


@pytest.mark.parametrize("name", ["bos_token", "eos_token"])
def test_a_caller_cannot_set_what_the_model_sets(name):
    with pytest.raises(BadRequest, match=name):
        render("", **{name: "x"})


def test_templates_see_plain_values_only():
    """Objects with methods of their own are refused; subclasses of Python's types are stripped of theirs."""

    class Loud(str):
        def shout(self):
            return "!"

    assert render("{{ messages[0].content.shout is defined }}", [{"content": Loud("a")}]) == "False"
    for thing in (object(), np.zeros(2), b"bytes", {1, 2}, lambda: 1):
        with pytest.raises(BadRequest, match="messages"):
            render("", [{"content": thing}])
    nested: object = "x"
    for _ in range(40):
        nested = [nested]
    with pytest.raises(BadRequest, match="nested"):
        render("", [{"content": nested}])


def test_entries_that_are_none_are_left_out():
    source = "{% for m in messages %}{{ 'content' in m }}{{ m.tool_calls is defined }}{% endfor %}"
    said = {"role": "assistant", "content": None, "tool_calls": None}
    assert render(source, [said, {**said, "content": ""}]) == "FalseFalseTrueFalse"
    assert "content" in said


@pytest.mark.parametrize("name", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_goes_by_each_of_its_names(name):
    source = "{{ messages[0].thinking }} {{ messages[0].reasoning_content }}"
    assert render(source, [{"role": "assistant", name: "well"}]) == "well well"
    assert render("{{ messages[0].thinking is defined }}") == "False"


@pytest.mark.parametrize("messages", [[], ["text"], [None]])
def test_what_is_no_conversation(messages):
    with pytest.raises(BadRequest, match="message"):
        render("", messages)


def test_names_of_further_tokens():
    source = "{{ pad_token }}{{ sep_token }}{{ bos_token }}"
    template = ChatTemplate(source, "<s>", "", names={"pad_token": "P"})
    assert template.render(USER) == "P<s>"


def test_tuples_and_numbers_as_keys_stay_what_they_are():
    given = {"pair": (1, 2), "table": {1: "one"}}
    assert render("{{ pair }}{{ table }}{{ table[1] }}", **given) == "(1, 2){1: 'one'}one"


def test_messages_are_not_changed():
    messages = [{"role": "user", "content": ["a"]}]
    with pytest.raises(ModelFileError, match="unsafe"):
        render("{{ messages[0].content.append('b') }}", messages)
    assert messages == [{"role": "user", "content": ["a"]}]


def test_what_the_template_refuses_is_a_bad_request():
    with pytest.raises(BadRequest, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


@pytest.mark.parametrize(
    "source", ["{{ x.y }}", "{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ tools[0] }}{{ tools[0].x.y }}"]
)
def test_what_fails_on_a_conversation_is_a_bad_request(source):
    with pytest.raises(BadRequest, match="fails on this conversation"):
        render(source)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% if %}", "line 1"),
        ("a\n{{ 'x }}", "line 2"),
        ("{% for a in b %}", "line 1"),
        ("{{ 1 | nosuch }}", "nosuch"),
        ("{% include 'x' %}", "include"),
        ("{% extends 'x' %}", "extends"),
        ("{% import 'x' as y %}", "import"),
        ("{% autoescape true %}{% endautoescape %}", "no place"),
        ("{{ messages.__class__ }}", "__class__"),
        ("{% generation %}", "line 1"),
        ("x" * (MAX_SOURCE + 1), str(MAX_SOURCE)),
        ("{{ x + 1 }}" * 11_000, "syntax tree"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_chat_template_is_refused_when_loaded(source, reason):
    with pytest.raises(ModelFileError, match=reason) as caught:
        ChatTemplate(source, "", "")
    assert caught.value.field == "tokenizer.chat_template"


def test_threads_share_a_template():
    template = ChatTemplate(CHATML, "", "")
    found: dict[int, str] = {}

    def work(number):
        for _ in range(20):
            found[number] = template.render([{"role": "user", "content": str(number)}] * 20)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(text.count(f"\n{number}<|im_end|>") == 20 for number, text in found.items())


def test_the_budget_ends_with_the_rendering():
    render(CHATML)
    with pytest.raises(LookupError):
        current.get()


def test_long_conversations_are_within_the_limits():
    """A template that looks at all messages for each of them, 400 turns of a thousand characters."""
    source = (
        "{% for m in messages %}"
        "{% set later = messages[loop.index0:] | selectattr('role', 'eq', 'user') | list %}"
        "{{ '<|' + m.role + '|>' + m.content | trim + ('!' if later else '') + '\n' }}{% endfor %}"
        "{{ messages | tojson }}"
    )
    messages = [{"role": role, "content": "word " * 200} for role in ("user", "assistant")] * 200
    assert len(render(source, messages)) > 2 * 400 * 1000
