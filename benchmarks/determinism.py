"""Whether a model's answers depend on how they are computed: they must not, to the last bit.

    python benchmarks/determinism.py MODEL [MODEL ...] [--tokens 256]

Logits of a text are computed with 1 and 2 threads, in chunks of 1, 7, 64 and whole, from packed weights and from the mapped
file, and a greedy answer with and without its prompt in the cache. All are compared bit for bit with the first. The last line is
JSON; the exit code is 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TEXT = Path(__file__).with_name("text.txt")
WAYS = [
    (1, 128, True),
    (2, 128, True),
    (2, 1, True),
    (2, 7, True),
    (2, 64, True),
    (2, 256, True),
    (2, 64, False),
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    results = [
        {"model": Path(model).name, "differences": compare(model, options.tokens)} for model in options.models
    ]
    print(json.dumps({"benchmark": "determinism", "tokens": options.tokens, "results": results}))
    return 1 if any(result["differences"] for result in results) else 0


def compare(model: str, count: int) -> list[str]:
    """Names of the ways whose logits or answers differ from those of the first."""
    first: tuple[NDArray[np.float32], list[int]] | None = None
    differences = []
    for threads, chunk, packed in WAYS:
        name = f"{threads} threads, chunks of {chunk}, {'packed' if packed else 'mapped'}"
        found = logits_and_answer(model, count, threads, chunk, packed)
        first = first or found
        same = np.array_equal(first[0].view(np.uint32), found[0].view(np.uint32)) and first[1] == found[1]
        print(f"{Path(model).name:24} {name:36} {'equal' if same else 'DIFFERENT'}", flush=True)
        if not same:
            differences.append(name)
    return differences


def logits_and_answer(
    model: str, count: int, threads: int, chunk: int, packed: bool
) -> tuple[NDArray[np.float32], list[int]]:
    """The logits of every fourth token, and a greedy answer: fresh, then again with its prompt cached (which must agree)."""
    import furet

    with furet.load(model, threads=threads, chunk=chunk, repack=packed, context=count + 32) as loaded:
        tokens = loaded.tokenizer.encode(TEXT.read_text())[:count]
        logits = loaded.logits(tokens)[::4].copy()
        answers = [
            loaded.generate(tokens[:64], max_tokens=16, temperature=0, ignore_eos=True).tokens
            for _ in range(2)
        ]
        if answers[0] != answers[1]:
            raise SystemExit(f"{model}: an answer changed when its prompt was cached")
        return logits, list(answers[0])


if __name__ == "__main__":
    sys.exit(main())
