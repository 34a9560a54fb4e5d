"""SentencePiece's normalisation: a table of replacements, then runs of spaces.

The table ("precompiled charsmap") is a double-array trie over the bytes of UTF-8 with replacements behind it:
at each place the longest entry is replaced, and a character without one stays. Layout, little-endian:

    u32               bytes of the trie
    u32 [...]         its units. Bit 8: an entry ends here; bits 10-30, shifted left by 8 if bit 9 is set: what
                      to exclusive-or with the unit's own place for the units below; bits 0-7: the byte that
                      leads here. At that place + 0 is the unit of an entry that ends: the replacement's offset
    bytes             replacements, each with a zero at its end

Source   the format of darts-clone, which SentencePiece and llama.cpp read
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from furet.errors import ModelFileError
from furet.text.metadata import Metadata, numbers
from furet.text.rules import SPACE
from furet.text.specials import SpecialTokens
from furet.text.vocabulary import TokenType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from furet.text.vocabulary import Vocabulary

CHARSMAP = "tokenizer.ggml.precompiled_charsmap"
MAX_BYTES = 4 << 20
MAX_REPLACEMENT = 256  # bytes: one character must not become a text


def charsmap(metadata: Metadata) -> NDArray[np.uint8]:
    """The table in a file's metadata as bytes, empty where it has none; a damaged one is a ModelFileError."""
    import numpy as np

    table = metadata.get(CHARSMAP)
    if table is None:
        return np.empty(0, np.uint8)
    if isinstance(table, bytes | bytearray):
        found = np.frombuffer(bytes(table), np.uint8)
    else:
        size = len(table) if hasattr(table, "__len__") else 0
        found = numbers(metadata, CHARSMAP, size, np.uint8)
    if not len(found):
        return found
    size = int.from_bytes(found[:4].tobytes(), "little")
    if not (len(found) <= MAX_BYTES and 4 <= size <= len(found) - 4 and size % 4 == 0):
        raise ModelFileError(
            f"{len(found)} bytes, of which {size} are said to be a trie; at most {MAX_BYTES}", field=CHARSMAP
        )
    return found


def normalizer(vocabulary: Vocabulary) -> Callable[[str, bool], str]:
    """A function that brings text into the form that the pieces of `vocabulary` are in.

    Its second argument says whether the text begins something, so that a space belongs in front. Spaces stay
    spaces, and what writes them in pieces becomes one. Names of user-defined tokens are left as they are.
    """
    rules = vocabulary.rules
    replaced = _replacer(vocabulary) if len(vocabulary.charsmap) else str

    def normalised(text: str, begins: bool) -> str:
        text = replaced(text)
        if rules.squeeze:
            text = re.sub(" +", " ", text).strip(" ")
        if text and begins and rules.space_prefix:
            text = " " + text
        text = text.replace(SPACE, " ")
        return text.rstrip(" ") if rules.squeeze else text

    return normalised


def _replacer(vocabulary: Vocabulary) -> Callable[[str], str]:
    trie = Trie(vocabulary.charsmap.tobytes())
    plain = bytes(byte for byte in range(1, 128) if not trie.touches(byte))
    skipped = re.compile(b"[" + re.escape(plain) + rb"]+(?=[\x00-\x7f]|\Z)") if plain else None
    names = {
        vocabulary.token_bytes(token).decode("utf-8", "replace"): token
        for token in vocabulary.of_types(TokenType.USER_DEFINED)
    }
    kept = SpecialTokens(names)

    def replaced(text: str) -> str:
        data, done, found = text.encode(), 0, []
        while done < len(data):
            if skipped and (run := skipped.match(data, done)):
                found.append(run[0])
                done = run.end()
                continue
            done, replacement = trie.longest(data, done)
            found.append(replacement)
        return b"".join(found).decode("utf-8", "replace")

    def shown(part: str | int) -> str:
        return replaced(part) if isinstance(part, str) else vocabulary.token_bytes(part).decode("utf-8", "replace")

    return lambda text: "".join(map(shown, kept.cut(text)))


class Trie:
    """The double array and its replacements; `table` has at least the five bytes of a length and an end."""

    def __init__(self, table: bytes) -> None:
        size = int.from_bytes(table[:4], "little")
        units = memoryview(table[4 : 4 + size]).cast("I")
        if sys.byteorder == "big":
            import numpy as np

            units = np.frombuffer(table[4 : 4 + size], "<u4").astype("=u4").data
        self._units, self._strings = units, table[4 + size :]

    def touches(self, byte: int) -> bool:
        """Whether an entry is this ASCII character, or begins with it and another one."""
        alone = self.longest(bytes([byte]), 0)[1] != bytes([byte])
        return alone or any(self._reached(bytes([byte, other])) == 2 for other in range(128))

    def longest(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Where the longest entry at `at` ends, and its replacement; without one, the character itself."""
        units, count = self._units, len(self._units)
        found = None
        node = _below(units[0])
        for end in range(at, len(data)):
            node ^= data[end]
            if node >= count or units[node] & 0x800000FF != data[end] or not data[end]:
                break
            unit = units[node]
            node ^= _below(unit)
            if unit >> 8 & 1 and node < count:
                found = end + 1, units[node] & 0x7FFFFFFF
        if found is not None:
            end, offset = found
            stop = self._strings.find(b"\0", offset, offset + MAX_REPLACEMENT + 1)
            if stop >= 0:
                return end, self._strings[offset:stop]
        end = at + 1
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        return end, data[at:end]

    def _reached(self, data: bytes) -> int:
        """How many bytes of `data` entries begin with."""
        node = _below(self._units[0])
        for place, byte in enumerate(data):
            node ^= byte
            if node >= len(self._units) or self._units[node] & 0x800000FF != byte:
                return place
            node ^= _below(self._units[node])
        return len(data)


def _below(unit: int) -> int:
    """What to exclusive-or with a unit's place to get to the units below it."""
    return unit >> 10 << ((unit & 0x200) >> 6)
