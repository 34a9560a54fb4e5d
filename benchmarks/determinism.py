"""Whether a model's answers depend on how they are computed: they must not, to the last bit.

    python benchmarks/determinism.py MODEL [MODEL ...] [--tokens 256]

A text is prefilled with 1 and 2 threads, in chunks of 1, 7, 64 and whole, from packed weights and from the
mapped file, then continued greedily; again with the text in the cache; and once more the logits of the text
itself. Tokens, log-probabilities and logits are compared bit for bit with the first. The last line is JSON;
the exit code is 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

TEXT = Path(__file__).with_name("text.txt")
WAYS = [
    (1, 128, True),
    (2, 128, True),
    (2, 1, True),
    (1, 7, True),
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
    """Names of the ways that give something else than the first."""
    first: Any = None
    differences = []
    for threads, chunk, packed in WAYS:
        name = f"{threads} threads, chunks of {chunk}, {'packed' if packed else 'mapped'}"
        found = everything(model, count, threads, chunk, packed)
        first = first or found
        print(f"{Path(model).name:24} {name:36} {'equal' if found == first else 'DIFFERENT'}", flush=True)
        if found != first:
            differences.append(name)
    return differences


def everything(model: str, count: int, threads: int, chunk: int, packed: bool) -> Any:
    """An answer with its log-probabilities, and the bytes of some logits."""
    import furet

    with furet.load(model, threads=threads, chunk=chunk, repack=packed, context=count + 32) as loaded:
        tokens = loaded.tokenizer.encode(TEXT.read_text())[:count]
        fresh, cached = (
            loaded.generate(tokens, max_tokens=16, temperature=0, ignore_eos=True, logprobs=20)
            for _ in range(2)
        )
        if (fresh.tokens, fresh.logprobs) != (cached.tokens, cached.logprobs):
            raise SystemExit(f"{model}: an answer changed when its prompt was cached")
        return list(fresh.tokens), fresh.logprobs, loaded.logits(tokens[:64]).tobytes()


if __name__ == "__main__":
    sys.exit(main())
