"""furet as an engine that is timed: steps of a loaded model, without sampling and without text."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from furet.engine.backend import Backend, Cache, Run
from furet.engine.load import open_model
from furet.engine.plan import CONTEXT_STEP
from furet.measure.tasks import Job, Prefill, Task


class Furet:
    """A loaded model; closing it ends its use.

    settings    what it was told, for people
    """

    name = "furet"
    variants: tuple[str, ...] = ("",)

    def __init__(self, path: Path, threads: int, tasks: Sequence[Task], repack: bool = True) -> None:
        context = max(task.context for task in tasks)
        sequences = max(task.sequences for task in tasks)
        loaded = open_model(path, threads=threads, context=context, sequences=sequences, repack=repack)
        self._file, self._plan, self._backend = loaded.file, loaded.plan, loaded.backend
        self._backend.settle(inf)
        self._caches = [self._backend.new_cache(context) for _ in range(sequences)]
        self.settings = {"threads": threads, "context": context}
        self.vocab = self._backend.vocab

    @property
    def cached_bytes(self) -> int:
        """Bytes of keys and values that a token leaves."""
        room = -(-self._plan.context // CONTEXT_STEP) * CONTEXT_STEP
        return dict(self._plan.rows)["KV cache"] // (room * self._plan.sequences)

    def seconds(self, task: Task, job: Job, variant: str = "") -> float:
        """How long a run took."""
        return self._prefill(job) if isinstance(task, Prefill) else self._decode(job)

    def processor_seconds(self) -> float:
        """Processor time that all threads of the engine have used."""
        return process_time()

    def close(self) -> None:
        self._file.close()

    def _prefill(self, job: Job) -> float:
        cache, row = self._caches[0], np.empty((1, self.vocab), np.float32)
        began = perf_counter()
        read_prompt(self._backend, cache, job.prompts[0], row)
        return perf_counter() - began

    def _decode(self, job: Job) -> float:
        rows = np.empty((len(job.prompts), self.vocab), np.float32)
        caches = self._caches[: len(job.prompts)]
        for cache, prompt in zip(caches, job.prompts, strict=True):
            read_prompt(self._backend, cache, prompt, rows[:1])
        began = perf_counter()
        for tokens in job.steps:
            self._backend.step([Run([token], cache) for token, cache in zip(tokens, caches, strict=True)], rows)
        return perf_counter() - began


def read_prompt(backend: Backend, cache: Cache, tokens: Sequence[int], out: NDArray[np.float32]) -> None:
    """Make these the tokens that a cache holds, in steps; logits of the last into out. [1, V]"""
    cache.truncate(0)
    for at in range(0, len(tokens), backend.max_tokens):
        part = tokens[at : at + backend.max_tokens]
        rows = int(at + len(part) == len(tokens))
        backend.step([Run(part, cache, rows)], out[:rows])
