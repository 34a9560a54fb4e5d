"""What surrounds a model in memory: estimates, measured, and kept in this one place.

`benchmarks/plan_accuracy.py` compares the plan with the peak of a fresh process; these constants are set so
that the plan is never below it and at most a twentieth above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized

RUNTIME = 48 << 20  # bytes: the interpreter, NumPy, furet, and the pages of their libraries that get touched
PER_THREAD = 1 << 18  # bytes: a worker's stack and the allocator's pool
PER_TOKEN = 200  # bytes of a loaded vocabulary for each of its tokens
PER_MERGE = 40  # bytes for each of its merges


def runtime_bytes(threads: int) -> int:
    """Bytes of the process before it holds a model."""
    return RUNTIME + threads * PER_THREAD


def tokenizer_bytes(metadata: Mapping[str, object], vocab: int) -> int:
    """Bytes of the tokenizer, once built."""
    merges = metadata.get("tokenizer.ggml.merges")
    return vocab * PER_TOKEN + (len(merges) if isinstance(merges, Sized) else 0) * PER_MERGE
