"""Engines in turns: who is asked what, and what is made of their answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from furet.measure import compare as compare_file
from furet.measure.compare import compare
from furet.measure.limits import Limits
from furet.measure.results import result
from furet.measure.tasks import Decode, Job, Prefill, Task, job, tasks
from furet.measure.work import Work


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_file, "SETTLE", 0.0)


@dataclass(eq=False)
class Fake:
    """An engine that answers with the seconds it was given, one list for each variant."""

    name: str
    answers: dict[str, list[float]]
    asked: list[tuple[str, str, Job]]
    processor: list[float] = field(default_factory=lambda: [0.0])

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.answers)

    def seconds(self, task: Task, job: Job, variant: str) -> float:
        self.asked.append((self.name, variant, job))
        return self.answers[variant].pop(0)

    def processor_seconds(self) -> float:
        return self.processor.pop(0) if len(self.processor) > 1 else self.processor[0]


def test_engines_take_turns_at_the_same_tokens() -> None:
    asked: list[tuple[str, str, Job]] = []
    engines = [
        Fake("furet", {"": [9.0, 1.0, 3.0, 2.0]}, asked),
        Fake("llama.cpp", {"a": [8.0, 5.0, 4.0, 6.0], "b": [9.0, 7.0, 3.0, 4.5], "c": [20.0]}, asked),
    ]
    looks = iter([Limits(1, 9), Limits(4, 2), Limits(3, 3), Limits(2, 1), Limits(5, 6), Limits(6, 5)])
    [found] = compare(engines, [Prefill(4)], 100, 3, lambda: next(looks))
    names = [name + variant for name, variant, _ in asked]
    assert names == ["furet", "llama.cppa", "llama.cppb", "llama.cppc"] + ["furet", "llama.cppa", "llama.cppb"] * 3
    assert [each for _, _, each in asked[4:7]] == [job(Prefill(4), 100, 0)] * 3
    assert found.timings["furet"].seconds == 2.0
    assert (found.timings["llama.cpp"].seconds, found.timings["llama.cpp"].variant) == (4.5, "b")
    assert found.limits == (Limits(4, 9), Limits(3, 3), Limits(6, 6)) and found.idle_share == 0


def test_a_waiting_engine_that_burns_is_noticed() -> None:
    asked: list[tuple[str, str, Job]] = []
    engines = [
        Fake("furet", {"": [1.0, 1.0]}, asked, [0.0, 50.0]),
        Fake("llama.cpp", {"": [1.0, 1.0]}, asked),
    ]
    [found] = compare(engines, [Prefill(4)], 100, 1, lambda: Limits(1, 1))
    assert found.idle_share > 1


def test_prompts_are_new_in_every_run_and_what_a_decode_stands_behind_is_not() -> None:
    first, second = (job(Prefill(8), 1000, seed) for seed in (0, 1))
    assert first.prompts != second.prompts and len(first.prompts[0]) == 8 and not first.steps
    first, second = (job(Decode(8, 3, 5), 1000, seed) for seed in (0, 1))
    assert first.prompts == second.prompts and first.steps != second.steps
    assert [len(first.prompts), len(first.steps), len(first.steps[0])] == [3, 5, 3]


def test_decoding_together_brings_decoding_alone_with_it() -> None:
    assert tasks([4], [16, 99], [8]) == [Prefill(4), Decode(16), Decode(16, 8), Decode(99), Decode(99, 8)]


def test_figures_of_a_task() -> None:
    """Two seconds for 4 tokens of 1,000 operations in a machine of 10,000 bytes and 8,000 operations a second."""
    engines = [Fake("furet", {"": [2.0] * 9}, []), Fake("llama.cpp", {"": [5.0] * 9}, [])]
    found = list(compare(engines, [Prefill(4), Decode(0, 1, 4), Decode(0, 2, 4)], 9, 1, lambda: Limits(10000, 8000)))
    prefill, alone, together = (result(each, Work(3000, 1000, 0), 1) for each in found)
    assert prefill["operations_per_second"] == 2000 and prefill["peak_share"] == 0.25
    assert prefill["tokens_per_second"] == 2 and prefill["peer_tokens_per_second"] == 0.8 and prefill["ratio"] == 2.5
    assert alone["bytes_per_second"] == 6000 and alone["bandwidth_share"] == 0.6
    assert together["tokens_per_second"] == 4 and together["bandwidth_share"] == 0.6


def test_a_run_is_held_against_what_the_machine_gave_around_it() -> None:
    """Three runs of 3,000 bytes each, half of the machine's speed in each of three very different minutes."""
    looks = iter([Limits(6000, 1), Limits(5000, 1), Limits(500, 1), Limits(600, 1), Limits(50, 1), Limits(60, 1)])
    engine = Fake("furet", {"": [9.0, 1.0, 10.0, 100.0]}, [])
    [found] = compare([engine], [Decode(0, 1, 1)], 9, 3, lambda: next(looks))
    figures = result(found, Work(3000, 0, 0), 1)
    assert figures["bandwidth_share"] == 0.5 and figures["machine_bytes_per_second"] == 600
