"""What is timed: a prompt computed as a whole, or tokens computed one after another behind one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

DECODE = 32  # tokens that a decode is timed over
DEPTH = 16  # tokens of context before them, unless asked for


@dataclass(frozen=True)
class Prefill:
    """A prompt of so many tokens, computed from nothing; its last token gives logits."""

    tokens: int

    @property
    def name(self) -> str:
        return f"prefill {self.tokens}"

    @property
    def context(self) -> int:
        """Tokens that a sequence holds in the end."""
        return self.tokens

    @property
    def sequences(self) -> int:
        return 1


@dataclass(frozen=True)
class Decode:
    """`steps` steps of one token for each of several sequences, behind `depth` tokens that are there already."""

    depth: int = DEPTH
    sequences: int = 1
    steps: int = DECODE

    @property
    def name(self) -> str:
        together = f" x {self.sequences}" if self.sequences > 1 else ""
        behind = f" after {self.depth}" if self.depth != DEPTH else ""
        return f"decode {self.steps}{together}{behind}"

    @property
    def tokens(self) -> int:
        return self.steps * self.sequences

    @property
    def context(self) -> int:
        return self.depth + self.steps


Task = Prefill | Decode


@dataclass(frozen=True)
class Job:
    """The tokens of one run of a task, the same for every engine.

    prompts     of each sequence; for a prefill the one that is timed
    steps       the tokens of each step, one for each sequence
    """

    prompts: list[list[int]]
    steps: list[list[int]]


def tasks(prefill: Sequence[int], depths: Sequence[int], sequences: Sequence[int]) -> list[Task]:
    """The tasks in their order: prompts, then decoding at every depth, alone and together."""
    decodes = [Decode(depth, count) for depth in depths for count in sorted({1, *sequences})]
    return [*map(Prefill, prefill), *decodes]


def job(task: Task, vocab: int, seed: int) -> Job:
    """Random tokens for a run.

    What a prefill computes is new in every run, so that nothing of it is found in a cache; what a decode stands
    behind is always the same, so that it need not be computed anew.
    """
    prompt = random.Random(f"{task.name} {seed if isinstance(task, Prefill) else ''}")
    fed = random.Random(f"{task.name} {seed} steps")
    if isinstance(task, Prefill):
        return Job([_draw(prompt, vocab, task.tokens)], [])
    prompts = [_draw(prompt, vocab, task.depth) for _ in range(task.sequences)]
    return Job(prompts, [_draw(fed, vocab, task.sequences) for _ in range(task.steps)])


def _draw(source: random.Random, vocab: int, count: int) -> list[int]:
    return [source.randrange(vocab) for _ in range(count)]
