"""Truncation at every byte, flipped bits of a header, random damage: refused or valid, never anything else.

`benchmarks/fuzz_gguf.py` does the same at full count.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from gguf_bytes import number_fields, sound
from gguf_outcome import in_pieces, outcome
from mutate import mutated

from furet.errors import FuretError
from furet.files.gguf import read_header

SEEDS = [sound(), sound(">"), sound("<", 2), sound("<", 1)]


def test_truncated_at_any_byte_a_file_is_refused(tmp_path):
    path = tmp_path / "cut.gguf"
    whole = sound()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert outcome(path) == "ModelFileError", size
    path.write_bytes(whole)
    assert outcome(path) == "valid"


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_a_flipped_bit_in_any_byte_of_a_header_gives_a_typed_error_or_a_valid_model(seed, tmp_path):
    data = SEEDS[seed]
    seen = set()
    path = tmp_path / "flipped.gguf"
    for at in range(read_header(data).header_bytes):
        flipped = bytearray(data)
        flipped[at] ^= 1 << (at * 5 % 8)
        path.write_bytes(flipped)
        seen.add(outcome(path))
    assert seen >= {"ModelFileError", "valid"}


def test_random_damage_gives_a_typed_error_or_a_valid_model(tmp_path):
    rng = random.Random(2024)
    fields = [number_fields(seed) for seed in SEEDS]
    path = tmp_path / "damaged.gguf"
    counts = {"valid": 0, "ModelFileError": 0, "UnsupportedModel": 0}
    for round_ in range(3000):
        which = round_ % len(SEEDS)
        path.write_bytes(mutated(SEEDS[which], fields[which], SEEDS, rng))
        counts[outcome(path)] += 1
    assert counts["valid"] > 100
    assert counts["ModelFileError"] > 1000


def test_reading_in_pieces_ends_as_reading_at_once_does():
    rng = random.Random(7)
    fields = number_fields(SEEDS[0])
    for round_ in range(300):
        data = SEEDS[0] if round_ < 30 else mutated(SEEDS[0], fields, SEEDS, rng)
        first = rng.randrange(len(data) + 1)
        try:
            whole = read_header(data)
        except FuretError as error:
            with pytest.raises(type(error)):
                in_pieces(data, first)
        else:
            assert repr(in_pieces(data, first)) == repr(whole)  # as text, where NaN equals NaN


def test_what_is_accepted_of_damaged_files_the_gguf_package_reads_alike(tmp_path):
    """Only of those: on refused ones it may run for minutes."""
    package = pytest.importorskip("gguf")
    rng = random.Random(3)
    fields = [number_fields(seed) for seed in SEEDS[:3]]
    path = tmp_path / "damaged.gguf"
    compared = 0
    for round_ in range(900):
        data = mutated(SEEDS[round_ % 3], fields[round_ % 3], SEEDS[:3], rng)
        try:
            header = read_header(data)
        except FuretError:
            continue
        if header.version == 1:
            continue
        path.write_bytes(data)
        with np.errstate(all="ignore"):
            theirs = package.GGUFReader(path).tensors
        ours = header.tensors.values()
        assert [(t.name, t.type, t.shape, t.offset, t.nbytes) for t in ours] == [
            (t.name, t.tensor_type, tuple(t.shape.tolist()[::-1]), t.data_offset, t.n_bytes) for t in theirs
        ]
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fields_that_damage_aims_at_reach_to_the_end_of_the_header(seed):
    *_, (at, width) = number_fields(seed)
    assert at + width == read_header(seed).header_bytes
