"""`furet bench`: speed, and how near it comes to the limits of this machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

from furet.cli import options
from furet.cli.arguments import Option
from furet.cli.terminal import emit_json, note, table
from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.engine.answer import Timings

_PREFILL = (16, 64, 256)
_DECODE = 32
_PROBE_BYTES = 256 << 20
_PROBE_SECONDS = 0.5
_HEADER = ("task", "threads", "tokens/s", "reached", "machine", "share")


def bench(
    model: options.ModelArgument = "smollm2",
    threads: Annotated[
        list[int] | None, Option("-t", "--threads", help="measure with so many; may be repeated")
    ] = None,
    repeat: Annotated[int, Option("-r", "--repeat", help="take the median of so many runs; default 5")] = 5,
    json: options.Json = False,
) -> None:
    """Measure prefill and decode speed, and their share of this machine's memory bandwidth and int8 peak.

    Prefill computes 16, 64 and 256 random tokens at once, decode 32 one after the other. A first run of each
    warms up; the median of the others counts. The bandwidth is what the same threads reach when they only
    read memory, the peak what the kernels' int8 instructions reach without it. The last line is JSON.

    examples:
      furet bench
      furet bench model.gguf --threads 1 --threads 2
    """
    from furet.engine.plan import Settings
    from furet.engine.threads import default_threads

    if repeat < 1:
        raise BadRequest(f"repeat: got {repeat}, wanted at least 1")
    counts = [Settings(threads=count).threads for count in threads or [default_threads()]]
    path = options.model_file(model)
    work = _work(path)
    results: list[dict[str, Any]] = []
    for count in counts:
        note(f"measuring with --threads {count}")
        before, measured = _limits(count), list(_measure(path, count, repeat))
        # Other work on the machine can only lower what is found: take the better of two looks.
        bandwidth, peak = map(max, before, _limits(count))
        for task, tokens, seconds in measured:
            rates = _rates(task, tokens, seconds, work, (bandwidth, peak))
            results.append({"task": task, "threads": count, **rates})
    if not json:
        print(table([_row(result) for result in results], _HEADER, right="lrrrrr"))
    emit_json({"benchmark": "bench", "model": path.name, "results": results}, indent=None)


@dataclass(frozen=True)
class _Work:
    """Bytes a lone token reads; operations (a multiply and an add are two) of every token, and of the head.

    A prefill needs the head for its last token only.
    """

    bytes: int
    operations: int
    head: int


def _work(path: Path) -> _Work:
    """Every matrix is read once and used once for each token; of an untied embedding, one row alone.

    Whether it is tied or not, one matrix of the vocabulary remains: the head.
    """
    from furet.files.gguf import open_gguf

    with open_gguf(path) as model:
        tensors = dict(model.tensors)
    if "output.weight" in tensors:
        del tensors["token_embd.weight"]
    operations = {name: 2 * prod(tensor.shape) for name, tensor in tensors.items() if len(tensor.shape) > 1}
    head = operations.pop("output.weight", 0) or operations.pop("token_embd.weight", 0)
    return _Work(sum(t.nbytes for t in tensors.values()), sum(operations.values()), head)


def _measure(path: Path, threads: int, repeat: int) -> Iterator[tuple[str, int, float]]:
    """(task, tokens, median seconds) of each task."""
    from furet import load

    draw = random.Random(0)
    with load(path, threads=threads, context=max(_PREFILL) + _DECODE + 1) as model:

        def run(tokens: int, answer: int) -> Timings:
            # Random tokens, new ones every time: a prefix that is held already would not be computed.
            prompt = [draw.randrange(model.vocab) for _ in range(tokens)]
            return model.generate(prompt, max_tokens=answer, temperature=0, ignore_eos=True).timings

        for tokens in _PREFILL:
            times = [run(tokens, 1).prefill_seconds for _ in range(repeat + 1)]
            yield f"prefill {tokens}", tokens, median(times[1:])
        times = [run(_PREFILL[0], _DECODE + 1).decode_seconds for _ in range(repeat + 1)]
        yield f"decode {_DECODE}", _DECODE, median(times[1:])


def _limits(threads: int) -> tuple[float, float]:
    """Bytes and int8 operations per second that so many threads reach on this machine."""
    from furet import _core

    bandwidth = _core.measure_bandwidth(threads, _PROBE_BYTES, _PROBE_SECONDS)
    return bandwidth, _core.measure_int8_peak(threads, _PROBE_SECONDS)


def _rates(
    task: str, tokens: int, seconds: float, work: _Work, limits: tuple[float, float]
) -> dict[str, float]:
    """Speed, and its share of what binds it: bandwidth for decode, int8 operations for prefill."""
    bandwidth, peak = limits
    speed = tokens / seconds
    if task.startswith("decode"):
        reached = speed * work.bytes
        rates = {
            "bytes_per_second": reached,
            "machine_bytes_per_second": bandwidth,
            "bandwidth_share": reached / bandwidth,
        }
    else:
        reached = (tokens * work.operations + work.head) / seconds
        rates = {
            "operations_per_second": reached,
            "machine_operations_per_second": peak,
            "peak_share": reached / peak,
        }
    rates["tokens_per_second"] = speed
    return {name: round(rate, 4 if rate < 10 else 1) for name, rate in rates.items()}


def _row(result: dict[str, Any]) -> tuple[object, ...]:
    unit = "GB/s" if "bandwidth_share" in result else "Gop/s"
    name, share = ("bytes", "bandwidth") if unit == "GB/s" else ("operations", "peak")
    return (
        result["task"],
        result["threads"],
        f"{result['tokens_per_second']:.1f}",
        f"{result[f'{name}_per_second'] / 1e9:.1f} {unit}",
        f"{result[f'machine_{name}_per_second'] / 1e9:.1f} {unit}",
        f"{result[f'{share}_share']:.0%}",
    )
