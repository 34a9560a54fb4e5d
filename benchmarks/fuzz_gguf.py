"""Damage GGUF headers by the hundred thousand and count what is not a typed error or a valid model.

    python benchmarks/fuzz_gguf.py                   200,000 mutations, 500 truncations, the heaviest files
    python benchmarks/fuzz_gguf.py --mutations 5000 --seed 7 --model FILE

Every case is written to a file and opened as any model is; a valid one has all its values and tensors read.
Counted are crashes (the child process dies) and exceptions without a type of ours; the longest time (of the
processor, as nothing here waits) and the largest allocation are compared with 1 s and 64 MB; growth_bytes is
what the process grew by over all cases, building them included. Each mutation has its own seed: --only N
repeats one. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "attacks"))

from gguf_bytes import ARRAY, STRING, U8, array, gguf, key, number_fields, sound, string, tensor
from gguf_outcome import outcome
from mutate import mutated

SECONDS = 1.0
BYTES = 64_000_000

Case = tuple[str, bytes]


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


def run(cases: Iterator[Case], traced: bool, report: dict[str, object], current: object) -> None:
    """Open every case and put what came of it into `report`; `current` says which one it is at."""
    found: Counter[str] = Counter()
    failures: list[str] = []
    slowest, largest = (0.0, ""), (0, "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.gguf"
        path.write_bytes(sound())
        outcome(path)  # imports what is needed
        resident = peak_resident()
        if traced:
            tracemalloc.start()
        for name, data in cases:
            current.value = name.encode()[:80]  # type: ignore[attr-defined]
            path.write_bytes(data)
            read = len(data) < 1 << 20  # of a heavy file only the opening is ours; decoding is asked for
            del data
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            begin = time.process_time()
            try:
                found[outcome(path, read=read)] += 1
            except Exception:
                found["untyped"] += 1
                failures.append(f"{name}: {traceback.format_exc(limit=-2)}")
            slowest = max(slowest, (time.process_time() - begin, name))
            largest = max(largest, (tracemalloc.get_traced_memory()[1] - held, name))
    report.update(outcomes=dict(found), failures=failures[:5], untyped=found["untyped"])
    if traced:
        report.update(largest_bytes=largest[0], largest=largest[1])
    else:
        report.update(slowest_seconds=round(slowest[0], 4), slowest=slowest[1])
        report["growth_bytes"] = peak_resident() - resident


def peak_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_child(cases: Iterator[Case], traced: bool) -> dict[str, object]:
    """Run in a process of its own, so that a crash is a count and not the end."""
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        report, current = manager.dict(), context.Array("c", 80)
        child = context.Process(target=run, args=(cases, traced, report, current))
        child.start()
        child.join()
        result = {**dict(report), "crashes": int(child.exitcode != 0)}
        if child.exitcode:
            result["failures"] = [f"exit {child.exitcode} in {current.value.decode()}"]
    return result


def measured(make: Callable[[], Iterator[Case]]) -> dict[str, object]:
    """The cases once for time and once for memory, because tracing makes them several times slower."""
    timed, traced = in_child(make(), traced=False), in_child(make(), traced=True)
    result = {**traced, **timed, "crashes": timed["crashes"] + traced["crashes"]}
    clean = not result["crashes"] and not timed["untyped"] and not traced["untyped"]
    result["ok"] = clean and result["slowest_seconds"] < SECONDS and result["largest_bytes"] < BYTES
    return result


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
        results[name] = measured(make)
        print(name, *(f"  {field}: {value}" for field, value in results[name].items()), sep="\n")
    print(json.dumps({"seed": options.seed, **results}))
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
