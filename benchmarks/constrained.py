"""Answers of a form: do all of them parse and validate, and what does the form cost?

    python benchmarks/constrained.py MODEL.gguf [--each 50] [--max-tokens 400]

Forty JSON schemas, each asked for `--each` times with another seed. Prints a line for each schema, then the share of
the decode time that choosing tokens took with the form and without it, and what guessing the tokens that must follow
gives. Exits with 1 where an answer that ended by itself does not validate. Needs jsonschema.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import jsonschema

import furet
from furet.sample.chain import Chooser

AT_ONCE = 16  # answers
WORD = {"type": "string", "minLength": 1, "maxLength": 12}
COUNT = {"type": "integer", "minimum": 0, "maximum": 999}
Schema = dict[str, Any]


def record(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def listed(items: Schema, most: int = 3, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


SCHEMAS: list[Schema] = [
    {"type": "boolean"},
    {"type": "null"},
    COUNT,
    {"type": "integer", "minimum": -50, "maximum": -3},
    {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 100},
    WORD,
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "ipv4"},
    {"enum": ["red", "green", "blue"]},
    {"enum": [1, "two", None, True, [3], {"four": 5}]},
    {"const": {"version": 2, "name": 'größe " \\ \n'}},
    {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
    listed(COUNT),
    listed(WORD, 5, 2),
    listed(listed(COUNT, 2, 1), 2, 1),
    {"type": "array", "prefixItems": [WORD, COUNT, {"type": "boolean"}], "items": False, "minItems": 3},
    record(name=WORD),
    record(name=WORD, age=COUNT),
    record(city=WORD, country={"enum": ["FR", "DE", "IT"]}, people={"type": "integer", "minimum": 1, "maximum": 9}),
    record(title=WORD, tags=listed(WORD), done={"type": "boolean"}),
    record(point=record(x=COUNT, y=COUNT)),
    record(points=listed(record(x=COUNT, y=COUNT), 3, 1)),
    record(a=record(b=record(c=record(d=WORD)))),
    record(kind={"const": "circle"}, radius=COUNT),
    {"anyOf": [record(kind={"const": "circle"}, radius=COUNT), record(kind={"const": "square"}, side=COUNT)]},
    {"anyOf": [{"type": "null"}, WORD, listed({"type": "boolean"})]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 8}]},
    {**record(name=WORD, nick=WORD), "required": ["name"]},
    {**record(a=COUNT, b=COUNT, c=COUNT), "required": []},
    {"type": "object", "patternProperties": {"^[a-c]$": COUNT}, "additionalProperties": False, "maxProperties": 3},
    {"type": "object", "additionalProperties": COUNT, "maxProperties": 2},
    {"$ref": "#/$defs/node", "$defs": {"node": record(value=COUNT, next={"anyOf": [{"type": "null"}, COUNT]})}},
    {**record(left={"$ref": "#/$defs/leaf"}, right={"$ref": "#/$defs/leaf"}), "$defs": {"leaf": listed(COUNT, 2)}},
    record(quote={"type": "string", "maxLength": 30}, lines=listed({"type": "string", "maxLength": 10}, 2)),
    record(email={"type": "string", "pattern": "^[a-z]{2,8}@[a-z]{2,8}\\.(com|org)$"}, age=COUNT),
]


PERSON = record(
    first_name=WORD,
    family_name=WORD,
    age_in_years=COUNT,
    favourite_colour={"enum": ["red", "green", "blue"]},
    address=record(street={"type": "string", "maxLength": 20}, city=WORD),
)
PERSON_ASKED = "Ada Lovelace, 36, who likes green, lives in Baker Street, London. As JSON: "
CHECK = jsonschema.Draft202012Validator


class Watch:
    """Adds up the time that choosing takes."""

    seconds = 0.0
    calls = 0

    def __init__(self) -> None:
        choose = Chooser.choose

        def timed(self: Chooser, *arguments: Any) -> int:
            began = perf_counter()
            try:
                return choose(self, *arguments)
            finally:
                Watch.seconds += perf_counter() - began
                Watch.calls += 1

        Chooser.choose = timed  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--max-tokens", type=int, default=400)
    wanted = parser.parse_args()
    model = furet.load(wanted.model, context=1024, sequences=AT_ONCE)
    began = perf_counter()
    model.generate("x", regex="a")
    print(f"tables that all forms share: {perf_counter() - began:.2f} s")
    failed = cut = 0
    for number, schema in enumerate(SCHEMAS):
        good = 0
        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(partial(answer, model, schema, wanted.max_tokens), range(wanted.each)))
        for seed, out in enumerate(answers):
            if out.finish_reason != "stop":
                cut += 1
                continue
            try:
                CHECK(schema, format_checker=CHECK.FORMAT_CHECKER).validate(json.loads(out.text))
                good += 1
            except (ValueError, jsonschema.ValidationError) as error:
                failed += 1
                print(f"schema {number}, seed {seed}: {out.text!r}: {error}")
        print(f"schema {number}: {good} of {wanted.each} validate, such as {out.text[:60]!r}", flush=True)
    print(f"{wanted.each * len(SCHEMAS)} answers, {failed} wrong, {cut} cut at {wanted.max_tokens} tokens")
    guessing(model)
    Watch()
    per_token(model)
    sys.exit(1 if failed else 0)


def answer(model: furet.Model, schema: Schema, max_tokens: int, seed: int) -> furet.Completion:
    """One answer, beside others."""
    stream = model.chat().say(
        f"Give an example of this JSON schema: {json.dumps(schema)}",
        seed=seed,
        json_schema=schema,
        max_tokens=max_tokens,
    )
    for _ in stream:
        pass
    return stream.completion


def guessing(model: furet.Model) -> None:
    """A record's speed without guesses, with what followed before, and with what must follow as well, by turns; its
    answers must be the same.
    """
    speeds: dict[str, list[float]] = {"no guesses": [], "what followed before": [], "and what must follow": []}
    must = Chooser.must
    for seed in range(9):
        made = []
        for kind, speed in list(speeds.items())[:: 1 if seed % 2 else -1]:
            Chooser.must = must if kind == "and what must follow" else lambda self: []  # type: ignore[method-assign]
            ahead = kind != "no guesses"
            out = model.generate(PERSON_ASKED, max_tokens=200, seed=seed, json_schema=PERSON, speculate=ahead)
            speed.append(out.timings.decode_tokens / out.timings.decode_seconds)
            made.append(out.tokens)
        assert made[0] == made[1] == made[2], "guesses changed an answer"
    Chooser.must = must  # type: ignore[method-assign]
    told = ", ".join(f"{kind} {median(speed):.0f}" for kind, speed in speeds.items())
    print(f"a record of {len(made[0])} tokens, tok/s: {told}")


def per_token(model: furet.Model) -> None:
    """The cost of a token's choice without a form and with one, by turns, beside the decode itself; medians."""
    forms: dict[str, Schema] = {"without a form": {}, "with a schema": {"json_schema": listed(WORD, 40, 40)}}
    choosing: dict[str, list[float]] = {name: [] for name in forms}
    decoding: dict[str, list[float]] = {name: [] for name in forms}
    for seed in range(-1, 9):  # the first warms up
        for name, form in forms.items():
            Watch.seconds, Watch.calls = 0.0, 0
            out = model.generate("A list of words: ", max_tokens=200, seed=seed + 1, ignore_eos=True, **form)
            if seed >= 0:
                choosing[name].append(Watch.seconds / Watch.calls)
                decoding[name].append(out.timings.decode_seconds / out.timings.decode_tokens)
    for name in forms:
        each, decode = median(choosing[name]), median(decoding[name])
        print(f"{name}: choosing {each * 1e3:.3f} ms a token, {each / decode:.1%} of {decode * 1e3:.2f} ms of decode")
    added = [with_ - without for without, with_ in zip(*choosing.values(), strict=True)]
    share = median(more / decode for more, decode in zip(added, decoding["with a schema"], strict=True))
    print(f"the form costs {median(added) * 1e3:.3f} ms a token, {share:.1%} of decode")


if __name__ == "__main__":
    main()
