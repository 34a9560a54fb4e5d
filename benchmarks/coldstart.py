"""From starting the process to the first byte of the answer, beside llama.cpp; and the memory it took.

    python benchmarks/coldstart.py MODEL... --peer-python VENV/bin/python [--repeat 7]

`furet run MODEL PROMPT` and a llama-cpp-python script that does the same take turns; medians of the runs
after a first one that fills the page cache. Peak memory is the kernel's maximum resident set of the
process, mapped pages of the model file included; it is set against the file, and against the file with the keys
and values of the whole context. `furet --help` is timed too. A MODEL may be random weights, such as
shape:7b:q4_k_m; its tokenizer is small. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from models import HELP, model_file

PROMPT = "The capital of France is"
TOKENS = 8
CONTEXT = 4096
# As on a user's machine: Python keeps what it has compiled.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PEER = """
import sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=int(sys.argv[4]), verbose=False)
for piece in model(sys.argv[2], max_tokens=int(sys.argv[3]), temperature=0, stream=True):
    sys.stdout.write(piece["choices"][0]["text"])
    sys.stdout.flush()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=HELP)
    parser.add_argument(
        "--peer-python", help="interpreter with llama-cpp-python; without it furet runs alone"
    )
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    furet = [sys.executable, "-m", "furet"]
    help_seconds = median(once([*furet, "--help"])["first"] for _ in range(options.repeat + 1))
    print(f"furet --help: {help_seconds:.3f} s")
    results = []
    for model in options.models:
        with model_file(model) as path:
            commands = {"furet": [*furet, "run", str(path), PROMPT, "-n", str(TOKENS), "--temperature", "0"]}
            commands["furet"] += ["--context", str(CONTEXT)]
            if options.peer_python:
                commands["llama.cpp"] = [options.peer_python, "-c", PEER, str(path), PROMPT, str(TOKENS), str(CONTEXT)]
            sizes = {"file_bytes": path.stat().st_size, "cache_bytes": cache_bytes(path)}
            results.append({"model": path.name, **sizes, **measure(commands, options.repeat)})
        report(results[-1])
    print(json.dumps({"benchmark": "coldstart", "help_seconds": round(help_seconds, 4), "results": results}))


def measure(commands: dict[str, list[str]], repeat: int) -> dict[str, Any]:
    """Medians of the runs of each command, taking turns; the first round warms up."""
    rounds = [{name: once(command) for name, command in commands.items()} for _ in range(repeat + 1)][1:]
    return {
        name: {
            "first_token_seconds": round(median(each[name]["first"] for each in rounds), 4),
            "total_seconds": round(median(each[name]["total"] for each in rounds), 4),
            "peak_bytes": max(int(each[name]["peak"]) for each in rounds),
        }
        for name in commands
    }


def once(command: list[str]) -> dict[str, float]:
    """Run a command; seconds to its first byte and to its end, and its peak resident bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    assert process.stdout is not None
    os.read(process.stdout.fileno(), 1)
    first = time.perf_counter() - began
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return {"first": first, "total": time.perf_counter() - began, "peak": usage.ru_maxrss * 1024}


def cache_bytes(path: Path) -> int:
    """Keys and values of the context that both use."""
    from furet import plan

    return dict(plan(path, context=CONTEXT).rows)["KV cache"]


def report(result: dict[str, Any]) -> None:
    """Lines for people."""
    file_bytes, whole = result["file_bytes"], result["file_bytes"] + result["cache_bytes"]
    for name in ("furet", "llama.cpp"):
        if name in result:
            figures = result[name]
            peak = figures["peak_bytes"]
            print(
                f"{result['model']:24} {name:10} first token {figures['first_token_seconds']:.3f} s, "
                f"end {figures['total_seconds']:.3f} s, peak {peak / 1e6:.0f} MB "
                f"({(peak - file_bytes) / 1e6:+.0f} MB to the file, {(peak - whole) / 1e6:+.0f} MB to file + KV)"
            )


if __name__ == "__main__":
    main()
