"""Damaged tokenizer files: each gives a tokenizer that works, or one of furet's errors, in little time and memory.

    python benchmarks/fuzz_tokenizers.py --count 20000 --seed 1

Takes the tokenizer.json trees and SentencePiece models of the tests and changes bytes, or exchanges parts of a tree for
others and for junk. Ends with a line of JSON; any other exception ends it with a traceback.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests" / "text"
sys.path.insert(0, str(TESTS))

FORMS = ("gpt2", "prefixed", "qwen2", "wordpiece", "unigram", "metaspace", "llama", "gemma")
JUNK = (None, -1, 2**63, 1e300, "", "x" * 1000, [], {}, True, "(a*)*", 0, 1.5, "\ud800")
TEXT = "The ferret <|im_end|> ﬁ Å 日本\U0001f600 </s>  x" * 20


def main() -> None:
    from documents import document

    from furet.errors import FuretError

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    trees = [json.dumps(document(form), ensure_ascii=False) for form in FORMS]
    models = [lzma.decompress(path.read_bytes()) for path in sorted((TESTS / "data").glob("*.xz"))]
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for index in range(options.count):
        start = time.perf_counter()
        try:
            use(damaged_bytes(rng, rng.choice(models)) if index % 2 else damaged_tree(rng, rng.choice(trees)))
            outcomes["works"] += 1
        except FuretError as error:
            outcomes[type(error).__name__] += 1
        slowest = max(slowest, time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps({"files": options.count, **outcomes, "slowest_s": round(slowest, 2), "peak_MiB": peak}))


def use(content: bytes | str) -> None:
    """Read a tokenizer, encode and decode with it."""
    from furet.text.build import build_vocabulary
    from furet.text.encoder import encoder
    from furet.text.json_metadata import json_metadata
    from furet.text.sentencepiece_file import sentencepiece_metadata
    from furet.text.tokenizer import Tokenizer
    from furet.text.tokenizer_json import JSON

    metadata = sentencepiece_metadata(content) if isinstance(content, bytes) else json_metadata(content)[0]
    vocabulary = build_vocabulary(metadata)
    tokenizer = Tokenizer(vocabulary, encoder(vocabulary, metadata.get(JSON, "")))
    for special in (True, False):
        tokenizer.decode(tokenizer.encode(TEXT, parse_special=special))


def damaged_bytes(rng: random.Random, model: bytes) -> bytes:
    content = bytearray(model)
    for _ in range(rng.randint(1, 40)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def damaged_tree(rng: random.Random, text: str) -> str:
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            junk = "".join(rng.choices('{}[]",:0123456789.-eaĠ▁ \\nul', k=rng.randint(0, 6)))
            text = text[:at] + junk + text[at + rng.randint(0, 8) :]
        return text
    tree = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(tree))
        node, key = rng.choice(places)
        other, name = rng.choice(places)
        node[key] = rng.choice([*JUNK, json.loads(json.dumps(other[name]))])
    return json.dumps(tree)


def _places(node: Any) -> Any:
    """Each place in a tree where something else could stand, of long lists and objects the first."""
    if isinstance(node, dict | list):
        for key in list(node)[:40] if isinstance(node, dict) else range(min(len(node), 40)):
            yield node, key
            yield from _places(node[key])


if __name__ == "__main__":
    main()
