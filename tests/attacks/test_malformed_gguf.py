"""Every malformed file is refused with a typed error that says where and why, in little time and memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from gguf_bytes import sound
from malformed_gguf import MALFORMED, UNSUPPORTED

from furet.errors import ModelFileError, UnsupportedModel
from furet.files.gguf import open_gguf, read_header

NAMES = [name for name, _, _ in MALFORMED]


def test_there_are_many_kinds_and_each_has_its_own_name():
    assert len(set(NAMES)) == len(NAMES) >= 40


@pytest.mark.parametrize(("order", "version"), [("<", 1), ("<", 2), ("<", 3), (">", 2), (">", 3)])
def test_the_sound_file_that_the_attacks_vary_is_accepted(order, version):
    header = read_header(sound(order, version))
    assert len(header.tensors) == 5
    assert header.metadata["wide"] == 1 << 40


@pytest.mark.parametrize(("name", "says", "data"), MALFORMED, ids=NAMES)
def test_a_malformed_file_is_refused_with_place_and_reason(name, says, data, tmp_path):
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(data)
    tracemalloc.start()
    begin = time.process_time()
    with pytest.raises(ModelFileError) as caught:
        open_gguf(path)
    seconds = time.process_time() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    error = caught.value
    assert says in error.message
    assert str(path) in error.message
    assert error.hint
    assert error.field
    assert error.offset is not None
    assert 0 <= error.offset <= len(data)
    assert error.message.isprintable()
    assert len(error.message) < 500 + len(str(path))
    assert seconds < 10  # no hang
    assert peak < 64e6


@pytest.mark.parametrize(("name", "says", "data"), UNSUPPORTED, ids=[name for name, _, _ in UNSUPPORTED])
def test_a_tensor_type_of_another_program_is_named(name, says, data):
    with pytest.raises(UnsupportedModel, match=says):
        read_header(data)
