"""Patterns from files: those that tokenizers have get through, those that could take for ever do not."""

from __future__ import annotations

import pytest

from furet.errors import UnsupportedModel
from furet.text.patterns import check_pattern
from furet.text.pretokenizers import TABLE

PATTERNS = [pattern for row in TABLE for pattern in row.patterns]
OTHERS = [" {2,}", r"[\p{L}&&[^a-z]]+", r"(?>\d+)x?", "[]a]+", "[^]]", r"\x{61}+"]


@pytest.mark.parametrize("pattern", PATTERNS + OTHERS)
def test_known_patterns_get_through(pattern):
    check_pattern(pattern, "here")


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+", "(a*)*b", "(a|a)*b", "(?:a?){30}", "((ab)+c)+", "(a|b|ab)+c", "(?=(a+))+b", "([a-z]+x?)*$"),
        *(r"(a)\1", r"(?<n>a)\k<n>", r"\g<0>", "a{1000}", "a{1,99999}", "a++*", "a**", "a{2}{3}", "(?R)"),
        *("a*" * 8, "", "x" * 9000, "(", ")", "a)", "(a", "[a", "[a[b]", "\\", "(?(1)a|b)", "(?#note)a", r"\p{L"),
        *(r"(?:\w+\s?)+$", "(" * 40 + "a" + ")" * 40),
    ],
)
def test_others_do_not(pattern):
    with pytest.raises(UnsupportedModel, match="here"):
        check_pattern(pattern, "here")
