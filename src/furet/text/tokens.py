"""The list of tokens in a file's metadata: text, type, and the index from text to id."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from furet.errors import ModelFileError
from furet.text.metadata import Metadata, numbers, strings
from furet.text.vocabulary import MAX_TEXT, MAX_TOKENS, TokenType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOKENS = "tokenizer.ggml.tokens"
TYPES = "tokenizer.ggml.token_type"


@dataclass(frozen=True)
class TokenList:
    """V tokens as the file writes them.

    texts   [V], all different, none empty
    types   [V] a TokenType each
    ids     the index of `texts`
    """

    texts: list[str]
    types: NDArray[np.uint8]
    ids: dict[str, int]

    def __len__(self) -> int:
        return len(self.texts)

    def normal(self) -> list[int]:
        """Ids of the normal tokens, ascending."""
        import numpy as np

        found: list[int] = np.flatnonzero(self.types == TokenType.NORMAL).tolist()
        return found

    def decoded(self, normal: Callable[[str], bytes]) -> list[bytes]:
        """The bytes each token stands for; `normal` gives those of a normal one."""
        found = []
        for text, kind in zip(self.texts, self.types.tolist(), strict=True):
            if kind == TokenType.NORMAL:
                found.append(normal(text))
            elif kind == TokenType.BYTE:
                byte = re.fullmatch("<0x([0-9A-Fa-f]{2})>", text)
                if not byte:
                    raise ModelFileError(
                        f"{text[:80]!r} is of type byte, but not written <0xNN>", field=TOKENS
                    )
                found.append(bytes.fromhex(byte[1]))
            else:
                found.append(text.encode())
        return found


def read_tokens(metadata: Metadata) -> TokenList:
    """The token list of a file; a missing, empty or contradictory one is a ModelFileError."""
    texts = strings(metadata, TOKENS)
    if not texts:
        raise ModelFileError("the vocabulary is empty", field=TOKENS)
    if len(texts) > MAX_TOKENS or sum(map(len, texts)) > MAX_TEXT:
        raise ModelFileError(
            f"{len(texts)} tokens; a vocabulary has at most {MAX_TOKENS}, of {MAX_TEXT} characters together",
            field=TOKENS,
        )
    for index, text in enumerate(texts):
        if not text:
            texts[index] = f"[EMPTY_{index}]"
    ids = {text: index for index, text in enumerate(texts)}
    if len(ids) != len(texts):
        first = next(index for index, text in enumerate(texts) if ids[text] != index)
        raise ModelFileError(
            f"elements {first} and {ids[texts[first]]} are both {texts[first][:80]!r}", field=TOKENS
        )
    return TokenList(texts, _types(metadata, len(texts)), ids)


def _types(metadata: Metadata, count: int) -> NDArray[np.uint8]:
    import numpy as np

    if TYPES not in metadata:
        return np.full(count, TokenType.NORMAL, np.uint8)
    codes = numbers(metadata, TYPES, count, np.int64)
    return np.where(np.isin(codes, list(TokenType)), codes, TokenType.UNDEFINED).astype(np.uint8)
