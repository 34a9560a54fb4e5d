"""A whole benchmark of one model: every thread count, every task, and a peer in turns where one is asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from furet import _core
from furet.engine.plan import Settings
from furet.engine.steps import LOGITS_ROWS
from furet.engine.threads import default_threads
from furet.errors import BadRequest
from furet.measure.compare import Comparison, Engine, compare
from furet.measure.limits import measure_limits
from furet.measure.native import Furet
from furet.measure.peer import LlamaCpp, require_peer
from furet.measure.results import Result, result, with_ratios_to_one
from furet.measure.tasks import DEPTH, Task, tasks
from furet.measure.work import Work, work_of

Say = Callable[[str], None]

PREFILL = (16, 64, 256)
LONGEST = 1 << 20  # tokens of a prompt
BUSY = 0.05  # processors that a waiting engine may use without being named


@dataclass(frozen=True)
class Wanted:
    """What is to be measured; all checked.

    peer_python     an interpreter that has llama-cpp-python; None: furet alone
    repack          whether furet copies the weights into the order in which they are read
    """

    threads: tuple[int, ...]
    repeat: int
    tasks: tuple[Task, ...]
    peer_python: str | None = None
    repack: bool = True


@dataclass(frozen=True)
class Found:
    """What came out. `peer` says how the peer was set up."""

    model: str
    cpu: str
    isa: str
    results: list[Result]
    peer: dict[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """What the last line of the command says."""
        peer = {"peer": {"name": LlamaCpp.name, **self.peer}} if self.peer else {}
        machine = {"cpu": self.cpu, "isa": self.isa}
        return {"benchmark": "bench", "model": self.model, **machine, **peer, "results": self.results}


def wanted(
    *,
    threads: Sequence[int] = (),
    repeat: int = 5,
    prefill: Sequence[int] = PREFILL,
    depths: Sequence[int] = (DEPTH,),
    sequences: Sequence[int] = (),
    peer: str | None = None,
    peer_python: str | None = None,
    repack: bool = True,
) -> Wanted:
    """Check what was asked for, and look for the peer; raises BadRequest, and NotFound without one."""
    if repeat < 1:
        raise BadRequest(f"repeat: got {repeat}, wanted at least 1")
    for name, values, most in (
        ("prefill", prefill, LONGEST),
        ("depth", depths, LONGEST),
        ("sequences", sequences, LOGITS_ROWS),
    ):
        for value in values:
            if not 1 <= value <= most:
                raise BadRequest(f"{name}: got {value}, wanted 1 to {most}")
    counts = tuple(Settings(threads=count).threads for count in threads or [default_threads()])
    python = None
    if peer is not None:
        if peer != LlamaCpp.name:
            raise BadRequest(f"there is no peer {peer!r}", f"choose {LlamaCpp.name}")
        python = peer_python or sys.executable
        require_peer(python)
    elif peer_python is not None:
        raise BadRequest("--peer-python: wanted with --peer alone")
    return Wanted(counts, repeat, tuple(tasks(prefill, depths, sequences)), python, repack)


def measure(path: Path, wanted: Wanted, say: Say = lambda text: None) -> Found:
    """Measure a model. `say` is told what is going on, for people."""
    results: list[Result] = []
    setup: dict[str, Any] = {}
    for threads in wanted.threads:
        with contextlib.ExitStack() as stack:
            furet = stack.enter_context(contextlib.closing(Furet(path, threads, wanted.tasks, wanted.repack)))
            peers = []
            if wanted.peer_python:
                peer = LlamaCpp(path, threads, wanted.tasks, wanted.peer_python)
                peers.append(stack.enter_context(contextlib.closing(peer)))
                setup = dict(peer.settings)
            say(f"measuring with --threads {threads}")
            work = work_of(path, furet.cached_bytes)
            results += _measured(furet, peers, wanted, work, threads, say)
    cpu = _core.cpu()
    return Found(path.name, str(cpu["brand"]), str(cpu["isa"]), results, setup)


def _measured(
    furet: Furet, peers: Sequence[Engine], wanted: Wanted, work: Work, threads: int, say: Say
) -> list[Result]:
    """The results with one number of threads."""
    found: list[Comparison] = []
    results: list[Result] = []
    looks = partial(measure_limits, threads)
    for each in compare([furet, *peers], wanted.tasks, furet.vocab, wanted.repeat, looks):
        found.append(each)
        results.append(result(each, work, threads))
        say(_line(results[-1]))
        if each.idle_share > BUSY:
            say(f"warning: a waiting engine used {each.idle_share:.0%} of a processor")
    return with_ratios_to_one(results, found)


def _line(figures: Result) -> str:
    peer = ""
    if "ratio" in figures:
        speed, variant = figures["peer_tokens_per_second"], figures["peer_variant"]
        peer = f"; llama.cpp {speed:.1f} with {variant}; ratio {figures['ratio']:.2f}"
    return f"{figures['task']}: {figures['tokens_per_second']:.1f} tokens/s{peer}"
