"""The pages hold together: what they show is run or known not to be, links lead somewhere, commands can be given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
from docs.examples import NAMES, ROOT, Block, blocks

from furet import load
from furet.cli.arguments import parser
from furet.cli.main import VERBS
from furet.cli.run import run
from furet.cli.sampling import sampling_settings
from furet.engine.request import Request
from furet.sample.settings import ORDER

RUN = {  # the languages of blocks that tests run, by page, and the test that does
    "README.md": {"python": "test_python_examples"},
    "docs/python.md": {"python": "test_python_examples", "text": "test_python_examples"},
    "docs/tools.md": {"python": "test_python_examples, test_server_examples"},
    "docs/server.md": {"sh": "test_server_examples", "python": "test_server_examples"},
    "docs/cli.md": {"console": "test_console_examples"},
}
NOT_RUN = {  # and those that are not run, and why
    ("README.md", "sh"): "installs furet, or names files that are not here; the verbs and options are checked below",
    ("README.md", ""): "a person at a terminal",
    ("ARCHITECTURE.md", ""): "drawings",
    ("docs/cli.md", ""): "the form of a command line",
    ("docs/cli.md", "terminal"): "a person, the network or an idle machine; the verbs and options are checked below",
    ("docs/web.md", "terminal"): "it is run as an example of docs/cli.md",
    ("docs/reference/cli.md", ""): "usage, and examples of all kinds of models; verbs and options are checked below",
    ("docs/reference/python.md", ""): "signatures",
}


@pytest.mark.parametrize("page", NAMES)
def test_every_block_is_run_or_known_not_to_be(page: str) -> None:
    for block in blocks(page):
        ran = block.language in RUN.get(page, {})
        assert ran != ((page, block.language) in NOT_RUN), f"{block}: a block of the language {block.language!r}"


def test_nothing_is_named_that_is_not_there() -> None:
    languages = {page: {block.language for block in blocks(page)} for page in NAMES}
    named = [*((page, language) for page, each in RUN.items() for language in each), *NOT_RUN]
    assert [each for each in named if each[1] not in languages[each[0]]] == []


# Links

LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
OUTSIDE = ("https://", "http://", "mailto:")


def prose(page: str) -> str:
    """A page without its blocks and the code within its lines."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: Path) -> set[str]:
    """What follows # in links to the headings of a page, as the common hosts of Markdown make it."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    names: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.append(f"{name}-{names.count(name)}" if name in names else name)
    return {*names}


@pytest.mark.parametrize("page", NAMES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(OUTSIDE):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


# Command lines that are not run


def given(block: Block) -> Iterator[str]:
    """The arguments of `furet` in a block that is not run."""
    for line in block.text.splitlines():
        if found := re.match(r"(?:\$ )?(?:\w+=\S+ )?(?:[^|#]*\| )?furet (\w+ ?.*)", line):
            yield re.split(r" {2,}#| \| | < | > ", found[1])[0]


UNRUN = [block for name in NAMES for block in blocks(name) if (name, block.language) in NOT_RUN]
GIVEN = [(f"{block}: {each}", each) for block in UNRUN for each in given(block) if each.split()[0] in VERBS]


@pytest.mark.parametrize("line", [line for _, line in GIVEN], ids=[name for name, _ in GIVEN])
def test_a_command_line_can_be_given(line: str) -> None:
    verb, *arguments = shlex.split(re.sub(r"\[.*?\]", "", line))
    parser(getattr(import_module(f"furet.cli.{verb}"), verb)).parse_intermixed_args(arguments)


def test_command_lines_were_found() -> None:
    assert len(GIVEN) > 40


# docs/sampling.md, whose tables name options with their defaults

SAMPLING = (ROOT / "docs" / "sampling.md").read_text()


def test_the_order_of_sampling_is_as_shown() -> None:
    assert "\n    " + ", ".join(ORDER) + "\n" in SAMPLING


def test_options_of_sampling_have_the_defaults_that_are_shown() -> None:
    destinations = {name: action.dest for action in parser(run)._actions for name in action.option_strings}
    defaults = {field.name: field.default for field in fields(Request)} | {"repeat_penalty": Request().repetition}
    steps = SAMPLING[SAMPLING.index("| step |") : SAMPLING.index("`--seed` makes")]
    shown = re.findall(r"`(--[\w-]+)(?: ([^`]+))?`", steps)
    assert len(shown) > 20
    for option, default in shown:
        name = destinations[option]
        if name in ("logit_bias", "dry_breakers", "seed", "chain") or not default:
            continue
        value = parser(run).parse_args(["model", option, default])
        settings = sampling_settings({name: getattr(value, name)})
        assert settings[name] == defaults[name], option


def test_every_form_has_both_its_names() -> None:
    names = {action.dest for action in parser(run)._actions}
    shown = re.findall(r"^\| `--[\w-]+ .*?` · `(\w+)=", SAMPLING, re.MULTILINE)
    assert shown == ["json_schema", "regex", "choices", "grammar"] and {*shown} <= names
    assert {*shown} <= {field.name for field in fields(Request)}


def test_every_keyword_is_one_of_an_answer_or_of_loading() -> None:
    keywords = {field.name for field in fields(Request)} | {*signature(load).parameters}
    named = re.findall(r"\b([a-z_]+)=", " ".join(re.findall(r"`([^`\n]+)`", SAMPLING)))
    assert len(named) > 5 and {*named} <= keywords


# docs/web.md, which names what is on the page

WEB = ROOT / "src" / "furet" / "serve" / "web"


def test_what_the_page_is_said_to_have_is_there() -> None:
    written = [*WEB.rglob("*.js"), *WEB.rglob("*.html"), *(WEB.parent / "page").glob("*.py")]
    sources = "".join(path.read_text() for path in written)
    labels = re.findall(r"\*\*([^*]+)\*\*", (ROOT / "docs" / "web.md").read_text())
    assert len(labels) > 30
    assert [label for label in labels if not re.search(rf"[\"'`>]{re.escape(label)}[\"'`<]", sources)] == []


def test_the_keys_are_those_of_the_page() -> None:
    sources = "".join(path.read_text() for path in WEB.rglob("*.js"))
    keys = re.findall(r'\[\[((?:"[^"]+",? ?)+)\], "([^"]+)"\]', sources)
    page = (ROOT / "docs" / "web.md").read_text()
    shown = re.findall(r"^\| (\S.*) \| (\S.*) \|$", page.partition("## Keyboard")[2].partition("##")[0], re.MULTILINE)
    assert shown == [(" ".join(re.findall(r'"([^"]+)"', names)), what) for names, what in keys]
