"""The default model, for real: fetched once if it is not on this machine, then answered with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import furet

QUESTION = "The capital of France is"
TEXT = Path(__file__).parent.parent / "benchmarks" / "text.txt"

NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(f"a socket was touched: {event} {arguments}")

sys.addaudithook(refuse)
from furet.cli.main import main
sys.argv = ["furet", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.fixture(scope="module")
def model() -> Iterator[furet.Model]:
    with furet.load("smollm2", context=256) as loaded:
        yield loaded


def test_it_knows_the_capital_of_france(model: furet.Model) -> None:
    answer = model.generate(QUESTION, max_tokens=8, temperature=0)
    assert answer.text.startswith(" Paris")
    assert answer.finish_reason == "length"


def test_native_answers_stay_close_to_exact_arithmetic(model: furet.Model) -> None:
    tokens = model.tokenizer.encode(TEXT.read_text())[:24]
    with furet.load("smollm2", context=256, backend="reference") as exact:
        divergence = kl(exact.logits(tokens), model.logits(tokens))
    assert divergence.mean() < 0.004  # measured 0.001 over 512 tokens; a scale around zero gives 0.0025


@pytest.mark.parametrize(
    ("threads", "chunk", "repack"), [(1, 64, True), (2, 7, True), (2, 1, True), (2, 64, False)]
)
def test_logits_do_not_depend_on_how_they_are_computed(
    model: furet.Model, threads: int, chunk: int, repack: bool
) -> None:
    tokens = model.tokenizer.encode(TEXT.read_text())[:40]
    with furet.load("smollm2", context=256, threads=threads, chunk=chunk, repack=repack) as other:
        np.testing.assert_array_equal(other.logits(tokens), model.logits(tokens))


def test_the_command_answers_without_touching_a_socket(model: furet.Model) -> None:
    command = [
        sys.executable,
        "-c",
        NO_NETWORK,
        "run",
        "smollm2",
        QUESTION,
        "-n",
        "8",
        "--temperature",
        "0",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"].startswith(" Paris")


def kl(exact: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """KL(exact || other) of each row, in nats. [T, V], [T, V] -> [T]"""
    p, q = (log_softmax(logits.astype(np.float64)) for logits in (exact, other))
    divergence: NDArray[np.float64] = np.sum(np.exp(p) * (p - q), axis=-1)
    return divergence


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
