"""Engines that take turns at the same tasks: what changes on the machine during the run changes for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep
from typing import Protocol

from furet.measure.limits import Limits
from furet.measure.tasks import Job, Task, job

SETTLE = 0.05  # seconds in which an engine's threads may go to sleep after their turn
HOPELESS = 1.3  # a variant so many times as slow as the best of its engine is not asked again


class Engine(Protocol):
    """What is timed. `variants` are ways to do the same, of which the fastest counts."""

    name: str
    variants: tuple[str, ...]

    def seconds(self, task: Task, job: Job, variant: str) -> float:
        """How long a run took."""

    def processor_seconds(self) -> float:
        """Processor time that all threads of the engine have used."""


@dataclass(frozen=True)
class Timing:
    """An engine's runs in their order, the median of them, and the variant that it was reached with."""

    seconds: float
    variant: str
    runs: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """What came out for a task.

    timings     by name of the engine
    limits      what the machine gave around each run of the first engine, its runs in their order
    idle_share  processors that a waiting engine used at most, which should be none
    """

    task: Task
    timings: dict[str, Timing]
    limits: tuple[Limits, ...]
    idle_share: float


def compare(
    engines: Sequence[Engine], tasks: Sequence[Task], vocab: int, repeat: int, probe: Callable[[], Limits]
) -> Iterator[Comparison]:
    """Each task by each engine, `repeat` times in turns after a round that warms up.

    `probe` looks at the machine right before and right after each run of the first engine, which has one variant, and
    the higher of the two is that run's roof: a machine that others use gives more in one minute than in the next.
    """
    for task in tasks:
        runners = [(engine, variant) for engine in engines for variant in engine.variants]
        first = {runner: runner[0].seconds(task, job(task, vocab, -1), runner[1]) for runner in runners}
        runners = [runner for runner in runners if first[runner] <= HOPELESS * _best(first, runner[0])]
        seconds: dict[tuple[Engine, str], list[float]] = {runner: [] for runner in runners}
        limits: list[Limits] = []
        busiest = 0.0
        for round_ in range(repeat):
            drawn = job(task, vocab, round_)
            for engine, variant in runners:
                looks = [probe()] if engine is engines[0] else []
                sleep(SETTLE)
                waiting = [other for other in engines if other is not engine]
                before, began = [other.processor_seconds() for other in waiting], perf_counter()
                seconds[engine, variant].append(engine.seconds(task, drawn, variant))
                took = perf_counter() - began
                used = [other.processor_seconds() - had for other, had in zip(waiting, before, strict=True)]
                busiest = max([busiest, *(each / took for each in used)])
                limits += [look.better(probe()) for look in looks]
        medians = {runner: median(times) for runner, times in seconds.items()}
        timings = {}
        for engine in engines:
            variant = min((v for e, v in runners if e is engine), key=lambda v: medians[engine, v])
            timings[engine.name] = Timing(medians[engine, variant], variant, tuple(seconds[engine, variant]))
        yield Comparison(task, timings, tuple(limits), busiest)


def _best(seconds: dict[tuple[Engine, str], float], engine: Engine) -> float:
    return min(took for (each, _), took in seconds.items() if each is engine)
