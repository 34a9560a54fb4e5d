"""Prompts equal to transformers', to the byte; its side was stored by make_chat_goldens.py."""

from __future__ import annotations

import json

import pytest
from conversations import CONVERSATIONS, GOLDENS, NOW, OPTIONS, TEMPLATES, TOKENS

from furet.errors import FuretError
from furet.text.template import ChatTemplate

WANTED = json.loads(GOLDENS.read_text(encoding="utf-8"))


def test_there_are_enough():
    assert len(TEMPLATES) >= 12 and len(CONVERSATIONS) >= 10
    assert len(WANTED) == len(TEMPLATES) * len(CONVERSATIONS) * len(OPTIONS)
    assert sum(text is not None for text in WANTED.values()) > 0.8 * len(WANTED)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_renders_as_transformers_does(name):
    names = {"pad_token": TOKENS["pad_token"]}
    template = ChatTemplate(TEMPLATES[name], TOKENS["bos_token"], TOKENS["eos_token"], names=names, now=lambda: NOW)
    for conversation, messages in CONVERSATIONS.items():
        for option, options in OPTIONS.items():
            case = f"{name} / {conversation} / {option}"
            try:
                got = template.render(messages, **options)
            except FuretError:
                got = None
            assert got == WANTED[case], case
