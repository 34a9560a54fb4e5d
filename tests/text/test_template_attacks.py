"""Templates that try to get out, to hang, to fill the memory: all end soon, harmless or in a typed error."""

from __future__ import annotations

import itertools
import sys
import time
import tracemalloc

import pytest

from furet.errors import BadRequest, ModelFileError
from furet.text.template import ChatTemplate

MESSAGES = [{"role": "user", "content": "hello"}]

ROOTS = [
    *("''", "[]", "{}", "()", "1", "1.5", "true", "none", "x", "self", "loop", "caller", "bos_token"),
    *("messages", "messages[0]", "messages[0].content", "[].index", "{}.items", "''.format", "''.join"),
    *("cycler", "joiner", "namespace", "range", "dict", "raise_exception", "strftime_now", "range(3)"),
    *("cycler(1)", "joiner()", "namespace(a=1)", "(messages | map('upper'))", "(messages | tojson)"),
]
GADGETS = [
    "{{ ROOT.__class__.__mro__[1].__subclasses__() }}",
    "{{ ROOT['__class__']['__base__']['__subclasses__']() }}",
    "{{ ROOT['__cl' ~ 'ass__']['__init__']['__globals__'] }}",
    "{{ (ROOT | attr('__class__')).__name__ }}",
    "{{ ROOT.__init__.__globals__['os'].popen('id').read() }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(ROOT) }}",
    "{{ '{0[__class__]}'.format_map({'0': ROOT}) }}",
    "{{ [ROOT] | map(attribute='__class__') | list }}",
    "{{ [ROOT] | map('attr', '__class__') | list }}",
    "{{ [ROOT] | sum(attribute='__class__', start='') }}",
    "{{ ([ROOT] | groupby('__class__') | first).grouper }}",
    "{% set f = '{0.__globals__}'.format %}{{ f(ROOT) }}",
    "{% for k in ['__class__'] %}{{ ROOT[k][k] }}{% endfor %}",
    "{% set n = namespace(a=ROOT) %}{{ n.__class__ }}{{ n._Namespace__attrs }}{{ n['__init__'] }}",
    "{% macro m(x) %}{{ x.__class__ }}{% endmacro %}{% set n = namespace(__html__=m) %}{{ [n] | join | e }}",
    "{% macro m() %}<class{% endmacro %}{% set n = namespace() %}{% set n.__html__ = m %}{{ n | e }}",
    "{{ ROOT.gi_frame.f_globals }}{{ ROOT.func_globals }}{{ ROOT.f_back }}{{ ROOT.mro() }}",
]
ESCAPED = (
    "<class",
    "<module",
    "<built-in",
    "<function",
    "<bound",
    "<type",
    "uid=",
    "__builtins__",
    "<slot",
    "<frame",
)


def grown(start: str, step: str, end: str = "", times: int = 99) -> str:
    """A template in which n.x grows from `start` by `step`, many times over."""
    loop = f"{{% for _ in range({times}) %}}{step}{{% endfor %}}"
    return f"{{% set n = namespace(x={start}, y={start}) %}}{loop}{end}"


def macro(body: str, call: str) -> str:
    """A template with a macro m(n)."""
    return f"{{% macro m(n) %}}{body}{{% endmacro %}}{call}"


P = 2**61 - 1  # its multiples all have the hash 0
BOMBS = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops with a test": "{% for a in range(9999) %}{% for b in range(9999) if 0 %}{% endfor %}{% endfor %}",
    "recursion": macro("{{ m(n) }}", "{{ m(1) }}"),
    "a wide tree of calls": macro("{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}", "{{ m(60) }}"),
    "repeated text": "{{ 'a' * 9999999999 }}",
    "a repeated list": "{{ [1] * 9999999999 }}",
    "a list repeated in lists": "{{ [[1] * 9999] * 9999 }}",
    "doubled by +": grown("'ab'", "{% set n.x = n.x + n.x %}"),
    "doubled by ~": grown("'ab'", "{% set n.x = n.x ~ n.x %}"),
    "doubled by set": grown("'ab'", "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}"),
    "doubled by join": grown("'ab'", "{% set n.x = [n.x, n.x] | join %}"),
    "doubled by format": grown("'ab'", "{% set n.x = '{0}{0}'.format(n.x) %}"),
    "doubled by %": grown("'ab'", "{% set n.x = '%s%s' % (n.x, n.x) %}"),
    "doubled lists": grown("[1]", "{% set n.x = n.x + n.x %}"),
    "nested lists": grown("[1]", "{% set n.x = [n.x, n.x] %}", "{{ n.x }}"),
    "nested tuples": grown("(1,)", "{% set n.x = (n.x, n.x) %}", "{{ {n.x: 1} }}"),
    "nested dicts": grown("{}", "{% set n.x = dict(a=n.x, b=n.x) %}", "{{ n.x | tojson }}"),
    "nested compared": grown("[1]", "{% set n.x = [n.x] * 2 %}{% set n.y = [n.y] * 2 %}", "{{ n.x == n.y }}"),
    "a deep list": grown("[]", "{% set n.x = [n.x] %}", "{{ n.x }}", times=9999),
    "powers of powers": grown("9", "{% set n.x = n.x ** 9 %}"),
    "products": grown("9", "{% set n.x = n.x * n.x %}"),
    "a namespace in itself": grown("[]", "{% set n.x = [n, n] %}", "{{ n.x }}{{ n.x | tojson }}"),
    "a wide field": "{{ '%999999999d' % 1 }}",
    "a wide field elsewhere": "{{ '%*d' % (999999999, 1) }}",
    "a precise field": "{{ '%.999999999f' % 1 }}",
    "a wide format": "{{ '{:>999999999}'.format(1) }}",
    "a nested format": "{{ '{:{}}'.format(1, 999999999) }}",
    "a format from a list": "{{ '{0[0]:999999999}'.format([1]) }}",
    "a filter that formats": "{{ '%999999999d' | format(1) }}",
    "padding": "{{ 'a'.ljust(999999999) }}",
    "padding with zeros": "{{ 'a'.zfill(999999999) }}",
    "a filter that pads": "{{ 'a' | center(999999999) }}",
    "tabs": "{{ ('\t' * 9999).expandtabs(999999) }}",
    "replacing": "{{ ('a' * 99999).replace('a', 'a' * 99999) }}",
    "replacing nothing": "{{ ('a' * 99999).replace('', 'a' * 99999) }}",
    "a filter that replaces": "{{ ('a' * 99999) | replace('a', 'a' * 99999) }}",
    "joining": "{{ ('a' * 99999).join('a' * 99999) }}",
    "a filter that joins": "{{ ('a' * 99999) | join('a' * 99999) }}",
    "indenting": "{{ ('\n' * 99999) | indent(99999, blank=true) }}",
    "indenting with text": "{{ ('\n' * 99999) | indent('a' * 99999, blank=true) }}",
    "indented JSON": "{{ range(9999) | list | tojson(indent=99999) }}",
    "separated JSON": "{{ range(9999) | list | tojson(separators=('a' * 99999, ':')) }}",
    "translating": "{{ ('a' * 99999).translate({97: 'b' * 99999}) }}",
    "powers": "{{ 10 ** 99999999 }}",
    "decimals": "{{ 1.5 | round(999999999, 'ceil') }}",
    "bytes of a number": "{{ (1).to_bytes(999999999, 'big') }}",
    "long ranges": "{{ range(99999999) | list }}",
    "batches": "{{ range(99999) | batch(1000, 'a' * 99999) | string | length }}",
    "filled batches": "{{ [1] | batch(999999999, 1) | list }}",
    "slices": "{{ [1] | slice(999999999) | list }}",
    "sums of lists": "{{ ([[1] * 999] * 200) | sum(start=[]) | length }}",
    "dicts from keys": "{{ dict.fromkeys(range(99999), dict.fromkeys(range(99999), 1)) }}",
    "selections": "{{ range(99999) | select('in', range(99999) | list) | list }}",
    "mapped padding": "{{ range(99999) | map('string') | map('center', 9999) | list | length }}",
    "mapped texts": "{{ ['a' * 9999] * 9999 | map('upper') | list | length }}",
    "text of its own": "{% for _ in range(99999) %}" + "x" * 50_000 + "{% endfor %}",
    "text in a macro": macro("x" * 50_000, "{% for _ in range(99999) %}{% set y = m(1) %}{% endfor %}"),
    "characters": "{% for c in 'a' * 9999999 %}{% endfor %}",
    "lists of characters": grown("'a' * 999999", "{% set n.y = n.x | list %}"),
    "splitting": grown("'a' * 999999", "{% set n.y = n.x.split('a') %}"),
    "keys of one hash": f"{{{{ dict.fromkeys(range(0, {P * 99999}, {P})) | length }}}}",
    "keys of one hash in pairs": f"{{{{ dict(range(0, {P * 99999}, {P}) | batch(2)) | length }}}}",
    "keys of one hash, once each": f"{{{{ range(0, {P * 99999}, {P}) | unique | list | length }}}}",
    "keys of a dict at hand": f"{{{{ {{}}.fromkeys(range(0, {P * 99999}, {P})) | length }}}}",
    "searching from the end": "{{ ('a' * 999999).rfind('ab' ~ 'a' * 499999) }}",
    "splitting from the end": "{{ ('a' * 999999).rsplit(sep='ab' ~ 'a' * 499999) }}",
    "parting from the end": "{{ ('a' * 999999).rpartition('ab' ~ 'a' * 499999) }}",
    "stripping": "{{ ('a' * 999999).strip('b' * 999999 ~ 'a') }}",
    "a filter that strips": "{{ ('a' * 999999) | trim('b' * 999999 ~ 'a') }}",
    "stripping tags": "{{ (('<!---->' * 999999) | safe).striptags() }}",
    "starting with many": "{{ ('a' * 9999999).startswith(('a' * 4999999 ~ 'b' ~ 'a' * 4999999,) * 9999) }}",
    "sorting long texts": "{{ ([('a' * 999999 ~ 'b'), ('a' * 999999 ~ 'c')] * 9999) | sort | length }}",
    "long texts once each": "{{ (['a' * 999999] * 9999) | unique | list | length }}",
    "attributes of attributes": "{{ ('a' * 99999) | map(attribute='0.' * 30000 ~ '0') | list | length }}",
    "sorting by attributes": "{{ ('a' * 99999) | sort(attribute='0.' * 30000 ~ '0') | length }}",
    "recursive loops": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "blocks": "{% block a %}{{ self.b() }}{{ self.b() }}{% endblock %}{% block b %}{{ self.a() }}{% endblock %}",
    "a wide field of a dict": "{{ '%(a)999999999d' % {'a': 1} }}",
    "a wide field by name": "{{ '{0:>{w}}'.format(1, w=999999999) }}",
    "a wide field of a map": "{{ '{a:>{b}}'.format_map({'a': 1, 'b': 999999999}) }}",
    "a wide conversion": "{{ '{!a:>999999999}'.format(1) }}",
    "many precise fields": "{{ ('%9999.9999f' * 9999) % ((1.5,) * 9999) }}",
    "many fields": "{{ ('{0:9999}' * 99999).format(1) }}",
    "braces": "{{ ('{' * 99999).format(1) }}",
    "brackets of an index": "{{ ('{0' ~ '[0]' * 99999 ~ '}').format('a') }}",
    "long dates": "{% for _ in range(99999) %}{{ strftime_now('%c' * 9999) }}{% endfor %}",
    "a long refusal": "{{ raise_exception('x' * 9999999) }}",
    "arguments": macro("{{ varargs | length }}", "{% for _ in range(9999) %}{{ m(*range(99999)) }}{% endfor %}"),
    "long conditions": "{% if 0 %}" + "{% elif 0 %}" * 5000 + "{% endif %}",
    "long comparisons": "{{ 1" + " < 2" * 9000 + " }}",
    "signs": "{{ " + "-" * 100_000 + "1 }}",
    "adjacent texts": "{{ " + "'a' " * 30_000 + " }}",
    "many macros": "".join(f"{{% macro m{number}() %}}{{% endmacro %}}" for number in range(3000)),
    "deep macros": "{% macro m() %}" * 400 + "{% endmacro %}" * 400,
    "deep calls": "{% call m() %}" * 400 + "{% endcall %}" * 400,
    "deep filters": "{% filter upper %}" * 400 + "{% endfilter %}" * 400,
    "deep generation": "{% generation %}" * 400 + "{% endgeneration %}" * 400,
    "deep brackets": "{{ " + "[" * 500 + "]" * 500 + " }}",
    "deep blocks": "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "deep loops": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "long sums": "{{ 1" + " + 1" * 9000 + " }}",
    "long chains": "{{ x" + ".x" * 9000 + " }}",
    "many filters": "{{ 'a'" + " | upper" * 4000 + " }}",
    "many variables": "".join(f"{{% set x{number} = 1 %}}" for number in range(6000)),
    "unclosed blocks": "{%" * 60_000,
    "unclosed comments": "{#" * 60_000,
    "spaces": "{%" + " " * 120_000,
    "blank lines": "\n" * 120_000 + "{% if 1 %}{% endif %}",
    "a long date": "{{ strftime_now('%999999999d') }}",
}

watching = False
seen: list[str] = []


def _watch(event: str, _: object) -> None:
    if watching and event.startswith(("os.", "subprocess.", "socket.", "open", "shutil.", "ctypes.", "pty.")):
        seen.append(event)


sys.addaudithook(_watch)


def outcome(source: str) -> str:
    """What a template renders, or the name of its typed error."""
    try:
        return ChatTemplate(source, "<s>", "</s>").render(MESSAGES)
    except (ModelFileError, BadRequest) as error:
        return type(error).__name__


@pytest.mark.parametrize("gadget", GADGETS)
def test_nothing_leads_out(gadget):
    """Every way in, from every object at hand: nothing of Python shows, nothing outside is touched."""
    global watching
    outcome(gadget.replace("ROOT", "messages"))  # what is imported at first use is imported now
    escapes = {}
    for root in ROOTS:
        source = gadget.replace("ROOT", root)
        seen.clear()
        watching = True
        try:
            text = outcome(source)
        finally:
            watching = False
        if seen or any(sign in text for sign in ESCAPED):
            escapes[source] = (text[:200], seen[:3])
    assert not escapes


def test_there_are_enough_ways_in():
    assert len(list(itertools.product(ROOTS, GADGETS))) > 300


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_fizzle(bomb):
    start, rendered = time.thread_time(), outcome(BOMBS[bomb])
    assert time.thread_time() - start < 4
    assert len(rendered) < 2 << 20


@pytest.mark.parametrize(
    "bomb", ["doubled by ~", "nested lists", "mapped texts", "text in a macro", "splitting"]
)
def test_bombs_take_no_memory(bomb):
    tracemalloc.start()
    try:
        outcome(BOMBS[bomb])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 96 << 20
