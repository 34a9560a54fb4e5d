"""From times to what is quoted: tokens per second, the share of what binds them, and the ratio to a peer."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from furet.measure.compare import Comparison
from furet.measure.tasks import Decode, Prefill
from furet.measure.work import Work

Result = dict[str, Any]


def result(found: Comparison, work: Work, threads: int) -> Result:
    """The figures of a task, by the names they have in JSON.

    Decoding one token is bound by the bandwidth, a prompt by the int8 operations; several sequences at a time by
    whichever they come nearer to. A share is the median of what each run reached of what the machine gave around it.
    """
    task = found.task
    seconds = found.timings["furet"].seconds
    read, done = work.of(task)
    bandwidth, peak = (tuple(values) for values in zip(*found.limits, strict=True))
    runs = found.timings["furet"].runs
    shares = {"bandwidth_share": _share(read, runs, bandwidth), "peak_share": _share(done, runs, peak)}
    if isinstance(task, Prefill) or (task.sequences > 1 and shares["peak_share"] > shares["bandwidth_share"]):
        rates = {"operations_per_second": done / seconds, "machine_operations_per_second": median(peak)}
        share = "peak_share"
    else:
        rates = {"bytes_per_second": read / seconds, "machine_bytes_per_second": median(bandwidth)}
        share = "bandwidth_share"
    figures: Result = {"task": task.name, "threads": threads}
    rates |= {share: shares[share], "tokens_per_second": task.tokens / seconds}
    figures |= {name: _rounded(rate) for name, rate in rates.items()}
    for name, timing in found.timings.items():
        if name != "furet":
            figures["peer_tokens_per_second"] = _rounded(task.tokens / timing.seconds)
            figures["peer_variant"] = timing.variant
            figures["ratio"] = _rounded(timing.seconds / seconds)
            figures["idle_share"] = round(found.idle_share, 3)
    return figures


def _share(count: float, runs: Sequence[float], limits: Sequence[float]) -> float:
    return median(count / (took * limit) for took, limit in zip(runs, limits, strict=True))


def with_ratios_to_one(results: Sequence[Result], found: Sequence[Comparison]) -> list[Result]:
    """Results of decoding together also say how many times the tokens of one sequence they make."""
    alone = {
        (each.task.depth, figures["threads"]): figures["tokens_per_second"]
        for figures, each in zip(results, found, strict=True)
        if isinstance(each.task, Decode) and each.task.sequences == 1
    }
    made = []
    for figures, each in zip(results, found, strict=True):
        if isinstance(each.task, Decode) and each.task.sequences > 1:
            one = alone[each.task.depth, figures["threads"]]
            figures = {**figures, "ratio_to_one": _rounded(figures["tokens_per_second"] / one)}
        made.append(figures)
    return made


def _rounded(value: float) -> float:
    return round(value, 4 if value < 10 else 1)
