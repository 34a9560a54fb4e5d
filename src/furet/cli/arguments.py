"""The command line of a verb, read from the signature of its function.

    def run(
        model: Annotated[str, Argument("which model")],
        max_tokens: Annotated[int | None, Option("-n", "--max-tokens", help="at most so many")] = None,
    ) -> None:

A parameter without a default must be given; `bool` is a flag; `list[str]` may be repeated; a `Literal`
is a choice; a `Group` is several options of which those that are given arrive as a dict. The function's docstring is
the help page. It stands on argparse alone: a framework that
validates with pydantic adds 0.2 s to the start of every command, which is a fifth of what a small model
needs until its first token.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from furet.errors import BadRequest

_WORDS: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}  # what stands for a value on a help page


class Argument:
    """A parameter given by its place."""

    def __init__(self, help: str, *, metavar: str = "") -> None:
        self.help = help
        self.metavar = metavar


class Option:
    """A parameter given by one of its names; without names it is `--the-parameter`.

    bare    the value of an option that is given without one; None: it must have one
    """

    def __init__(self, *names: str, help: str, metavar: str = "", bare: str | None = None) -> None:
        self.names = names
        self.help = help
        self.metavar = metavar
        self.bare = bare


class Group:
    """A parameter that is a dict of those options that were given, each by its annotated type."""

    def __init__(self, title: str, **hints: Any) -> None:
        self.title = title
        self.hints = hints


def call(verb: Callable[..., None], arguments: Sequence[str]) -> None:
    """Parse the arguments and call the verb. Raises BadRequest for what its signature does not allow."""
    reader = parser(verb)
    # argparse gives up on an optional argument once options follow; reading them apart cures that,
    # but does not know `--`.
    parse = reader.parse_args if "--" in arguments else reader.parse_intermixed_args
    values = vars(parse(arguments))
    for name, group in _groups(verb).items():
        values[name] = {option: values.pop(option) for option in group.hints if option in values}
    verb(**values)


def parser(verb: Callable[..., None]) -> argparse.ArgumentParser:
    """The argparse parser of a verb's signature and docstring."""
    summary, _, rest = inspect.cleandoc(verb.__doc__ or "").partition("\n\n")
    result = _Parser(
        prog=f"furet {verb.__name__}",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = get_type_hints(verb, include_extras=True)
    groups = _groups(verb)
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in groups:
            section = result.add_argument_group(groups[name].title)
            for option, hint in groups[name].hints.items():
                _add(section, option, hint, argparse.SUPPRESS)
        else:
            _add(result, name, hints[name], parameter.default)
    return result


def _groups(verb: Callable[..., None]) -> dict[str, Group]:
    """The parameters that are groups, by name."""
    hints = get_type_hints(verb, include_extras=True)
    places = {name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {name: place for name, place in places.items() if isinstance(place, Group)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadRequest(message, f"`{self.prog} --help` shows the options")


def _add(target: argparse._ActionsContainer, name: str, hint: Any, default: Any) -> None:
    kind, place = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    required = default is inspect.Parameter.empty
    if place is None:
        place = Argument("") if required else Option(help="")
    settings: dict[str, Any] = {"help": place.help.replace("%", "%%")}
    if not required:
        settings["default"] = default
    if kind is bool:
        settings["action"] = "store_true"
    else:
        settings |= _values(kind)
        word = name.upper() if isinstance(place, Argument) else _WORDS.get(settings.get("type"))
        settings["metavar"] = place.metavar or word
    if isinstance(place, Argument):
        if settings.pop("action", None) == "append":
            settings["nargs"] = "*"
        elif not required:
            settings["nargs"] = "?"
        target.add_argument(name, **settings)
    else:
        if place.bare is not None:
            settings |= {"nargs": "?", "const": place.bare}
        names = place.names or (f"--{name.replace('_', '-')}",)
        target.add_argument(*names, dest=name, required=required, **settings)


def _values(kind: Any) -> dict[str, Any]:
    """argparse settings for a type: int, float, str, list[...] or Literal, each perhaps `| None`."""
    members = [member for member in get_args(kind) if member is not type(None)]
    if get_origin(kind) is Literal:
        return {"choices": members}
    if get_origin(kind) is list:
        return {"action": "append", "type": members[0]}
    if members:
        return _values(members[0])
    return {"type": kind}
