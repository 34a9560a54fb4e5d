"""furet as an engine that is timed: the sessions of a loaded model, without sampling and without text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from furet.engine.load import open_model
from furet.engine.model import Model
from furet.engine.plan import CONTEXT_STEP
from furet.engine.session import Session, extend_together
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
        self._model = Model(
            open_model(path, threads=threads, context=context, sequences=sequences, repack=repack)
        )
        self.settings = {"threads": threads, "context": context}
        self.vocab = self._model.vocab

    @property
    def cached_bytes(self) -> int:
        """Bytes of keys and values that a token leaves."""
        plan = self._model.memory
        room = -(-plan.context // CONTEXT_STEP) * CONTEXT_STEP
        return dict(plan.rows)["KV cache"] // (room * plan.sequences)

    def seconds(self, task: Task, job: Job, variant: str = "") -> float:
        """How long a run took."""
        leases = [self._model.leases.take(prompt) for prompt in job.prompts]
        try:
            sessions = [lease.session for lease in leases if lease is not None and lease.session is not None]
            return self._prefill(sessions[0], job) if isinstance(task, Prefill) else self._decode(sessions, job)
        finally:
            for lease in leases:
                if lease is not None:
                    self._model.leases.give_back(lease)

    def processor_seconds(self) -> float:
        """Processor time that all threads of the engine have used."""
        return process_time()

    def close(self) -> None:
        self._model.close()

    def _prefill(self, session: Session, job: Job) -> float:
        row = np.empty((1, self.vocab), np.float32)
        session.truncate(0)
        began = perf_counter()
        session.fill(job.prompts[0], row)
        return perf_counter() - began

    def _decode(self, sessions: list[Session], job: Job) -> float:
        rows = np.empty((len(sessions), self.vocab), np.float32)
        for session, prompt in zip(sessions, job.prompts, strict=True):
            session.fill(prompt, rows[:1])
        began = perf_counter()
        for tokens in job.steps:
            extend_together(sessions, tokens, rows)
        return perf_counter() - began
