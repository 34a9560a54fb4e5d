"""furet against llama.cpp, side by side in one run: prefill of 256 tokens and decode of 64.

    python benchmarks/peer_speed.py MODEL.gguf... --peer-python VENV/bin/python [--threads 1 2] [--repeat 7]

The peer is llama-cpp-python in a virtual environment of its own, compiled natively:
    CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary :all: llama-cpp-python

Each engine is loaded once per model and thread count, in its own process, and they take turns: first one,
then the other, as often as asked. Nothing is shared but the machine, and what changes during the run
changes for both. The engine that waits sleeps on its stdin; its processor time during the other's turn is
measured and must stay near zero. Both compute the same random tokens, each time different ones, so that no
prefix is found in a cache. What is timed is the model's evaluation alone, not sampling and not text. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

PREFILL, DECODE, BEFORE_DECODE = 256, 64, 16
CONTEXT = 512
SETTLE = 0.1  # seconds in which an engine's threads may go to sleep after their turn
BUSY = 0.05  # processor seconds per second that a waiting engine may use


def main() -> None:
    options = read_arguments()
    if options.worker:
        serve(ENGINES[options.worker], options.models[0], options.threads[0])
        return
    results = []
    for model in options.models:
        for threads in options.threads:
            results.append(compare(model, threads, options))
            print(line(results[-1]), flush=True)
    print(json.dumps({"benchmark": "peer_speed", "results": results}))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has llama-cpp-python")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--worker", choices=list(ENGINES), help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(model: str, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Medians of both engines for one model and thread count."""
    pythons = {"furet": sys.executable, "llama.cpp": options.peer_python}
    workers = {name: Worker(name, python, model, threads) for name, python in pythons.items()}
    seconds: dict[tuple[str, str], list[float]] = {(name, task): [] for name in workers for task in TASKS}
    busiest = 0.0
    for round_ in range(options.repeat + 1):  # the first round warms up
        for task in TASKS:
            for name, worker in workers.items():
                idle = next(other for other in workers.values() if other is not worker)
                before, began = idle.processor_seconds(), time.perf_counter()
                took = worker.ask(task, seed=round_)
                idle_share = (idle.processor_seconds() - before) / (time.perf_counter() - began)
                if round_:
                    seconds[name, task].append(took)
                    busiest = max(busiest, idle_share)
                time.sleep(SETTLE)
    for worker in workers.values():
        worker.stop()
    result: dict[str, Any] = {"model": Path(model).name, "threads": threads, "idle_share": round(busiest, 3)}
    for task, tokens in TASKS.items():
        speeds = {name: tokens / median(seconds[name, task]) for name in workers}
        result[task] = {name: round(speed, 2) for name, speed in speeds.items()}
        result[task]["ratio"] = round(speeds["furet"] / speeds["llama.cpp"], 3)
    if busiest > BUSY:
        print(f"warning: a waiting engine used {busiest:.0%} of a processor", file=sys.stderr)
    return result


def line(result: dict[str, Any]) -> str:
    """One line for people."""
    parts = [f"{result['model']:24} {result['threads']} threads"]
    for task in TASKS:
        speeds = result[task]
        furet, peer, ratio = speeds["furet"], speeds["llama.cpp"], speeds["ratio"]
        parts.append(f"{task} {furet:8.1f} tok/s, llama.cpp {peer:8.1f}, ratio {ratio:.2f}")
    return "   ".join(parts)


class Worker:
    """One engine in its own process, asked over pipes, one JSON line for each question."""

    def __init__(self, engine: str, python: str, model: str, threads: int) -> None:
        command = [python, __file__, model, "--threads", str(threads), "--worker", engine]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def ask(self, task: str, seed: int) -> float:
        """Seconds that a task took."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"task": task, "seed": seed}) + "\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def processor_seconds(self) -> float:
        """Processor time that all threads of the process have used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"a worker ended with code {self._process.wait()}")
        return dict(json.loads(answer))


def serve(engine: Any, model: str, threads: int) -> None:
    """The worker's side: load, say so, then do what the lines of stdin ask."""
    vocab, tasks = engine(model, threads)
    print(json.dumps({"ready": True}), flush=True)
    for request in map(json.loads, sys.stdin):
        draw = random.Random(f"{request['seed']} {request['task']}")
        tokens = [draw.randrange(100, vocab - 1000) for _ in range(PREFILL)]
        print(json.dumps({"seconds": tasks[request["task"]](tokens)}), flush=True)


def furet(model: str, threads: int) -> Any:
    """furet, by the timings that every answer carries."""
    from furet import load

    loaded = load(model, threads=threads, context=CONTEXT)

    def answer(tokens: list[int], count: int) -> Any:
        made = loaded.generate(tokens, max_tokens=count, temperature=0, ignore_eos=True).timings
        assert made.prefill_tokens == len(tokens) and made.decode_tokens == count - 1, made
        return made

    def prefill(tokens: list[int]) -> float:
        return float(answer(tokens, 1).prefill_seconds)

    def decode(tokens: list[int]) -> float:
        return float(answer(tokens[:BEFORE_DECODE], DECODE + 1).decode_seconds)

    return loaded.tokenizer.vocab_size, {"prefill": prefill, "decode": decode}


def llama_cpp(model: str, threads: int) -> Any:
    """llama.cpp, its evaluation called from Python once for the prompt, then once per token."""
    from llama_cpp import Llama

    settings = {"n_ctx": CONTEXT, "n_batch": CONTEXT, "n_threads": threads, "n_threads_batch": threads}
    loaded = Llama(model, verbose=False, **settings)

    def prefill(tokens: list[int]) -> float:
        loaded.reset()
        began = time.perf_counter()
        loaded.eval(tokens)
        return time.perf_counter() - began

    def decode(tokens: list[int]) -> float:
        loaded.reset()
        loaded.eval(tokens[:BEFORE_DECODE])
        began = time.perf_counter()
        for token in tokens[BEFORE_DECODE : BEFORE_DECODE + DECODE]:
            loaded.eval([token])
        return time.perf_counter() - began

    return loaded.n_vocab(), {"prefill": prefill, "decode": decode}


TASKS = {"prefill": PREFILL, "decode": DECODE}
ENGINES = {"furet": furet, "llama.cpp": llama_cpp}

if __name__ == "__main__":
    main()
