"""From messages to token ids, so that what people typed stays text and what the model said stays its tokens.

A template writes control tokens by name, and whoever gets such a name into a prompt would speak with the template's
voice: end the turn, open one of the system. So names in all that comes from outside (messages, what tools gave, the
arguments of calls, the descriptions of tools) are fenced before rendering, by characters that occur nowhere else, and
what is between the fences is then encoded as plain text. Answers are fenced as well and become the very tokens they
were made of: encoded anew, a text may give others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from furet.chat.messages import Message, arguments_of
from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.text.template import ChatTemplate
    from furet.text.tokenizer import Tokenizer

__all__ = ["Message", "Prompts"]

Functions = Sequence[Mapping[str, Any]]  # tools as templates expect them


class Fences(NamedTuple):
    """Characters that no message holds: around a name, around an answer, and behind what is to be gone on with."""

    open_name: str
    close_name: str
    open_answer: str
    close_answer: str
    end: str


class Prompts:
    """Renders and encodes conversations for one model. Safe to share between threads."""

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

    def encode(
        self,
        messages: Sequence[Message],
        tools: Functions = (),
        *,
        resume: bool = False,
        begin_answer: bool = True,
    ) -> list[int]:
        """The tokens of a conversation.

        tools           each {"type": "function", "function": {...}}
        resume          end inside of the last message, which the assistant is to go on with
        begin_answer    end where the assistant's next answer begins
        raises          BadRequest naming the message that the template refuses, and what else the template raises
        """
        fences = _unused_characters([*map(_written, messages), *tools])
        text = self._rendered(messages, tools, fences, resume=resume, begin_answer=begin_answer)
        answers = {each.content: each.tokens for each in messages if each.tokens}
        ids = list(self._encode_fenced(text, fences, answers))
        bos = self._tokenizer.bos_id if self._tokenizer.add_bos else None
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]

    def _rendered(
        self, messages: Sequence[Message], tools: Functions, fences: Fences, *, resume: bool, begin_answer: bool
    ) -> str:
        """The conversation as the template writes it, with its fences."""
        fenced = [self._fenced(each, fences) for each in messages]
        if resume:
            fenced[-1]["content"] += fences.end + " "  # a template that cuts off spaces shows itself
        functions = [_mapped(tool, lambda text: self._fence_names(text, fences)) for tool in tools]

        def render(count: int) -> str:
            begins = begin_answer and not resume
            return self._template.render(fenced[:count], add_generation_prompt=begins, tools=functions or None)

        try:
            text = render(len(fenced))
        except BadRequest as error:
            place = _first_refused(render, len(fenced))
            raise BadRequest(f"messages[{place}] ({messages[place].role}): {error.message}", error.hint) from None
        for fence in fences:  # as JSON in ASCII has it
            text = text.replace(f"\\u{ord(fence):04x}", fence)
        return _cut(text, fences.end) if resume else text

    def _fenced(self, message: Message, fences: Fences) -> dict[str, Any]:
        """A message for the template, in which nothing can be taken for a control token."""
        written: dict[str, Any] = _mapped(_written(message), lambda text: self._fence_names(text, fences))
        if message.tokens and not self._whole:
            written["content"] = fences.open_answer + message.content + fences.close_answer
        return written | {"role": message.role}

    def _fence_names(self, text: str, fences: Fences) -> str:
        if self._names is None:
            return text
        return self._names.sub(lambda name: fences.open_name + name[0] + fences.close_name, text)

    def _encode_fenced(self, text: str, fences: Fences, answers: Mapping[str, tuple[int, ...]]) -> Iterator[int]:
        open_name, close_name, open_answer, close_answer, _ = fences
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


def _written(message: Message) -> dict[str, Any]:
    """A message as templates expect it, by Hugging Face's conventions."""
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_of(call)}}
            for call in message.calls
        ]
    if message.call_id:
        written |= {"tool_call_id": message.call_id, "name": message.name}
    return written


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_mapped(item, change) for item in value]
    return value


def _first_refused(render: Callable[[int], str], count: int) -> int:
    """The place of the message with which the template begins to refuse a conversation of so many."""
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        try:
            render(middle + 1)
            low = middle + 1
        except BadRequest:
            high = middle
    return low


def _cut(text: str, end: str) -> str:
    """The text before a mark; less the spaces before it where the template has cut off those behind it."""
    before, found, behind = text.rpartition(end)
    if not found:
        raise BadRequest("the model's chat template does not show the last message as it is, so it cannot be resumed")
    return before if behind.startswith(" ") else before.rstrip()


def _unused_characters(values: Sequence[Any]) -> Fences:
    """Characters of the private use area that are nowhere in the texts, nor escaped as in JSON."""
    used: set[str] = set()

    def note(text: str) -> str:
        used.update(text)
        used.update(chr(int(code, 16)) for code in re.findall(r"\\u([eEfF][0-9a-fA-F]{3})", text))
        return text

    for value in values:
        _mapped(value, note)
    free = (character for character in map(chr, range(0xE000, 0xF900)) if character not in used)
    return Fences(*islice(free, len(Fences._fields)))
