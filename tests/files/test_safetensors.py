"""safetensors files, written by the project's own package (see make_checkpoints.py) and by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoint_values import check_values

from furet.errors import ModelFileError, NotFound, UnsupportedModel
from furet.files.safetensors import open_safetensors

FOLDER = Path(__file__).with_name("checkpoints")
HALVES = ["float32", "scalar", "bfloat16", "mask"]
FIRST, SECOND, INDEX = (
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of its own with a model in two files and its index."""
    for name in (FIRST, SECOND, INDEX):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def write(path: Path, header: str, data: bytes = b"") -> Path:
    """A file of this header and data."""
    raw = header.encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


def change(index: Path, **weight_map: str) -> None:
    content = json.loads(index.read_text())
    content["weight_map"] |= weight_map
    index.write_text(json.dumps(content))


def test_every_element_type_as_it_was_saved():
    with open_safetensors(FOLDER / "whole.safetensors") as model:
        check_values(model)
        assert model.metadata == {"format": "pt", "note": "é \\ \" \n"}
        assert "17 tensors" in repr(model)
        model.check_unchanged()
        assert np.shares_memory(model.data("float32"), model.data("float32"))


@pytest.mark.parametrize("name", [INDEX, FIRST, SECOND])
def test_shards_open_by_their_index_or_any_of_them(shards, name):
    with open_safetensors(shards / name) as model:
        check_values(model, HALVES)
        assert [path.name for path in model.paths] == [FIRST, SECOND]
        assert model.file_bytes == sum((shards / each).stat().st_size for each in (FIRST, SECOND))


def test_shards_without_an_index_are_found_by_name(shards):
    (shards / INDEX).unlink()
    with open_safetensors(shards / SECOND) as model:
        check_values(model, HALVES)


@pytest.mark.parametrize("name", [INDEX, FIRST])
def test_a_missing_shard_is_named(shards, name):
    (shards / SECOND).unlink()
    with pytest.raises(NotFound, match=SECOND):
        open_safetensors(shards / name)


@pytest.mark.parametrize(
    "target",
    ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "C:\\x", "", ".hidden", "a\nb", 7, None],
)
def test_an_index_leads_nowhere_else(shards, target):
    change(shards / INDEX, scalar=target)
    with pytest.raises(ModelFileError, match="not the name of a file beside the index"):
        open_safetensors(shards / INDEX)


def test_an_index_of_another_model_is_refused(shards):
    change(shards / INDEX, scalar=SECOND)
    with pytest.raises(ModelFileError, match="tensor scalar: the index has this tensor in model-00002"):
        open_safetensors(shards / FIRST)
    change(shards / INDEX, scalar=FIRST, absent=FIRST)
    with pytest.raises(ModelFileError, match="tensor absent: the index has it in model-00001"):
        open_safetensors(shards / FIRST)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "JSON"),
        ("[]", "weight_map"),
        ('{"weight_map": []}', "weight_map"),
        ('{"weight_map": {}}', "weight_map"),
        ('{"weight_map": {"a": "b", "a": "b"}}', "'a' occurs twice"),
        ("[" * 100_000, "JSON"),
        ("[" * 400_000, "more than 300000 entries"),
        ('{"weight_map": {"a": "x.safetensors"}', "JSON"),
        ("\x00\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "JSON"),
        (" " * (12 << 20) + "{}", "at most"),
        (json.dumps({"weight_map": {f"t{i}": f"{i}.x" for i in range(257)}}), "257 shards"),
    ],
)
def test_a_malformed_index_is_refused(shards, content, says):
    (shards / INDEX).write_text(content)
    with pytest.raises(ModelFileError, match=says):
        open_safetensors(shards / INDEX)


def test_one_tensor_in_two_shards_is_refused(shards):
    (shards / INDEX).unlink()
    shutil.copy(shards / FIRST, shards / SECOND)
    with pytest.raises(ModelFileError, match="earlier shard"):
        open_safetensors(shards / FIRST)


@pytest.mark.parametrize("name", ["m-00000-of-00002.safetensors", "m-00003-of-00002.safetensors"])
def test_a_shard_number_beyond_the_count_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"shard [03] of 2"):
        open_safetensors(tmp_path / name)


def test_the_form_of_the_header_leaves_room_where_the_format_does(tmp_path):
    header = ' \n{ "w" : {"data_offsets" :[ 0,\t8 ] , "shape":[2 ],"dtype": "F32"} ,"__metadata__":{ } }  \n'.lstrip()
    with open_safetensors(write(tmp_path / "x.safetensors", header, bytes(8))) as model:
        assert model.tensors["w"].shape == (2,)
        assert model.metadata == {}
    with open_safetensors(write(tmp_path / "empty.safetensors", "{}")) as model:
        assert not model.tensors


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "U32", "C64", "F4"])
def test_an_element_type_without_a_place_is_named_with_its_tensor(tmp_path, kind):
    header = json.dumps({"w": {"dtype": kind, "shape": [1], "data_offsets": [0, 1]}})
    with pytest.raises(UnsupportedModel, match=f"tensor w: element type {kind}"):
        open_safetensors(write(tmp_path / "x.safetensors", header, bytes(1)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"GGUF" + bytes(60), "this is a GGUF file; wanted a safetensors file"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\3\4" + bytes(60), "zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_another_file_is_named_for_what_it_is(tmp_path, data, says):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=says) as caught:
        open_safetensors(path)
    assert caught.value.hint


def test_a_file_that_is_cut_while_it_is_open_is_noticed(tmp_path):
    path = tmp_path / "x.safetensors"
    shutil.copy(FOLDER / "whole.safetensors", path)
    with open_safetensors(path) as model:
        with path.open("r+b") as file:
            file.truncate(100)
        with pytest.raises(ModelFileError, match="cut short"):
            model.data("float32")
