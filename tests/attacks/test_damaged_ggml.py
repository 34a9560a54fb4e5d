"""Truncation, damage and hostile counts in GGML files: refused or valid, never anything else.

`benchmarks/fuzz_ggml.py` does the same at full count.
"""

from __future__ import annotations

import random
import struct
import time
import tracemalloc

import ggml_writer as writer
import pytest
from ggml_outcome import outcome
from mutate import mutated

from furet.errors import ModelFileError
from furet.files.ggml import open_ggml


def seeds() -> list[writer.Built]:
    """One small file of every architecture, and LLaMA in every generation; types mixed."""
    kinds = ("F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
    cases = [(name, writer.generation_for(name)) for name in writer.NAMES]
    cases += [("llama", generation) for generation in writer.GENERATIONS[1:]]
    built = []
    for number, (name, generation) in enumerate(cases):
        made = writer.model(name, layers=1)
        built.append(writer.build(made, generation, kinds[number % len(kinds)], version=number % 3))
    return built


SEEDS = seeds()
BYTES = [bytes(seed.data) for seed in SEEDS]


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_a_truncated_file_is_refused(seed, tmp_path):
    path = tmp_path / "cut.bin"
    whole = BYTES[seed]
    edges = {at + off for at, width in SEEDS[seed].numbers[-40:] for off in (0, 1, width)}
    for size in {*range(0, len(whole), 509), *range(40), *edges, len(whole) - 1} - {len(whole)}:
        path.write_bytes(whole[:size])
        assert outcome(path) == "ModelFileError", size
    path.write_bytes(whole)
    assert outcome(path) == "valid"
    path.write_bytes(whole + b"\0")
    assert outcome(path) == "ModelFileError"


def test_random_damage_gives_a_typed_error_or_a_valid_model(tmp_path):
    rng = random.Random(2023)
    path = tmp_path / "damaged.bin"
    counts: dict[str, int] = {}
    for round_ in range(1000):
        which = round_ % len(SEEDS)
        path.write_bytes(mutated(BYTES[which], SEEDS[which].numbers, BYTES, rng))
        result = outcome(path)
        counts[result] = counts.get(result, 0) + 1
    assert counts["ModelFileError"] > 400
    assert counts["valid"] > 50


def hostile(*fields: int, words: bytes = b"", magic: bytes = b"lmgg") -> bytes:
    return magic + struct.pack(f"<{len(fields)}I", *fields) + words


@pytest.mark.parametrize(
    "data",
    [
        hostile(0xFFFFFFFF, 4096, 256, 32, 32, 128, 2),
        hostile(32000, 0xFFFFFFFF, 256, 32, 32, 128, 2),
        hostile(1 << 16, 1, 32, 1, 1, 32, 0, words=bytes(1 << 18)),  # empty words
        hostile(1 << 16, 1, 32, 1, 1024, 32, 0, words=bytes(1 << 18) + b"\1\0\0\0" * 4),
        hostile(1, 1, 1, 1, 1, 1, 0, words=bytes(4) + struct.pack("<III", 0xFFFFFFFF, 1, 0)),
        hostile(1, 1, 1, 1, 1, 1, 0, words=bytes(4) + struct.pack("<III", 1, 0xFFFFFFFF, 0)),
        hostile(1, 1, 1, 1, 1, 1, 0, words=bytes(4) + struct.pack("<IIII", 1, 1, 0, 0xFFFFFFFF) + b"n"),
        hostile(1, 1, 1, 1, 1, 1, 0, words=bytes(4) + struct.pack("<IIII", 1, 1, 2, 0) + b"n"),
        hostile(1, 4096, 1, 32, 1, 128, 0xFFFFFFFF),
        hostile(1, 4096, 1, 0, 1, 128, 0),
    ],
)
def test_hostile_numbers_cost_nothing(data, tmp_path):
    path = tmp_path / "hostile.bin"
    path.write_bytes(data)
    tracemalloc.start()
    begin = time.process_time()
    with pytest.raises(ModelFileError):
        open_ggml(path)
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest < 16 << 20
    assert time.process_time() - begin < 10  # no hang
