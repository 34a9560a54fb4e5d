"""Split models: any shard opens all, and shards that do not belong together are refused."""

from __future__ import annotations

import numpy as np
import pytest

from furet.dtypes import TensorType
from furet.errors import ModelFileError, NotFound
from furet.files.gguf import open_gguf, shard_names, write_gguf

NAMES = [f"m-0000{i}-of-00003.gguf" for i in (1, 2, 3)]


def write_shard(path, number, *, count=3, tensors=("a", "b", "c"), total=None, **options):
    metadata = {"split.no": number, "split.count": count, "split.tensors.count": total or len(tensors)}
    if number == 0:
        metadata = {"general.architecture": "llama", **metadata}
    name = tensors[number]
    data = np.full(8, number, np.float32)
    write_gguf(path, metadata, [(name, TensorType.F32, (8,), data)], **options)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        write_shard(tmp_path / name, number)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_any_shard_opens_the_whole_model(folder, name):
    with open_gguf(folder / name) as model:
        assert list(model.tensors) == ["a", "b", "c"]
        assert [tensor.shard for tensor in model.tensors.values()] == [0, 1, 2]
        assert model.metadata["general.architecture"] == "llama"
        assert model.file_bytes == sum((folder / name).stat().st_size for name in NAMES)
        for number, tensor in enumerate("abc"):
            np.testing.assert_array_equal(model.data(tensor).view(np.float32), np.full(8, number))


@pytest.mark.parametrize("given", [0, 2])
def test_a_missing_shard_is_named(folder, given):
    (folder / NAMES[1]).unlink()
    with pytest.raises(NotFound, match=NAMES[1]):
        open_gguf(folder / NAMES[given])


def test_a_shard_that_changes_is_noticed(folder):
    with open_gguf(folder / NAMES[0]) as model:
        (folder / NAMES[2]).write_bytes(b"GGUF")
        with pytest.raises(ModelFileError, match=NAMES[2]):
            model.check_unchanged()


def test_shards_in_the_wrong_places_are_refused(folder):
    write_shard(folder / NAMES[1], 2)
    with pytest.raises(ModelFileError, match="shard 3") as caught:
        open_gguf(folder / NAMES[0])
    assert caught.value.field == "split.no"


def test_a_renamed_shard_is_refused(folder):
    (folder / NAMES[0]).rename(folder / "model.gguf")
    with pytest.raises(ModelFileError, match="one of 3"):
        open_gguf(folder / "model.gguf")


def test_a_whole_file_under_the_name_of_a_shard_is_refused(folder):
    write_gguf(folder / NAMES[0], {}, [])
    with pytest.raises(ModelFileError, match="one of 3"):
        open_gguf(folder / NAMES[0])


def test_a_tensor_in_two_shards_is_refused(folder):
    write_shard(folder / NAMES[2], 2, tensors=("a", "b", "a"))
    with pytest.raises(ModelFileError, match="tensor a"):
        open_gguf(folder / NAMES[0])


def test_a_wrong_number_of_tensors_is_refused(folder):
    write_shard(folder / NAMES[0], 0, total=4)
    with pytest.raises(ModelFileError, match="4 tensors announced"):
        open_gguf(folder / NAMES[0])


def test_shards_of_two_byte_orders_are_refused(folder):
    write_shard(folder / NAMES[1], 1, byteorder="big")
    with pytest.raises(ModelFileError, match="big endian"):
        open_gguf(folder / NAMES[0])


@pytest.mark.parametrize("count", ["three", -3, True, [3]])
def test_a_count_that_is_no_count_is_refused(folder, count):
    write_shard(folder / NAMES[0], 0, count=count)
    with pytest.raises(ModelFileError, match=r"split\.count"):
        open_gguf(folder / NAMES[0])


def test_a_single_shard_is_a_whole_model(tmp_path):
    path = tmp_path / "m-00001-of-00001.gguf"
    write_shard(path, 0, count=1, tensors=("a",))
    with open_gguf(path) as model:
        assert list(model.tensors) == ["a"]


def test_names_of_shards():
    assert shard_names("m-00002-of-00003.gguf") == NAMES
    assert shard_names("m.gguf") == ["m.gguf"]
    assert shard_names("m-00001-of-00000.gguf") == ["m-00001-of-00000.gguf"]
    with pytest.raises(ModelFileError, match="99999 shards"):
        shard_names("m-00001-of-99999.gguf")
