"""Truncation at every byte, flipped bits, random damage to form and content: refused or valid, never anything else.

`benchmarks/fuzz_files.py` does the same at full count.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import malformed_archives as archives
import malformed_safetensors as safe
import pytest
from mutate_checkpoints import archive_case, archive_fields, pickle_case, safetensors_case
from tensor_outcome import outcome, put

from furet.files.safetensors import open_safetensors
from furet.files.torch_file import open_torch

WRITTEN = Path(__file__).parents[1] / "files" / "checkpoints"
SOUND = [
    (open_safetensors, safe.SOUND),
    (open_torch, archives.with_wide_end()),
    (open_torch, archives.SOUND_LEGACY),
    (open_torch, (WRITTEN / "module-legacy.pt").read_bytes()),
]


@pytest.mark.parametrize(("opener", "whole"), SOUND)
def test_truncated_at_any_byte_a_file_is_refused(opener, whole, tmp_path):
    path = tmp_path / "cut.file"
    for size in range(len(whole)):
        put(path, whole[:size])
        assert outcome(opener, path) == "ModelFileError", size
    put(path, whole)
    assert outcome(opener, path) == "valid"


@pytest.mark.parametrize(("opener", "whole"), SOUND)
def test_a_flipped_bit_in_any_byte_gives_a_typed_error_or_a_valid_model(opener, whole, tmp_path):
    path = tmp_path / "flipped.file"
    seen: Counter[str] = Counter()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at * 5 % 8)
        put(path, flipped)
        seen[outcome(opener, path)] += 1
    assert seen["ModelFileError"] > len(whole) // 4
    assert seen["valid"] > 10


@pytest.mark.parametrize(
    ("opener", "make", "valid"),
    [(open_safetensors, safetensors_case, 10), (open_torch, archive_case, 100), (open_torch, pickle_case, 100)],
)
def test_random_damage_gives_a_typed_error_or_a_valid_model(opener, make, valid, tmp_path):
    path = tmp_path / "damaged.file"
    seen: Counter[str] = Counter()
    for number in range(1000):
        put(path, make(random.Random(number)))
        seen[outcome(opener, path)] += 1
    assert seen["valid"] > valid
    assert seen["ModelFileError"] > 500
    assert set(seen) <= {"valid", "ModelFileError", "UnsupportedModel"}


def test_the_fields_of_an_archive_are_where_its_numbers_are():
    data = archives.with_wide_end()
    numbers = [int.from_bytes(data[at : at + width], "little") for at, width in archive_fields(data)]
    assert len(numbers) == 2 * 10 + 2 * 16 + 9 + 3 + 7
    assert numbers.count(24) == 2 and data.index(b"PK\1\2") in numbers
