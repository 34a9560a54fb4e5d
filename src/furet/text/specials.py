"""Finding special tokens in text: at each place the longest name wins, and the search goes on behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from furet.errors import ModelFileError

MAX_NAME = 256  # characters; every length that occurs is tried at every place where a name could begin


class SpecialTokens:
    """Names of special tokens, as they are found in text. `names` maps each to its id."""

    def __init__(self, names: Mapping[str, int]) -> None:
        lengths: dict[str, set[int]] = {}
        for name in names:
            if len(name) > MAX_NAME:
                raise ModelFileError(
                    f"special token {names[name]} has a name of {len(name)} characters; at most {MAX_NAME}",
                    field="tokenizer.ggml.tokens",
                )
            lengths.setdefault(name[0], set()).add(len(name))
        self._names = names
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        self._first = re.compile("[" + re.escape("".join(lengths)) + "]") if lengths else None

    def cut(self, text: str) -> Iterator[str | int]:
        """`text` in order, as pieces of plain text and the ids of special tokens; no piece is empty."""
        done = at = 0
        while self._first and (candidate := self._first.search(text, at)):
            at = candidate.start()
            for length in self._lengths[text[at]]:
                token = self._names.get(text[at : at + length])
                if token is not None:
                    if done < at:
                        yield text[done:at]
                    yield token
                    done = at = at + length
                    break
            else:
                at += 1
        if done < len(text):
            yield text[done:]
