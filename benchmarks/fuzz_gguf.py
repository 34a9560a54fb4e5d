"""Damage GGUF headers by the hundred thousand and count what is not a typed error or a valid model.

    python benchmarks/fuzz_gguf.py                   200,000 mutations, 500 truncations, the heaviest files
    python benchmarks/fuzz_gguf.py --mutations 5000 --seed 7 --model FILE

Every case is opened as any model is; a valid one has all its values and tensors read. See `fuzzing` for what is
counted and measured. Each mutation has its own seed: --only N repeats one. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "attacks"))

from fuzzing import Case, measured
from gguf_bytes import ARRAY, STRING, U8, array, gguf, key, number_fields, sound, string, tensor
from gguf_outcome import outcome
from mutate import mutated


def opened(path: Path) -> str:
    """What becomes of a file; of a heavy one only the opening is ours, decoding is asked for."""
    return outcome(path, read=path.stat().st_size < 1 << 20)


def mutations(count: int, seed: int, only: int | None) -> Iterator[Case]:
    """Damaged versions of small sound files in every version and byte order."""
    seeds = [sound("<", 3), sound(">", 3), sound("<", 2), sound("<", 1), sound(">", 1)]
    fields = [number_fields(data) for data in seeds]
    for number in range(count) if only is None else [only]:
        rng = random.Random(f"{seed}:{number}")
        which = number % len(seeds)
        yield f"mutation {number}", mutated(seeds[which], fields[which], seeds, rng)


def truncations(model: Path | None, count: int, seed: int) -> Iterator[Case]:
    """A real model's file, or a small one, ending at `count` points over its header and just behind."""
    from furet.files.gguf import read_header

    data = sound()
    if model is not None:
        with model.open("rb") as file:
            data = file.read(8 << 20)
    end = len(data) if model is None else read_header(data, model.stat().st_size).header_bytes + 4096
    rng = random.Random(seed)
    for number in range(count):
        size = number * end // count if number % 2 else rng.randrange(end)
        yield f"truncation at {size}", data[:size]


def heaviest() -> Iterator[Case]:
    """The largest files that the caps let through, and what lies just beyond them."""
    names = [key(f"{i:x}", U8, b"\1") for i in range(16_384)]
    yield "16,384 keys", gguf(names)
    yield (
        "65,536 tensors",
        gguf([], [tensor(f"{i:x}", (2, 2, 2, 1), 0, 32 * i) for i in range(65_536)], bytes(32 << 16)),
    )
    yield "2 million strings", gguf([key("k", ARRAY, array(STRING, 1 << 21, bytes(8 << 21)))])
    yield "8 MB of four-byte characters", gguf([key("k", STRING, string("\U0001f9a6" * (1 << 21)))])
    yield "32 MB of header", gguf([key("k", ARRAY, array(U8, (32 << 20) - 64, bytes((32 << 20) - 64)))])
    yield "more than 32 MB of header", gguf([key("k", ARRAY, array(U8, 32 << 20, bytes(32 << 20)))])
    yield "16,384 nested arrays", gguf([key("k", ARRAY, array(9, 16_384, array(U8, 0) * 16_384))])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=200_000)
    parser.add_argument("--truncations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="repeat this mutation alone")
    parser.add_argument("--model", type=Path, help="truncate this file instead of a small one")
    options = parser.parse_args()
    sets = {"mutations": partial(mutations, options.mutations, options.seed, options.only)}
    if options.only is None:
        sets["truncations"] = partial(truncations, options.model, options.truncations, options.seed)
        sets["heaviest"] = heaviest
    results = {}
    for name, make in sets.items():
        results[name] = measured(make, opened, sound())
        print(name, *(f"  {field}: {value}" for field, value in results[name].items()), sep="\n")
    print(json.dumps({"seed": options.seed, **results}))
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
