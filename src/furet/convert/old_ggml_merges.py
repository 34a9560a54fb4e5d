"""The merges of a byte-level vocabulary of which only the words are left.

Training writes one word for every merge, in the order of the merges. So the rank of a merge is the id of the
word it makes, and its two halves are what merging with all lower ranks makes of that word. A word that lower
ranks leave in more than two pieces comes from no merge: it is one of the special tokens.

Source: the training procedure of byte pair encoding, arXiv:1508.07909; checked against published merges in
tests/convert.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from furet.errors import ModelFileError

MAX_WORK = 1 << 27  # squared bytes of all words; GPT-2's take 5 million
_NEVER = 1 << 32


def merges_of(words: Sequence[bytes]) -> dict[int, tuple[int, int]]:
    """For each word that comes from a merge, the ids of its halves; `words` are in the order of their ids.

    Empty words and repeated ones come from nothing.
    raises  ModelFileError when the words are so long that it would take minutes
    """
    if sum(len(word) ** 2 for word in words) > MAX_WORK:
        raise ModelFileError("the words are too long for a byte-level vocabulary", field="vocabulary")
    ids: dict[bytes, int] = {}
    for number, word in enumerate(words):
        ids.setdefault(word, number)
    letters = {word[0]: number for word, number in ids.items() if len(word) == 1}
    made: dict[tuple[int, int], int] = {}
    merges: dict[int, tuple[int, int]] = {}
    for number, word in enumerate(words):
        if len(word) < 2 or ids[word] != number or not all(byte in letters for byte in word):
            continue
        parts = _merged([letters[byte] for byte in word], made)
        if len(parts) == 2:
            made[parts[0], parts[1]] = number
            merges[number] = (parts[0], parts[1])
    return merges


def _merged(parts: list[int], made: dict[tuple[int, int], int]) -> list[int]:
    """What is left when no two neighbours merge any more; the lowest rank first, then the leftmost."""
    while len(parts) > 2:
        best, place = min((made.get(pair, _NEVER), at) for at, pair in enumerate(pairwise(parts)))
        if best == _NEVER:
            break
        parts[place : place + 2] = [best]
    return parts
