"""What one rendering of a template may use, and how much an operation is about to use.

A template is a program out of a file that nobody checked. Each statement, call, filter and test is a step;
each text or list that it makes is paid for from one allowance; and whatever can make much out of little, such
as repeating, padding, joining, replacing and formatting, asks before it acts. So a template that goes wild
ends within its limits, in error, and an honest one never notices.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Hashable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from contextvars import ContextVar

MAX_STEPS = 100_000  # and one for every character of the messages
MAX_SECONDS = 1.0  # of processor time, and one more for every million characters
MAX_NODES = 250_000  # elements of a list and of the lists in it, shared ones as often as they are reached
MAX_DEPTH = 64  # of lists in lists
MAX_BITS = 100_000  # of a number
MAX_WIDTH = 10_000  # of a padded field
MAX_COMPARED = 10**8  # characters of a text times those of what is sought in it from its end, or stripped from it
MAX_ALIKE = 100  # different keys of one hash, each of which is compared with all before it

_Container = (list, tuple, set, frozenset, dict, KeysView, ValuesView, ItemsView)


class TooMuch(Exception):
    """A template used up what it may use."""


class Budget:
    """What is left of the allowance of one rendering, for `size` characters of messages."""

    def __init__(self, size: int) -> None:
        self._steps = MAX_STEPS + size
        self._bytes = (32 << 20) + 64 * size
        self._output = (1 << 20) + 4 * size
        self._seconds = MAX_SECONDS + size / 1e6
        self._deadline = time.thread_time() + self._seconds

    def step(self) -> None:
        """Pay for one step."""
        self._steps -= 1
        if self._steps < 0:
            raise TooMuch(
                f"too many steps, more than {MAX_STEPS} and one for every character of the messages"
            )
        self.look_at_the_clock()

    def look_at_the_clock(self) -> None:
        """Refuse to go on when the time is up."""
        if time.thread_time() > self._deadline:
            raise TooMuch(f"more than {self._seconds:.2g} seconds of processor time")

    def ask(self, size: int) -> None:
        """Refuse an operation that would make more than what is left."""
        if size > self._bytes:
            raise TooMuch("more text than the messages account for")

    def pay(self, size: int) -> None:
        """Pay for something of `size` bytes that was made."""
        self.ask(size)
        self._bytes -= size

    def output(self, size: int) -> None:
        """Pay for characters of the result."""
        self._output -= size
        if self._output < 0:
            raise TooMuch("a prompt many times longer than the messages")


current: ContextVar[Budget] = ContextVar("budget")


def made(value: object) -> object:
    """`value`, which an operation has made, once it is paid for."""
    budget = current.get()
    if isinstance(value, str):
        budget.pay(len(value))
    elif isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise TooMuch(f"a number of more than {MAX_BITS} bits")
    elif isinstance(value, _Container):
        budget.pay(8 * len(value))
        budget.ask(printed_size(value))  # which is also what comparing and sorting it go through
    return value


def printed_size(value: object, indent: int = 0) -> int:
    """About how many characters `value` has when printed; TooMuch when it is too large or nested too deep.

    A shared element counts as often as it is reached, because that is how often it is printed, compared and
    hashed: a list of twice the list before it, forty times over, is a trillion elements in forty steps.
    """
    if isinstance(value, str):
        return len(value)
    size = nodes = 0
    level: list[object] = [value]
    for depth in range(MAX_DEPTH):
        nodes += len(level)
        deeper: list[object] = []
        for item in level:
            if isinstance(item, str):
                size += 2 * len(item)  # quoted, and some of it escaped
            elif isinstance(item, _Container):
                deeper.extend(item)
                if isinstance(item, dict):
                    deeper.extend(item.values())
                if nodes + len(deeper) > MAX_NODES:
                    raise TooMuch(f"a list of more than {MAX_NODES} elements")
            elif isinstance(item, int):
                size += item.bit_length() // 3
        size += len(level) * (24 + indent * depth)
        if not deeper:
            return size
        level = deeper
    raise TooMuch(f"lists nested more than {MAX_DEPTH} deep")


def ask_to_combine(operator: str, left: object, right: object) -> None:
    """Before a binary operator acts."""
    if operator == "%" and isinstance(left, str):
        ask_to_format(left, right if isinstance(right, tuple) else [right])
    elif operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        current.get().ask((len(left) + len(right)) * (1 if isinstance(left, str) else 8))
    elif operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        if (bits * right if operator == "**" else bits + right.bit_length()) > MAX_BITS:
            raise TooMuch(f"a number of more than {MAX_BITS} bits")
    elif operator == "*":
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, str | list | tuple) and isinstance(times, int):
                current.get().ask(len(sequence) * times * (1 if isinstance(sequence, str) else 8))


def ask_to_call(
    text: str, method: str, args: tuple[object, ...], named: Mapping[str, object]
) -> tuple[object, ...]:
    """Before a method of `text` is called; the positional arguments to call it with."""
    if method in ("center", "ljust", "rjust", "zfill"):
        ask_to_pad(*args[:1])
    elif method == "replace":
        ask_to_replace(text, *args[:2])
    elif method == "join" and args and isinstance(args[0], Iterable):
        return (ask_to_join(args[0], text), *args[1:])
    elif method in ("split", "rsplit", "splitlines"):
        current.get().ask(8 * len(text))
    if method in ("rfind", "rindex", "rsplit", "rpartition", "strip", "lstrip", "rstrip"):
        for wanted in (*args, *named.values()):
            ask_to_compare(text, wanted)
    return args


def ask_to_compare(text: str, wanted: object) -> None:
    """Before a method that may compare every character of `text` with every one of `wanted`.

    Those that search forwards need not be asked: Python's search takes time in proportion to the text.
    """
    if isinstance(wanted, str) and len(text) * len(wanted) > MAX_COMPARED:
        raise TooMuch(f"a text of {len(wanted)} characters sought in one of {len(text)}")


def ask_to_hash(keys: Iterable[Hashable]) -> None:
    """Before making a dict or set of `keys`: numbers and tuples can be chosen so that all have one hash."""
    first: dict[int, Hashable] = {}
    alike: Counter[int] = Counter()
    for key in keys:
        if isinstance(key, str):  # their hashes differ from run to run, so nobody can choose them
            continue
        number = hash(key)
        alike[number] += first.setdefault(number, key) != key
        if alike[number] > MAX_ALIKE:
            raise TooMuch(f"more than {MAX_ALIKE} keys of one hash")


def ask_to_pad(width: object = 0) -> None:
    """Before padding to `width`."""
    if isinstance(width, int) and abs(width) > MAX_WIDTH:
        raise TooMuch(f"a field {width} characters wide")


def ask_to_replace(text: str, old: object = "", new: object = "") -> None:
    """Before replacing `old` by `new` everywhere in `text`."""
    if isinstance(old, str) and isinstance(new, str):
        current.get().ask(len(text) + text.count(old) * len(new))


def ask_to_iterate(value: object) -> None:
    """Before going through `value` in one go: lists are short, but texts may be of any length."""
    if isinstance(value, str) and len(value) > MAX_NODES:
        raise TooMuch(f"a text of more than {MAX_NODES} characters as a list")


def ask_to_join(parts: Iterable[object], separator: str) -> list[object]:
    """The parts as a list, before joining them."""
    ask_to_iterate(parts)
    found = list(parts)
    current.get().ask(sum(map(printed_size, found)) + len(found) * len(separator))
    return found


def ask_to_format(pattern: str, values: Iterable[object]) -> None:
    """Before `%` or `format` fills the fields of `pattern`, each with any of `values`."""
    pattern = pattern.replace("{{", "").replace("}}", "")
    if re.search(r"%[^a-zA-Z%]*([0-9]{5}|\*)|\{[^{}]*([0-9]{5}|\{)", pattern):
        raise TooMuch("a field of more than 9,999 characters, or of a width given elsewhere")
    fields = pattern.count("%") + pattern.count("{")
    current.get().ask(len(pattern) + fields * (MAX_WIDTH + max(map(printed_size, values), default=0)))
