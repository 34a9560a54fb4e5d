"""Damage GGML files by the hundred thousand and count what is not a typed error or a valid model.

    python benchmarks/fuzz_ggml.py                   200,000 mutations, every truncation of every kind of file
    python benchmarks/fuzz_ggml.py --mutations 5000 --truncations 10 --seed 7

A valid file has all its tensors read, as it is and as GGUF. Counted are exceptions without a type of ours; a crash
ends the run. The longest time (of the processor) and the growth of the process are compared with 1 s and 64 MB.
Each mutation has its own seed: --only N repeats one. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "attacks"))

from ggml_outcome import outcome
from mutate import mutated
from test_damaged_ggml import BYTES, SEEDS

SECONDS = 1.0
GROWTH = 64_000_000

Case = tuple[str, bytes]


def mutations(count: int, seed: int, only: int | None) -> Iterator[Case]:
    """Damaged versions of small sound files of every generation and architecture."""
    for number in range(count) if only is None else [only]:
        rng = random.Random(f"{seed}:{number}")
        which = number % len(SEEDS)
        yield f"mutation {number}", mutated(BYTES[which], SEEDS[which].numbers, BYTES, rng)


def truncations(step: int) -> Iterator[Case]:
    """Every file cut at every `step`th byte."""
    for which, data in enumerate(BYTES):
        for size in range(0, len(data), step):
            yield f"truncation of {which} at {size}", data[:size]


def run(cases: Iterator[Case]) -> dict[str, object]:
    """Open every case; what came of them."""
    found: Counter[str] = Counter()
    failures: list[str] = []
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.bin"
        path.write_bytes(BYTES[0])
        outcome(path)  # imports what is needed
        before = peak()
        for name, data in cases:
            path.write_bytes(data)
            begin = time.process_time()
            try:
                found[outcome(path)] += 1
            except Exception:
                found["untyped"] += 1
                failures.append(f"{name}: {traceback.format_exc(limit=-2)}")
            slowest = max(slowest, (time.process_time() - begin, name))
    growth = peak() - before
    return {
        "outcomes": dict(found),
        "failures": failures[:5],
        "slowest_seconds": round(slowest[0], 4),
        "slowest": slowest[1],
        "growth_bytes": growth,
        "ok": not found["untyped"] and slowest[0] < SECONDS and growth < GROWTH,
    }


def peak() -> int:
    """The most memory this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=200_000)
    parser.add_argument("--truncations", type=int, default=1, help="bytes from one cut to the next")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="repeat this mutation alone")
    options = parser.parse_args()
    results = {"mutations": run(mutations(options.mutations, options.seed, options.only))}
    if options.only is None:
        results["truncations"] = run(truncations(options.truncations))
        cut = results["truncations"]["outcomes"]
        results["truncations"]["ok"] = results["truncations"]["ok"] and set(cut) == {"ModelFileError"}
    for name, result in results.items():
        print(name, *(f"  {field}: {value}" for field, value in result.items()), sep="\n")
    print(json.dumps({"seed": options.seed, **results}))
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
