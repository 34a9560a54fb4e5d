"""Checkpoints that PyTorch wrote (see make_checkpoints.py) are read as what was saved, and nothing is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoint_values import check_values

from furet.errors import ModelFileError, NotFound, UnsupportedModel
from furet.files.torch_file import open_torch

FOLDER = Path(__file__).with_name("checkpoints")
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of its own with a checkpoint in two files and its index."""
    for path in FOLDER.glob("model*.bin*"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["zip.pt", "zip-protocol4.pt", "zip-protocol5.pt", "legacy.pt", "legacy-protocol4.pt"]
)
def test_every_element_type_and_every_kind_of_view(name):
    with open_torch(FOLDER / name) as model:
        check_values(model)
        assert model.byteorder == "little"
        assert model.file_bytes == (FOLDER / name).stat().st_size
        assert "17 tensors" in repr(model)
        model.check_unchanged()


def test_tensors_that_share_a_storage_share_their_bytes():
    with open_torch(FOLDER / "zip.pt") as model:
        assert model.tensors["tied"].offset == model.tensors["float32"].offset
        rows = model.tensors["rows"]
        assert rows.offset == model.tensors["transposed"].offset + 16


def test_only_views_with_gaps_are_copied():
    with open_torch(FOLDER / "zip.pt") as model:
        owned = {name for name in model.tensors if np.shares_memory(model.data(name), model.data(name))}
        assert set(model.tensors) - owned == {"columns", "transposed", "empty"}


@pytest.mark.parametrize("name", ["module.pt", "module-legacy.pt", "trainer.pt"])
def test_a_state_dict_is_found_alone_or_in_a_trainers_checkpoint(name):
    with open_torch(FOLDER / name) as model:
        assert list(model.tensors) == NAMES
        assert model.data("0.weight").view("<f4").tolist() == [0.5] * 6


def test_attributes_of_a_parameter_are_dropped():
    with open_torch(FOLDER / "attributes.pt") as model:
        assert model.data("attributed").view("<f4").tolist() == [0, 1, 2]


def test_an_element_type_without_a_place_is_named_with_its_tensor():
    with pytest.raises(UnsupportedModel, match=r"tensor f8: element type float8_e4m3fn"):
        open_torch(FOLDER / "float8.pt")


def test_a_whole_module_is_refused_by_its_first_class():
    with pytest.raises(ModelFileError, match=r"at byte 66: opcode GLOBAL: 'torch.nn.modules.container.Sequential'"):
        open_torch(FOLDER / "whole-module.pt")


def test_a_torchscript_program_is_named():
    with pytest.raises(UnsupportedModel, match="TorchScript"):
        open_torch(FOLDER / "torchscript.pt")


@pytest.mark.parametrize("name", ["model.bin.index.json", "model-00001-of-00002.bin", "model-00002-of-00002.bin"])
def test_shards_open_by_their_index_or_any_of_them(shards, name):
    with open_torch(shards / name) as model:
        check_values(model, ["float32", "scalar", "bfloat16", "mask"])
        assert {model.tensors[name].shard for name in model.tensors} == {0, 1}
        assert [path.name for path in model.paths] == ["model-00001-of-00002.bin", "model-00002-of-00002.bin"]


def test_shards_without_an_index_are_found_by_name(shards):
    (shards / "model.bin.index.json").unlink()
    with open_torch(shards / "model-00002-of-00002.bin") as model:
        check_values(model, ["float32", "scalar", "bfloat16", "mask"])


def test_shards_may_be_named_with_an_underscore(shards):
    (shards / "model.bin.index.json").unlink()
    for path in shards.glob("*.bin"):
        path.rename(shards / path.name.replace("model-", "model_"))
    with open_torch(shards / "model_00002-of-00002.bin") as model:
        check_values(model, ["float32", "scalar", "bfloat16", "mask"])


@pytest.mark.parametrize("name", ["model.bin.index.json", "model-00001-of-00002.bin"])
def test_a_missing_shard_is_named(shards, name):
    (shards / "model-00002-of-00002.bin").unlink()
    with pytest.raises(NotFound, match=r"model-00002-of-00002\.bin"):
        open_torch(shards / name)


def test_an_index_that_is_of_another_model_is_refused(shards):
    index = shards / "model.bin.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["scalar"] = "model-00002-of-00002.bin"
    index.write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match=r"tensor scalar: the index has this tensor in model-00002"):
        open_torch(index)
    content["weight_map"]["scalar"] = "model-00001-of-00002.bin"
    content["weight_map"]["absent"] = "model-00001-of-00002.bin"
    index.write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match="tensor absent: the index has it in model-00001"):
        open_torch(index)
    del content["weight_map"]["absent"], content["weight_map"]["scalar"]
    index.write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match="tensor scalar: the index has this tensor nowhere"):
        open_torch(index)


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt"])
def test_a_file_that_is_cut_while_it_is_open_is_noticed(tmp_path, name):
    path = tmp_path / name
    shutil.copy(FOLDER / name, path)
    with open_torch(path) as model:
        with path.open("r+b") as file:
            file.truncate(100)
        for tensor in ("float32", "columns"):
            with pytest.raises(ModelFileError, match="cut short"):
                model.data(tensor)
        with pytest.raises(ModelFileError, match="cut short"):
            model.check_unchanged()


def test_a_byte_order_that_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "other.pt"
    data = (FOLDER / "module.pt").read_bytes()
    path.write_bytes(data.replace(b"little", b"\0\0\0big"))
    with pytest.raises(ModelFileError, match="byteorder"):
        open_torch(path)


def test_what_holds_no_table_of_tensors_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="wanted a PyTorch checkpoint"):
        open_torch(FOLDER / "whole.safetensors")
    with pytest.raises(ModelFileError, match="a directory"):
        open_torch(tmp_path)
    with pytest.raises(NotFound):
        open_torch(tmp_path / "absent.pt")
