"""Whether a regular expression from a file is one that cannot take for ever.

What cuts words needs little: characters, classes, alternatives, repeats of single characters. A pattern in which
a repeat holds another repeat or a choice can take exponential time on a short text, and is refused, as are
references back, recursion and very high counts. That refuses some harmless patterns too; no tokenizer that is known
here has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from furet.errors import UnsupportedModel

MAX_PATTERN = 8192  # characters
MAX_COUNT = 64  # of {n,m}
MAX_REPEATS = 6  # without an upper end, in one alternative: time grows with the text to that power
_QUANTIFIER = re.compile(r"(?:(\*|\+)|(\?)|\{(\d*)(,?)(\d*)\})[?+]?")
_OPENING = re.compile(r"\((?:\?(?:[imsx-]*:|=|!|<=|<!|>))?(?!\?|\*)")
_FLAGS = re.compile(r"\(\?[imsx-]*\)")
_ESCAPE = re.compile(
    r"\\(?:[pP]\{[^{}]*\}|x\{[0-9A-Fa-f]{1,6}\}|x[0-9A-Fa-f]{2}|[^1-9gkKRXpPx])",  # no references back
    re.DOTALL,
)


@dataclass
class _Group:
    """What has been seen of an open group."""

    repeats: int = 0  # in this alternative
    most: int = 0  # in any alternative
    complex: bool = False  # it has a quantifier or a choice


def check_pattern(pattern: str, field: str) -> None:
    """Raise UnsupportedModel, naming `field`, for a pattern that may take too long or is not understood."""
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise _refused(field, pattern, f"has {len(pattern)} characters, wanted 1 to {MAX_PATTERN}")
    groups, at, closed = [_Group()], 0, None
    while at < len(pattern):
        character = pattern[at]
        closed = None
        if character == "\\":
            escape = _ESCAPE.match(pattern, at)
            if not escape:
                raise _refused(field, pattern, f"has an escape that is not allowed, at {at}")
            at = escape.end()
        elif character == "[":
            at = _class_end(pattern, at, field)
        elif character == "(":
            if flags := _FLAGS.match(pattern, at):
                at = flags.end()
                continue
            opening = _OPENING.match(pattern, at)
            if not opening or len(groups) > 16:
                raise _refused(field, pattern, f"has a group that is not allowed, at {at}")
            groups.append(_Group())
            at = opening.end()
            continue
        elif character == ")":
            if len(groups) == 1:
                raise _refused(field, pattern, f"closes a group that is not open, at {at}")
            closed = groups.pop()
            groups[-1].repeats += max(closed.most, closed.repeats)
            groups[-1].complex |= closed.complex
            at += 1
        elif character == "|":
            group = groups[-1]
            group.most, group.repeats, group.complex = max(group.most, group.repeats), 0, True
            at += 1
            continue
        else:
            at += 1
        at = _quantified(pattern, at, groups[-1], closed, field)
    if len(groups) != 1:
        raise _refused(field, pattern, "has a group without an end")


def _quantified(pattern: str, at: int, group: _Group, closed: _Group | None, field: str) -> int:
    """Where what stands at `at`, perhaps a quantifier of what was before it, ends."""
    quantifier = _QUANTIFIER.match(pattern, at)
    if quantifier:
        endless, optional, low, comma, high = quantifier.groups()
        endless = endless or (comma and not high)
        if closed and closed.complex and not optional:
            raise _refused(field, pattern, f"repeats a group that has a repeat or a choice, at {at}")
        if any(count and (len(count) > 3 or int(count) > MAX_COUNT) for count in (low, high)):
            raise _refused(field, pattern, f"counts beyond {MAX_COUNT}, at {at}")
        group.complex = True
        group.repeats += bool(endless)
        at = quantifier.end()
        if _QUANTIFIER.match(pattern, at):
            raise _refused(field, pattern, f"repeats a repeat, at {at}")
    if group.repeats > MAX_REPEATS:
        raise _refused(field, pattern, f"has more than {MAX_REPEATS} repeats in a row")
    return at


def _class_end(pattern: str, at: int, field: str) -> int:
    """Where the character class that begins at `at` ends; classes may hold classes."""
    depth = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
        elif character == "[":
            depth += 1
            at += pattern.startswith("^", at + 1)
            at += pattern.startswith("]", at + 1)
        elif character == "]":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    raise _refused(field, pattern, "has a class without an end")


def _refused(field: str, pattern: str, reason: str) -> UnsupportedModel:
    shown = pattern if len(pattern) <= 60 else pattern[:57] + "..."
    return UnsupportedModel(
        f"{field}: the pattern {shown!r} {reason}",
        "a pattern from a file must not be able to take exponential time",
    )
