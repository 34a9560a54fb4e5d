"""The filters of chat templates: Jinja's own where these cannot make much out of little, else bounded ones.

Left out are those that no prompt needs: what strips HTML, looks for links, draws lots, or reaches for
attributes by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from jinja2.environment import Environment
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.utils import pass_environment
from markupsafe import escape, soft_str

from furet.text import limits
from furet.text.limits import TooMuch, current

_JINJAS = """abs count d default dictsort first float int items last length map reject rejectattr safe select
selectattr"""
_ITERATING = "groupby max min sort"
_PRINTING = "capitalize lower reverse string title upper"
_MAX_INDENT = 16
_MAX_SLICES = 1_000
_MAX_PRECISION = 100


def template_filters() -> dict[str, Callable[..., Any]]:
    """Filters by the name that templates call them by."""
    found: dict[str, Callable[..., Any]] = {name: FILTERS[name] for name in _JINJAS.split()}
    found |= {name: _iterating(FILTERS[name]) for name in _ITERATING.split()}
    found |= {name: _printing(FILTERS[name]) for name in _PRINTING.split()}
    return found | {
        "batch": batch,
        "center": center,
        "e": escaped,
        "escape": escaped,
        "format": formatted,
        "indent": indented,
        "join": joined,
        "list": listed,
        "replace": replaced,
        "round": rounded,
        "slice": sliced,
        "sum": total,
        "tojson": tojson,
        "trim": trimmed,
        "unique": unique,
    }


def _iterating(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which goes through its value in one go, unless the value is a very long text."""

    @wraps(function)
    def iterating(*args: Any, **kwargs: Any) -> Any:
        for value in args[:2]:  # Jinja may put the environment first
            limits.ask_to_iterate(value)
        return function(*args, **kwargs)

    return iterating


def _printing(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, once there is room to print its value."""

    def printing(value: Any, *args: Any, **kwargs: Any) -> Any:
        current.get().ask(4 * limits.printed_size(value))
        return function(value, *args, **kwargs)

    return printing


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as `json.dumps` writes it, so without escapes for HTML; the parameters are those templates use."""
    width = len(indent) if isinstance(indent, str) else indent or 0
    if width > _MAX_INDENT or any(len(separator) > _MAX_INDENT for separator in separators or ()):
        raise TooMuch(f"JSON indented or separated by more than {_MAX_INDENT} characters")
    current.get().ask(limits.printed_size(value, indent=width))
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


@pass_environment
def joined(
    environment: Environment, value: Iterable[Any], d: str = "", attribute: str | int | None = None
) -> str:
    """The texts of `value` with `d` between them; of an attribute of each, if one is named."""
    items = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    return str(d).join(map(str, limits.ask_to_join(items, str(d))))


@pass_environment
def total(
    environment: Environment, value: Iterable[Any], attribute: str | int | None = None, start: Any = 0
) -> Any:
    """The sum of `value`, or of an attribute of each; every addition counts."""
    for item in value if attribute is None else map(make_attrgetter(environment, attribute), value):
        current.get().step()
        limits.ask_to_combine("+", start, item)
        start = limits.made(start + item)
    return start


@pass_environment
def unique(
    environment: Environment,
    value: Iterable[Any],
    case_sensitive: bool = False,
    attribute: str | int | None = None,
) -> list[Any]:
    """The elements of `value`, or those that differ in an attribute, each once."""
    limits.ask_to_iterate(value)
    items = list(value)
    limits.ask_to_hash(map(make_attrgetter(environment, attribute), items))
    return list(FILTERS["unique"](environment, items, case_sensitive, attribute))


def listed(value: Iterable[Any]) -> list[Any]:
    """The elements of `value`."""
    limits.ask_to_iterate(value)
    return list(value)


def trimmed(value: Any, chars: str | None = None) -> str:
    """`value` without the spaces, or the characters given, that it begins and ends with."""
    current.get().ask(limits.printed_size(value))
    text = soft_str(value)
    limits.ask_to_compare(text, chars)
    return text.strip(chars)


def replaced(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    """`value` with `new` for every `old`, or for the first `count`."""
    current.get().ask(limits.printed_size(value))
    text, old, new = str(value), str(old), str(new)
    limits.ask_to_replace(text, old, new)
    return text.replace(old, new, -1 if count is None else count)


def formatted(value: Any, *args: Any, **kwargs: Any) -> str:
    """`value` with its `%` fields filled in."""
    if args and kwargs:
        raise TypeError("format takes positional or named arguments, not both")
    text = soft_str(value)
    limits.ask_to_format(text, [*args, *kwargs.values()])
    return text % (kwargs or args)


def indented(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """`value` with its lines indented."""
    current.get().ask(limits.printed_size(value))
    text = soft_str(value)
    current.get().ask(len(text) + (text.count("\n") + 1) * (len(width) if isinstance(width, str) else width))
    result: str = FILTERS["indent"](text, width, first, blank)
    return result


def center(value: Any, width: int = 80) -> str:
    """`value` in the middle of a field."""
    limits.ask_to_pad(width)
    current.get().ask(limits.printed_size(value))
    return soft_str(value).center(width)


def escaped(value: Any) -> str:
    """`value` with the characters that mean something in HTML escaped."""
    current.get().ask(5 * limits.printed_size(value))
    return escape(soft_str(value))


def rounded(value: Any, precision: int = 0, method: Any = "common") -> Any:
    """`value` with so many decimals."""
    if abs(precision) > _MAX_PRECISION:
        raise TooMuch(f"a number of more than {_MAX_PRECISION} decimals")
    return FILTERS["round"](value, precision, method)


def batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> list[list[Any]]:
    """`value` in lists of `linecount`, the last filled up."""
    _ask_to_slice(linecount)
    limits.ask_to_iterate(value)
    return list(FILTERS["batch"](value, linecount, fill_with))


def sliced(value: Iterable[Any], slices: int, fill_with: Any = None) -> list[list[Any]]:
    """`value` in so many lists of about equal length."""
    _ask_to_slice(slices)
    limits.ask_to_iterate(value)
    items = list(value)
    size, longer = divmod(len(items), slices)
    starts = [number * size + min(number, longer) for number in range(slices + 1)]
    found = [items[starts[number] : starts[number + 1]] for number in range(slices)]
    if fill_with is not None:
        for piece in found[longer:] if longer else []:
            piece.append(fill_with)
    return found


def _ask_to_slice(count: int) -> None:
    if not 0 < count <= _MAX_SLICES:
        raise TooMuch(f"a list cut into pieces by {count}")
