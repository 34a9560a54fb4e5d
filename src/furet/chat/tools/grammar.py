"""A grammar under which a model writes calls that can be read, with arguments of the tools' schemas.

Where a model must call, the whole answer is calls. Where it may, text is free up to the opening of a call, which is
the trigger: from there on only a call of a known tool can follow. llguidance has lazy lexemes for that. A family whose
calls have no opening has one place where they can begin, the answer's first character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from furet.chat.tools.family import Family
from furet.chat.tools.tool import Offer, Tool, arguments_grammar
from furet.errors import BadRequest
from furet.sample.constraint import MAX_GRAMMAR, Words
from furet.sample.schema import FORM

MAX_CALLS = 16  # of one answer; a small model may go on for ever
ANY_OBJECT = {"type": "object", "x-guidance": FORM}


def calls_grammar(offer: Offer, family: Family, words: Words) -> str:
    """The grammar of an answer, in Lark's notation as llguidance extends it.

    raises  BadRequest naming the path of a schema that cannot be honoured. Where the model need not call and the tool
            is not strict, such a tool's arguments are any JSON object instead
    """
    schemas = {tool.name: _schema(tool, required=offer.must or tool.strict) for tool in offer.callable}
    grammar = _grammar(offer, family, words, schemas)
    if len(grammar) <= MAX_GRAMMAR:
        return grammar
    if offer.must or any(tool.strict for tool in offer.callable):
        size = f"their schemas make a grammar of {len(grammar)} characters"
        raise BadRequest(f"tools: {size}, wanted at most {MAX_GRAMMAR}", "offer fewer of them")
    return _grammar(offer, family, words, dict.fromkeys(schemas, ANY_OBJECT))


def _schema(tool: Tool, *, required: bool) -> Mapping[str, Any]:
    try:
        return arguments_grammar(tool)
    except BadRequest:
        if required:
            raise
        return ANY_OBJECT


def _grammar(offer: Offer, family: Family, words: Words, schemas: Mapping[str, Mapping[str, Any]]) -> str:
    marks = _special_marks(family, words)
    literal = partial(_literal, marks=marks)
    trigger = family.marks[0] if family.marks else ""
    hidden = trigger in marks
    rest = family.opening.removeprefix(trigger)  # some models write a space before it
    again = "" if family.single or not offer.parallel else f"({literal(family.between)} call){{0,{MAX_CALLS - 1}}}"
    rules = {
        "calls": " ".join([f'" "? {literal(rest)}' if rest else "", "call", again, literal(family.closing)]),
        "call": " | ".join(f"call_{place}" for place in range(len(schemas))),
    }
    for place, (name, schema) in enumerate(schemas.items()):
        rules[f"call_{place}"] = f"{literal(family.head(name))} %json {json.dumps(schema)} {literal(family.tail)}"
    if family.bare:
        rules["lead"] = f"{literal(trigger)} |" if hidden else '""'
        text = f"/(?s:.*)/ & ~/(?s:{re.escape(_before_name(family))}.*)/"
    else:
        rules["lead" if offer.must or hidden else "lead[lazy]"] = f"{'' if offer.must else 'TEXT '}{literal(trigger)}"
        text = "/(?s:.*)/"
    if offer.must:
        rules["start"] = "lead calls"
    else:
        rules |= {"start": "text | lead calls", "text": "TEXT", "TEXT": text}
    return "\n".join(["%llguidance {}", *(f"{name}: {body}" for name, body in rules.items())])


def _special_marks(family: Family, words: Words) -> dict[str, int]:
    """The family's marks that are control tokens, and these."""
    return {mark: token for mark in family.marks if (token := special(mark, words)) is not None}


def _literal(text: str, marks: Mapping[str, int]) -> str:
    """A text as a grammar has it, in which the names of control tokens are these tokens."""
    parts = re.split(f"({'|'.join(map(re.escape, marks))})", text) if marks else [text]
    quoted = (json.dumps(part, ensure_ascii=False) for part in parts)
    return " ".join(
        f"<[{marks[part]}]>" if part in marks else quote for part, quote in zip(parts, quoted, strict=True) if part
    )


def special(mark: str, words: Words) -> int | None:
    """The control token of this name, if there is one."""
    ids = words.encode(mark, add_special=False)
    return ids[0] if len(ids) == 1 and ids[0] in words.special_ids else None


def _before_name(family: Family) -> str:
    """What every call begins with."""
    return family.head("NAME").partition("NAME")[0]
