"""What a task costs at the least."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from furet.measure.tasks import Decode, Prefill
from furet.measure.work import Work, work_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "tiny.gguf", tiny.model("llama", tokenizer=True))


def test_every_matrix_counts_once(path: Path) -> None:
    """The tiny model is untied: its embedding is looked up, not multiplied with."""
    work = work_of(path)
    attention, ffn, head = 2 * (64 * 64 + 64 * 32), 3 * 64 * 96, 261 * 64
    layers = 2 * (attention + ffn)
    assert (work.operations, work.head) == (2 * layers, 2 * head)
    assert work.bytes == 4 * (layers + head + 5 * 64)


def test_experts_count_as_far_as_a_token_meets_them(tmp_path: Path) -> None:
    """Two of eight; the router is met whole."""
    keys = {"expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 32}
    path = tiny.write(tmp_path / "experts.gguf", tiny.model("qwen3moe", tokenizer=True, keys=keys))
    attention, router, met, head = 2 * (64 * 64 + 64 * 32), 8 * 64, 2 * 3 * 64 * 32, 261 * 64
    layers = 2 * (attention + router + met)
    norms = 5 * 64 + 2 * 2 * 16
    work = work_of(path)
    assert (work.operations, work.head, work.bytes) == (2 * layers, 2 * head, 4 * (layers + head + norms))


def test_a_prompt_has_one_row_of_logits() -> None:
    assert Work(100, 20, 3).of(Prefill(8)) == (100, 8 * 20 + 3)


def test_a_step_reads_the_weights_once_and_each_cache_once() -> None:
    """Steps behind 10 tokens see 11, 12 and 13."""
    work = Work(100, 20, 3, cached=2)
    assert work.of(Decode(10, 1, 3)) == (300 + 2 * (11 + 12 + 13), 3 * 23)
    assert work.of(Decode(10, 4, 3)) == (300 + 4 * 2 * (11 + 12 + 13), 12 * 23)
