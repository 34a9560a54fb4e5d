"""Prompt formats without a program: three patterns, of which a chat template is made.

A pattern says what stands around a message: in "USER: {} " the message takes the place of the braces, {bos} and
{eos} are the names of the model's own tokens. What stands before an assistant's message is also where its next
answer begins; spaces at the end of that are left to the model, as most tokens bring their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TEMPLATE = """\
{%- set system = namespace(text=DEFAULT) -%}
{%- for message in messages -%}
  {%- if message.role == 'system' -%}
    {%- set system.text = ('' if loop.first else system.text) ~ SYSTEM -%}
  {%- elif message.role == 'user' -%}
    {{- USER -}}
    {%- set system.text = '' -%}
  {%- elif message.role == 'assistant' -%}
    {{- system.text ~ ASSISTANT -}}
    {%- set system.text = '' -%}
  {%- else -%}
    {{- raise_exception('the preset NAME knows no messages of the role ' ~ message.role) -}}
  {%- endif -%}
{%- endfor -%}
{{- system.text -}}
{%- if add_generation_prompt -%}{{- ANSWER -}}{%- endif -%}
"""


@dataclass(frozen=True)
class Preset:
    """A prompt format by name.

    name        what people call it by
    about       the models that were trained on it
    user        pattern of what the user says
    assistant   pattern of the answers
    system      pattern of the system message
    inside      the system message belongs into the user's first message, not before it
    default     the system message when there is none
    stops       texts that end an answer, because the model goes on to speak for the user
    also        further names
    tokens      a vocabulary that has all of these as tokens is a sign of this format
    models      regular expression that finds such models by their name: lower case, words joined by "-"
    sampling    options that its makers suggest
    """

    name: str
    about: str
    user: str
    assistant: str
    system: str = "{}\n\n"
    inside: bool = False
    default: str = ""
    stops: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    models: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The format as a chat template in Jinja."""
        user = _filled(self.user, "message.content")
        if self.inside:
            user = _filled(self.user, "system.text ~ message.content")
        values = {
            "NAME": self.name,
            "DEFAULT": _filled(self.system, repr(self.default)) if self.default else "''",
            "SYSTEM": _filled(self.system, "message.content"),
            "USER": user if self.inside else f"system.text ~ {user}",
            "ASSISTANT": _filled(self.assistant, "message.content | trim"),
            "ANSWER": _text(self.assistant.partition("{}")[0].rstrip(" ")),
        }
        return re.sub("|".join(values), lambda name: values[name[0]], _TEMPLATE)


def _filled(pattern: str, content: str) -> str:
    """A Jinja expression for a pattern around the value of another expression."""
    before, braces, after = pattern.partition("{}")
    assert braces, f"no place for the message in {pattern!r}"
    return " ~ ".join(part for part in (_text(before), f"({content})", _text(after)) if part != "''")


def _text(text: str) -> str:
    """A Jinja expression for a text in which {bos} and {eos} stand for tokens."""
    parts = repr(text).replace("{bos}", "' ~ bos_token ~ '").replace("{eos}", "' ~ eos_token ~ '")
    return parts.removeprefix("'' ~ ").removesuffix(" ~ ''")
