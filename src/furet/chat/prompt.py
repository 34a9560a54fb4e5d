"""From messages to token ids, so that what a person typed is read as text and never as a control token.

A template writes control tokens by name, and a user who types such a name would speak with the template's
voice: end the turn, open one of the system. So names inside messages are fenced before rendering, by a
character that occurs nowhere else, and what is between the fences is then encoded as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.text.template import ChatTemplate
    from furet.text.tokenizer import Tokenizer

Message = Mapping[str, str]

_PRIVATE_USE = range(0xE000, 0xF900)


class Prompts:
    """Renders and encodes conversations for one model."""

    def __init__(self, template: ChatTemplate, tokenizer: Tokenizer) -> None:
        from furet.text.vocabulary import TokenType

        self._template = template
        self._tokenizer = tokenizer
        controls = tokenizer.vocabulary.of_types(TokenType.CONTROL, TokenType.UNKNOWN)
        names = {tokenizer.token_bytes(token).decode("utf-8", "replace") for token in controls} - {""}
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        self._names = re.compile("|".join(map(re.escape, longest_first))) if names else None

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The tokens after which the assistant's next answer begins.

        messages    each has "role" and "content"
        raises      what the template raises for messages it does not allow
        """
        fence = _unused_character(messages)
        fenced = [{**message, "content": self._fenced(message["content"], fence)} for message in messages]
        text = self._template.render(fenced, add_generation_prompt=True)
        ids: list[int] = []
        for place, part in enumerate(text.split(fence)):
            ids += self._tokenizer.encode(part, parse_special=place % 2 == 0, add_special=False)
        bos = self._tokenizer.bos_id if self._tokenizer.add_bos else None
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]

    def _fenced(self, content: str, fence: str) -> str:
        return self._names.sub(lambda name: fence + name[0] + fence, content) if self._names else content


def _unused_character(messages: Sequence[Message]) -> str:
    used = set().union(*(message["content"] for message in messages))
    return next(character for character in map(chr, _PRIVATE_USE) if character not in used)
