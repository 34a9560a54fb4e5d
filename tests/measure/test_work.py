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


def test_a_prompt_has_one_row_of_logits() -> None:
    assert Work(100, 20, 3).of(Prefill(8)) == (100, 8 * 20 + 3)


def test_a_step_reads_the_weights_once_and_each_cache_once() -> None:
    """Steps behind 10 tokens see 11, 12 and 13."""
    work = Work(100, 20, 3, cached=2)
    assert work.of(Decode(10, 1, 3)) == (300 + 2 * (11 + 12 + 13), 3 * 23)
    assert work.of(Decode(10, 4, 3)) == (300 + 4 * 2 * (11 + 12 + 13), 12 * 23)
