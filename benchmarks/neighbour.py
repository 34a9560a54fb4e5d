"""What is left of the decode speed when another process spins on one of the cores, for furet and for llama.cpp.

    python benchmarks/neighbour.py MODEL... [--peer-python VENV/bin/python] [--threads 2] [--repeat 5]

A process of this script's own, bound to the last core that is ours to use, runs an endless loop; everything else is
left to the system. Engines take turns, and so do the two conditions: alone, beside, alone, beside. Medians, and the
share kept: the speed beside the neighbour by the speed alone. With as many threads as cores a fair scheduler leaves
(cores - 1/2) / cores; what the neighbour got of its core is printed too. Linux. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

from models import HELP, model_file

from furet.measure.native import Furet
from furet.measure.peer import LlamaCpp, require_peer
from furet.measure.tasks import Decode, job

TASK = Decode()
SETTLE = 0.1  # seconds until a neighbour is at work, and until an engine's threads sleep
CONDITIONS = ("alone", "beside")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help=HELP)
    parser.add_argument("--peer-python", help="interpreter with llama-cpp-python; without it furet runs alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    if options.peer_python:
        require_peer(options.peer_python)
    results = []
    for model in options.models:
        with model_file(model) as path:
            results.append({"model": path.name, **measure(path, options)})
        for line in lines(results[-1]):
            print(line, flush=True)
    print(json.dumps({"benchmark": "neighbour", "threads": options.threads, "results": results}))


def measure(model: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Median tokens per second of each engine, alone and beside the neighbour."""
    core = max(os.sched_getaffinity(0))
    with ExitStack() as stack:
        engines = [stack.enter_context(closing(Furet(model, options.threads, [TASK])))]
        vocab = engines[0].vocab
        if options.peer_python:
            peer = LlamaCpp(model, options.threads, [TASK], options.peer_python)
            engines.append(stack.enter_context(closing(peer)))
        seconds: dict[tuple[str, str], list[float]] = {(e.name, c): [] for e in engines for c in CONDITIONS}
        shares: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for round_ in range(-1, options.repeat):  # the first warms up
            for condition in CONDITIONS:
                for engine in engines:
                    with neighbour(core) if condition == "beside" else nullcontext(lambda: 0.0) as used:
                        sleep(SETTLE)
                        before = used()
                        took = engine.seconds(TASK, job(TASK, vocab, round_), engine.variants[-1])
                        share = (used() - before) / took
                    if round_ >= 0:
                        seconds[engine.name, condition].append(took)
                    if round_ >= 0 and condition == "beside":
                        shares[engine.name].append(share)
    speeds = {name: TASK.steps / median(times) for name, times in seconds.items()}
    return {
        engine.name: {
            **{condition: round(speeds[engine.name, condition], 2) for condition in CONDITIONS},
            "kept": round(speeds[engine.name, "beside"] / speeds[engine.name, "alone"], 3),
            "neighbour": round(median(shares[engine.name]), 3),
        }
        for engine in engines
    }


@contextmanager
def neighbour(core: int) -> Iterator[Callable[[], float]]:
    """A process that does nothing but occupy a core; gives what tells its processor seconds."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(process.pid, {core})
        yield partial(processor_seconds, process.pid)
    finally:
        process.kill()
        process.wait()


def processor_seconds(pid: int) -> float:
    """From the scheduler's own account, in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Lines for people."""
    for name in ("furet", "llama.cpp"):
        if name in result:
            speeds = result[name]
            yield (
                f"{result['model']:24} {name:10} decode alone {speeds['alone']:7.1f} tok/s, "
                f"beside a neighbour {speeds['beside']:7.1f}, kept {speeds['kept']:.0%}; "
                f"that had {speeds['neighbour']:.0%} of its core"
            )


if __name__ == "__main__":
    main()
