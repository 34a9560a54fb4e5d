"""Malformed archives, older checkpoints and safetensors are refused with a reason, in little time and memory."""

from __future__ import annotations

import io
import time
import tracemalloc
import zipfile

import malformed_archives as archives
import malformed_safetensors as safe
import pytest
from pickle_bytes import many, number, old_text, ordered, pickled, rebuilt, storage, table, text
from tensor_outcome import outcome
from zip_bytes import checkpoint

from furet.errors import ModelFileError
from furet.files.safetensors import open_safetensors
from furet.files.torch_file import open_torch

CASES = [(open_torch, *case) for case in archives.MALFORMED] + [(open_safetensors, *case) for case in safe.MALFORMED]
NAMES = [f"{opener.__name__}: {name}" for opener, name, _, _ in CASES]


def test_there_are_many_kinds_and_each_has_its_own_name():
    assert len(set(NAMES)) == len(NAMES) >= 150


@pytest.mark.parametrize(("opener", "name", "says", "data"), CASES, ids=NAMES)
def test_a_malformed_file_is_refused_with_its_reason(opener, name, says, data, tmp_path):
    path = tmp_path / "x.file"
    path.write_bytes(data)
    begin = time.process_time()
    with pytest.raises(ModelFileError) as caught:
        opener(path)
    seconds = time.process_time() - begin
    error = caught.value
    assert says in error.message
    assert str(path) in error.message and error.hint
    assert error.message.isprintable() and len(error.message) < 600 + len(str(path))
    assert error.offset is None or 0 <= error.offset <= len(data)
    assert seconds < 10  # no hang


LARGE = ["5 MB of metadata", "10 MB of escaped quotes", "an entry nested a million deep", "a byte order of a megabyte"]


@pytest.mark.parametrize("case", [case for case in CASES if case[1] in LARGE], ids=lambda case: case[1])
def test_a_large_one_takes_little_memory(case, tmp_path):
    opener, _, _, data = case
    path = tmp_path / "x.file"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        opener(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


@pytest.mark.parametrize(
    ("opener", "data", "tensors"),
    [
        (open_torch, archives.SOUND, 1),
        (open_torch, archives.SOUND_LEGACY, 1),
        (open_torch, archives.with_wide_end(), 1),
        (open_safetensors, safe.SOUND, 5),
    ],
)
def test_the_sound_file_that_the_attacks_vary_is_accepted(opener, data, tensors, tmp_path):
    path = tmp_path / "x.file"
    path.write_bytes(data)
    with opener(path) as model:
        assert len(model.tensors) == tensors
    assert outcome(opener, path) == "valid"


def test_an_archive_of_another_writer_is_accepted(tmp_path):
    path = tmp_path / "x.pt"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
        made.writestr("x/data.pkl", archives.VALUE)
        made.writestr("x/byteorder", "big")
        made.writestr("x/data/0", bytes(range(24)))
    path.write_bytes(file.getvalue())
    with open_torch(path) as model:
        assert model.byteorder == "big"
        assert model.data("a").tolist() == list(range(24))


def test_sizes_of_64_bits_are_read(tmp_path):
    path = tmp_path / "x.pt"
    full = archives.FULL
    path.write_bytes(
        archives.archive(archives.entries(size=full, packed=full, extra=archives.wide_extra(24, 24)))
    )
    with open_torch(path) as model:
        assert model.tensors["a"].nbytes == 24


def test_a_checkpoint_of_python_2_is_read(tmp_path):
    path = tmp_path / "x.pt"
    one = many(storage(), number(0), many(number(2), number(3)), many(number(3), number(1)))
    tensor = archives.name("torch._utils", "_rebuild_tensor") + one + b"R"
    pair = b"](" + old_text("a") + tensor + b"e"
    value = archives.name("collections", "OrderedDict") + b"](" + pair + b"e\x85R"
    path.write_bytes(archives.legacy(pickled(value)))
    with open_torch(path) as model:
        assert model.tensors["a"].shape == (2, 3)


def test_a_view_of_a_storage_is_placed_within_it(tmp_path):
    path = tmp_path / "x.pt"
    view = many(text("1"), number(2), number(4))
    value = pickled(table(a=rebuilt(storage(view=view), shape=(2, 2), stride=(2, 1))))
    path.write_bytes(archives.legacy(value, {"0": bytes(range(24))}))
    with open_torch(path) as model:
        assert model.data("a").tolist() == list(range(8, 24))


def test_prefixes_and_wrappers_of_trainers_are_taken_off(tmp_path):
    path = tmp_path / "x.pt"
    inner = table(**{"module.a": rebuilt(), "module.b": rebuilt()})
    nested = table(model=table(module=inner))
    for value in (inner, table(state_dict=inner, epoch=number(3)), table(weird=inner), nested):
        path.write_bytes(checkpoint(pickled(value)))
        with open_torch(path) as model:
            assert list(model.tensors) == ["a", "b"]
    path.write_bytes(checkpoint(pickled(table(model=ordered(), other=inner))))
    with pytest.raises(ModelFileError, match="without a table of tensors; its keys are 'model', 'other'"):
        open_torch(path)
