"""From messages to token ids, so that what people typed stays text and what the model said stays its tokens.

A template writes control tokens by name, and a user who types such a name would speak with the template's
voice: end the turn, open one of the system. So names inside messages are fenced before rendering, by
characters that occur nowhere else, and what is between the fences is then encoded as plain text. Answers are
fenced as well and become the very tokens they were made of: encoded anew, a text may give others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.text.template import ChatTemplate
    from furet.text.tokenizer import Tokenizer


Fences = tuple[str, str, str, str]  # open and close a name, open and close an answer


@dataclass(frozen=True)
class Message:
    """One message; `tokens` are those it was made of, where they are known."""

    role: str
    content: str
    tokens: tuple[int, ...] = ()


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
        # There, a text in parts is encoded with spaces between them.
        self._whole = tokenizer.vocabulary.rules.space_prefix

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The tokens after which the assistant's next answer begins; raises what the template raises."""
        fences = _unused_characters(messages)
        fenced = [{"role": each.role, "content": self._fenced(each, fences)} for each in messages]
        text = self._template.render(fenced, add_generation_prompt=True)
        answers = {each.content: each.tokens for each in messages if each.tokens}
        ids = list(self._encode_fenced(text, fences, answers))
        bos = self._tokenizer.bos_id if self._tokenizer.add_bos else None
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]

    def _fenced(self, message: Message, fences: Fences) -> str:
        open_name, close_name, open_answer, close_answer = fences
        if message.tokens and not self._whole:
            return open_answer + message.content + close_answer
        if self._names is None:
            return message.content
        return self._names.sub(lambda name: open_name + name[0] + close_name, message.content)

    def _encode_fenced(self, text: str, fences: Fences, answers: dict[str, tuple[int, ...]]) -> Iterator[int]:
        open_name, close_name, open_answer, close_answer = fences
        inside = f"{open_name}(.*?){close_name}|{open_answer}(.*?){close_answer}"
        done = 0
        for match in re.finditer(inside, text, re.DOTALL):
            before = text[done : match.start()]
            if match[2] in answers and match[2].startswith(" "):
                before = before.removesuffix(" ")  # the answer's first token brings the space along
            yield from self._plain(before, fences, parse_special=True)
            if match[2] in answers:
                yield from answers[match[2]]
            else:
                yield from self._plain(match[1] or match[2] or "", fences, parse_special=False)
            done = match.end()
        yield from self._plain(text[done:], fences, parse_special=True)

    def _plain(self, text: str, fences: Fences, *, parse_special: bool) -> list[int]:
        """Tokens of a text less single fences, which a template leaves where it cuts a message."""
        text = text.translate(dict.fromkeys(map(ord, fences)))
        return self._tokenizer.encode(text, parse_special=parse_special, add_special=False)


def _unused_characters(messages: Sequence[Message]) -> Fences:
    """Four characters of the private use area that are in no message."""
    used = set().union(*(message.content for message in messages))
    free = (character for character in map(chr, range(0xE000, 0xF900)) if character not in used)
    return next(free), next(free), next(free), next(free)
