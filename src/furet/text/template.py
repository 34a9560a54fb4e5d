"""Chat templates: how a model wants a conversation written, as a Jinja program that its file brings along.

The dialect is that of Hugging Face's apply_chat_template, and the result the same to the byte; so is what it
does to messages before: entries that are None are left out, and reasoning goes by each of its names. The
program is not trusted: see `sandbox` for what it can reach and `limits` for what it can use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from furet.errors import BadRequest, ModelFileError

if TYPE_CHECKING:
    from furet.text.limits import Budget

KEY = "tokenizer.chat_template"
MAX_SOURCE = 128 << 10  # bytes; the largest published templates have some 30,000
MAX_NESTING = 32
_OTHER = "the template in the file is damaged or not to be trusted; get the model from somewhere else"
_OWN = ("messages", "tools", "bos_token", "eos_token", "add_generation_prompt")
_REASONING = ("reasoning_content", "thinking", "reasoning")  # what templates call it, the usual name first


class ChatTemplate:
    """A compiled chat template. Safe to share between threads.

    source     Jinja, from `tokenizer.chat_template`
    bos, eos   names of the tokens, which templates write where they belong
    names      of further tokens, by variable: "pad_token", "unk_token"
    now        the time, for templates that state the date
    raises     ModelFileError when the source is too large, no Jinja, or reaches for what no template needs
    """

    def __init__(
        self,
        source: str,
        bos: str,
        eos: str,
        *,
        names: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.source = source
        self._tokens = {**(names or {}), "bos_token": bos, "eos_token": eos}
        if len(source) > MAX_SOURCE:
            raise ModelFileError(f"has {len(source)} characters; at most {MAX_SOURCE}", field=KEY)
        from furet.text.sandbox import Sandbox

        with _limited(0):
            self._template = Sandbox(now).from_string(source)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Any] | None = None,
        **extra: Any,
    ) -> str:
        """The prompt for a conversation.

        messages                at least one; each has "role" and "content", and what else the template knows
        add_generation_prompt   end where the assistant's next answer begins
        tools                   JSON schemas of functions that the model may call
        extra                   further variables of the template, such as `enable_thinking`
        raises                  BadRequest when the template does not take such a conversation,
                                ModelFileError when it reaches beyond its limits
        """
        for name in _OWN:
            if name in extra:
                raise BadRequest(f"{name!r} is not for the caller to set")
        if not messages:
            raise BadRequest("there are no messages", "a conversation has at least one")
        given = {"messages": list(messages), "tools": tools, "documents": None, **extra}
        data = {name: _plain(value, name) for name, value in given.items()}
        data["messages"] = [_said(message) for message in data["messages"]]
        data |= self._tokens | {"add_generation_prompt": add_generation_prompt}
        with _limited(_size(data)) as budget:
            parts = []
            for part in self._template.generate(data):
                budget.output(len(part))
                parts.append(part)
            return "".join(parts)


@contextmanager
def _limited(size: int) -> Iterator[Budget]:
    """A budget for `size` characters of messages, and typed errors for whatever goes wrong under it."""
    from jinja2.exceptions import SecurityError, TemplateSyntaxError

    from furet.text.limits import Budget, TooMuch, current
    from furet.text.sandbox import Refused

    budget = Budget(size)
    token = current.set(budget)
    try:
        yield budget
    except Refused as error:
        raise BadRequest(f"the model's chat template refuses the conversation: {error}"[:500]) from None
    except TemplateSyntaxError as error:
        raise ModelFileError(f"line {error.lineno}: {error.message}"[:500], _OTHER, field=KEY) from None
    except (TooMuch, SecurityError, RecursionError, MemoryError, SyntaxError) as error:
        reason = str(error) or type(error).__name__
        raise ModelFileError(f"stopped: {reason}"[:500], _OTHER, field=KEY) from None
    except Exception as error:  # a program from a file fails in whatever way it likes
        raise BadRequest(
            f"the model's chat template fails on this conversation: {type(error).__name__}: {error}"[:500],
            "it may not know such messages, tools or variables",
        ) from None
    finally:
        current.reset(token)


def _plain(value: Any, name: str, depth: int = 0) -> Any:
    """`value` rebuilt from Python's own types, so that a template meets no object with methods of its own."""
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if depth == MAX_NESTING:
        raise BadRequest(f"{name!r} is nested more than {MAX_NESTING} deep")
    if isinstance(value, Mapping):
        return {_plain(key, name, MAX_NESTING): _plain(item, name, depth + 1) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item, name, depth + 1) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(item, name, depth + 1) for item in value]
    raise BadRequest(
        f"{name!r} holds a {type(value).__name__}, which is neither text nor a number, list or mapping"
    )


def _said(message: object) -> dict[str, Any]:
    """A message as templates expect it: nothing is None, and reasoning has the names they know it by."""
    if not isinstance(message, dict):
        raise BadRequest(f"a message is a {type(message).__name__}, wanted a mapping with role and content")
    said = {key: value for key, value in message.items() if value is not None}
    for name in _REASONING:
        if name in said:
            return {"thinking": said[name], **said, "reasoning_content": said[name]}
    return said


def _size(data: Mapping[str, Any]) -> int:
    from furet.text.limits import TooMuch, printed_size

    try:
        return printed_size(data)
    except TooMuch as error:
        raise BadRequest(f"the conversation is too large: {error}") from None
