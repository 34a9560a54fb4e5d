"""Open damaged files by the hundred thousand in a child process, and count what is not as it should be.

Counted are crashes (the child dies) and exceptions without a type of ours. The longest time (of the processor, as
nothing here waits) and the largest allocation are compared with 1 s and 64 MB; `growth_bytes` is what the process
grew by over all cases, building them included.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

SECONDS = 1.0
BYTES = 64_000_000

Case = tuple[str, bytes]
Outcome = Callable[[Path], str]  # 'valid' or the name of an error of ours; anything else is raised


def run(
    cases: Iterator[Case], outcome: Outcome, first: bytes, traced: bool, report: dict[str, object], current: object
) -> None:
    """Open every case and put what came of it into `report`; `current` says which one it is at."""
    found: Counter[str] = Counter()
    failures: list[str] = []
    slowest, largest = (0.0, ""), (0, "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.file"
        path.write_bytes(first)
        outcome(path)  # imports what is needed
        resident = peak_resident()
        if traced:
            tracemalloc.start()
        for name, data in cases:
            current.value = name.encode()[:80]  # type: ignore[attr-defined]
            path.unlink()  # some file systems put a file on the disk at once when it is written over
            path.write_bytes(data)
            del data
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            begin = time.process_time()
            try:
                found[outcome(path)] += 1
            except Exception:
                found["untyped"] += 1
                failures.append(f"{name}: {traceback.format_exc(limit=-2)}")
            slowest = max(slowest, (time.process_time() - begin, name))
            largest = max(largest, (tracemalloc.get_traced_memory()[1] - held, name))
    report.update(outcomes=dict(found), failures=failures[:5], untyped=found["untyped"])
    if traced:
        report.update(largest_bytes=largest[0], largest=largest[1], traced=sum(found.values()))
    else:
        report.update(slowest_seconds=round(slowest[0], 4), slowest=slowest[1])
        report["growth_bytes"] = peak_resident() - resident


def peak_resident() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_child(cases: Iterator[Case], outcome: Outcome, first: bytes, traced: bool) -> dict[str, object]:
    """Run in a process of its own, so that a crash is a count and not the end."""
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        report, current = manager.dict(), context.Array("c", 80)
        child = context.Process(target=run, args=(cases, outcome, first, traced, report, current))
        child.start()
        child.join()
        result = {**dict(report), "crashes": int(child.exitcode != 0)}
        if child.exitcode:
            result["failures"] = [f"exit {child.exitcode} in {current.value.decode()}"]
    return result


def measured(
    make: Callable[[], Iterator[Case]], outcome: Outcome, first: bytes, trace_every: int = 1
) -> dict[str, object]:
    """The cases once for time and once (every `trace_every`th) for memory, as tracing makes them much slower.

    first   a sound file
    """
    timed = in_child(make(), outcome, first, traced=False)
    traced = in_child(islice(make(), 0, None, trace_every), outcome, first, traced=True)
    result = {**traced, **timed, "crashes": timed["crashes"] + traced["crashes"]}  # type: ignore[operator]
    clean = not result["crashes"] and not timed["untyped"] and not traced["untyped"]
    result["ok"] = clean and result["slowest_seconds"] < SECONDS and result["largest_bytes"] < BYTES  # type: ignore[operator]
    return result
