"""What the server does, in numbers, as Prometheus reads them; counted around the models, so for every API alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from time import monotonic
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import Scope

import furet
from furet.chat.events import Began, CallArguments, CallBegan, Ended, Text
from furet.errors import FuretError, WorkerDied
from furet.serve.admission import METHODS
from furet.serve.errors import status_of
from furet.serve.jobs import AnswerChat, Continue, Job, Reply

if TYPE_CHECKING:
    from furet.serve.models import Models

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds
_NEXT = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)


class Metrics:
    """The figures of one server."""

    def __init__(self, models: Models) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("furet_requests", "Requests", ["route", "method", "status"], registry=registry)
        self.waiting = Gauge("furet_answers_waiting", "Answers whose prompt is not read yet", registry=registry)
        self.running = Gauge("furet_answers_running", "Answers being made", registry=registry)
        self.ended = Counter("furet_answers", "Answers by how they ended", ["reason"], registry=registry)
        self.prompt = Counter("furet_prompt_tokens", "Tokens of prompts", registry=registry)
        self.cached = Counter("furet_cached_tokens", "Of these, found in the cache", registry=registry)
        self.answer = Counter("furet_answer_tokens", "Tokens of answers", registry=registry)
        self.deaths = Counter("furet_answers_lost", "Answers lost with a model's process", registry=registry)
        self.first = Histogram(
            "furet_time_to_first_token_seconds", "Until the first token", buckets=_FIRST, registry=registry
        )
        self.next = Histogram("furet_token_seconds", "From token to token", buckets=_NEXT, registry=registry)
        info = Gauge("furet_info", "What runs", ["version"], registry=registry)
        info.labels(furet.__version__).set(1)
        registry.register(_Loaded(models))

    def seen(self, scope: Scope, status: int) -> None:
        """Count a request, by its route: anybody can make up a path, and a method."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.requests.labels(route, method, str(status)).inc()

    def text(self) -> bytes:
        """All figures."""
        return generate_latest(self.registry)


class _Loaded:
    """Figures of the models in memory, asked for when they are wanted."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._pids: dict[tuple[str, float], int] = {}
        self._restarts = 0  # seen: a process that was replaced twice between two looks counts once

    def collect(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily("furet_model_memory_bytes", "Planned for a model in memory", labels=["model"])
        pinned = GaugeMetricFamily("furet_model_pinned", "Whether a model stays in memory", labels=["model"])
        restarts = CounterMetricFamily("furet_worker_restarts", "Processes of models that were started again")
        loaded = self._models.loaded()
        pids = {(model.name, model.since): model.pid for model in loaded}
        now = {key: pid or self._pids.get(key, 0) for key, pid in pids.items()}  # 0 while it is being started
        self._restarts += sum(self._pids.get(key) not in (None, 0, pid) for key, pid in now.items())
        self._pids = now
        restarts.add_metric([], self._restarts)
        for name in dict.fromkeys(model.name for model in loaded):  # one may come while it goes
            same = [model for model in loaded if model.name == name]
            memory.add_metric([name], sum(model.bytes for model in same))
            pinned.add_metric([name], float(any(model.pinned for model in same)))
        yield memory
        yield pinned
        yield restarts


class Metered:
    """Models whose answers are counted; everything else is theirs."""

    def __init__(self, models: Models, metrics: Metrics) -> None:
        self._models = models
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)

    async def run(self, model: str, job: Job) -> AsyncGenerator[Reply, None]:
        """As `Models.run`."""
        replies = self._models.run(model, job)
        async with aclosing(replies):
            if isinstance(job, AnswerChat | Continue):
                replies = _watched(replies, self._metrics)
            async with aclosing(replies):
                async for reply in replies:
                    yield reply


async def _watched(replies: AsyncGenerator[Reply, None], metrics: Metrics) -> AsyncGenerator[Reply, None]:
    """The events of an answer, counted on the way."""
    started = last = monotonic()
    stage, reason, tokens = metrics.waiting, "left", 0
    stage.inc()
    try:
        async for reply in replies:
            if isinstance(reply, Began):
                stage.dec()
                stage = metrics.running
                stage.inc()
                metrics.prompt.inc(reply.prompt_tokens)
                metrics.cached.inc(reply.cached_tokens)
            elif isinstance(reply, Text | CallBegan | CallArguments):
                now = monotonic()
                (metrics.next if tokens else metrics.first).observe(now - (last if tokens else started))
                last, tokens = now, tokens + 1
            elif isinstance(reply, Ended):
                reason = reply.reason
                metrics.answer.inc(reply.answer_tokens)
            yield reply
    except FuretError as error:
        reason = status_of(error)[1]
        metrics.deaths.inc(isinstance(error, WorkerDied))
        raise
    finally:
        stage.dec()
        metrics.ended.labels(reason).inc()
