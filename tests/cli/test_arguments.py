"""Signatures read as command lines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from furet.cli.arguments import Argument, Group, Option, call, parser
from furet.errors import BadRequest


def parse(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def verb(
        file: Annotated[str, Argument("a file, 100 % yours")],
        text: Annotated[str | None, Argument("a text")] = None,
        count: Annotated[int, Option("-n", "--count", help="how many")] = 3,
        rate: Annotated[float | None, Option(help="how fast")] = None,
        stop: Annotated[list[str] | None, Option("--stop", help="where")] = None,
        kind: Annotated[Literal["a", "b"], Option(help="which")] = "a",
        as_json: Annotated[bool, Option("--json", help="as JSON")] = False,
    ) -> None:
        """Do something.

        examples:
          furet verb
        """
        found.update(locals())

    call(verb, arguments)
    found.pop("found", None)
    return found


def test_defaults() -> None:
    expected = {
        "file": "x",
        "text": None,
        "count": 3,
        "rate": None,
        "stop": None,
        "kind": "a",
        "as_json": False,
    }
    assert parse("x") == expected


def test_values_are_typed() -> None:
    found = parse(
        "x", "hello", "-n", "5", "--rate", "0.5", "--stop", "a", "--stop", "b", "--kind", "b", "--json"
    )
    assert found["text"] == "hello" and found["count"] == 5 and found["rate"] == 0.5
    assert found["stop"] == ["a", "b"] and found["kind"] == "b" and found["as_json"] is True


def test_an_argument_may_be_a_list() -> None:
    found: list[list[str]] = []

    def verb(names: Annotated[list[str], Argument("names")] = [], count: int = 3) -> None:  # noqa: B006
        """Do something."""
        found.append(names)

    for arguments in ([], ["a"], ["a", "--count", "2", "b"]):
        call(verb, arguments)
    assert found == [[], ["a"], ["a", "b"]]


def test_an_optional_argument_may_follow_options() -> None:
    found = parse("x", "--rate", "2", "hello")
    assert (found["text"], found["rate"]) == ("hello", 2.0)


def test_two_dashes_end_the_options() -> None:
    assert parse("--", "x", "--json")["text"] == "--json"


@pytest.mark.parametrize(
    "arguments", [[], ["x", "y", "z"], ["x", "-n", "1.5"], ["x", "--kind", "c"], ["x", "--coun", "1"]]
)
def test_what_the_signature_does_not_allow(arguments: list[str]) -> None:
    with pytest.raises(BadRequest):
        parse(*arguments)


def test_a_group_is_a_dict_of_what_was_given() -> None:
    got: list[dict[str, Any]] = []

    def verb(
        file: str,
        some: Annotated[
            dict[str, Any],
            Group(
                "things",
                size=Annotated[int | None, Option("--size", help="how large")],
                word=Annotated[list[str] | None, Option("--word", help="which")],
            ),
        ] = {},  # noqa: B006
    ) -> None:
        got.append(some)

    call(verb, ["x"])
    call(verb, ["--word", "a", "x", "--size", "3", "--word", "b"])
    assert got == [{}, {"size": 3, "word": ["a", "b"]}]
    assert "things:\n  --size N" in parser(verb).format_help()


def test_help_holds_summary_and_examples() -> None:
    def verb(file: Annotated[str, Argument("a file, 100 % yours", metavar="FILE")]) -> None:
        """Do something.

        examples:
          furet verb
        """

    shown = parser(verb).format_help()
    assert "usage: furet verb" in shown and "FILE" in shown and "100 % yours" in shown
    assert "examples:\n  furet verb" in shown
