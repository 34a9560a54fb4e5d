"""What surrounds a model in memory: estimates, measured, and kept in this one place.

`benchmarks/plan_accuracy.py` compares the plan with the peak of a fresh process; the constants are set so
that the plan is never below it, even when a vocabulary is seen for the first time, and at most 5 % above.
"""

from __future__ import annotations

RUNTIME = 54_800_000  # bytes: the interpreter, NumPy, furet, and the touched pages of their libraries
PER_THREAD = 200_000  # bytes: a worker's stack and the allocator's pool
PER_TOKEN = 128  # bytes of a vocabulary, with its merges and what building it leaves behind
FORMS = 8_000_000  # bytes: the library of forms
PER_TOKEN_OF_FORMS = 520  # bytes


def runtime_bytes(threads: int) -> int:
    """Bytes of a process before it holds a model."""
    return RUNTIME + threads * PER_THREAD


def tokenizer_bytes(vocab: int) -> int:
    """Bytes of a loaded tokenizer."""
    return vocab * PER_TOKEN


def forms_bytes(vocab: int) -> int:
    """Bytes that are taken with the first form of an answer, and stay; no part of a plan."""
    return FORMS + vocab * PER_TOKEN_OF_FORMS
