"""A Hugging Face folder seen as GGUF: what is translated, and that every way to be wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.checkpoint import cases, save, stored, write_safetensors

from furet.convert import open_model
from furet.convert.hugging_face import open_folder
from furet.dtypes import TensorType
from furet.errors import FuretError, ModelFileError, NotFound, UnsupportedModel
from furet.families import read_model

QUERY = "model.layers.1.self_attn.q_proj.weight"


def weights(case: str) -> dict[str, NDArray[np.float32]]:
    return cases()[case][1].weights(stored(case).shapes)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def write_raw(path: Path, tensors: dict[str, tuple[str, NDArray[Any]]]) -> None:
    """A safetensors file of any element types."""
    header, at = {}, 0
    for name, (dtype, array) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for _, a in tensors.values()))


# What is translated


def test_keys_and_tensors_have_ggufs_names(tmp_path: Path) -> None:
    with open_folder(save("llama", tmp_path), tokenizer=False) as model:
        assert model.metadata["general.architecture"] == "llama"
        assert model.metadata["llama.attention.head_count"] == 4
        assert model.metadata["general.name"] == tmp_path.name
        query = model.tensors["blk.1.attn_q.weight"]
        assert query.parts == (QUERY,) and query.shape == (64, 64) and query.type is TensorType.F32
        found = model.data("blk.1.attn_q.weight").view(np.float32).reshape(4, 8, 2, 64)
        np.testing.assert_array_equal(found, weights("llama")[QUERY].reshape(4, 2, 8, 64).swapaxes(1, 2))


def test_what_needs_no_change_is_a_view_of_the_file(tmp_path: Path) -> None:
    with open_folder(save("llama", tmp_path), tokenizer=False) as model:
        data = model.data("blk.0.ffn_up.weight")
        assert not data.flags.owndata and not data.flags.writeable
        np.testing.assert_array_equal(
            data.view(np.float32).reshape(96, 64), weights("llama")["model.layers.0.mlp.up_proj.weight"]
        )


@pytest.mark.parametrize("name", ["blk.0.ffn_up.weight", "blk.1.attn_q.weight"], ids=["as it is", "rearranged"])
def test_a_part_of_a_tensor_is_that_part_of_the_whole(name: str, tmp_path: Path) -> None:
    with open_folder(save("llama", tmp_path), tokenizer=False) as model:
        out = bytearray(1000)
        model.read(name, 333, memoryview(out))
        assert bytes(out) == model.data(name)[333:1333].tobytes()
        model.release(name)
        assert bytes(out) == model.data(name)[333:1333].tobytes()


def test_halves_stay_halves_but_vectors_are_float32(tmp_path: Path) -> None:
    save("llama", tmp_path)
    write_raw(
        tmp_path / "model.safetensors",
        {name: ("F16", array.astype(np.float16)) for name, array in weights("llama").items()},
    )
    with open_folder(tmp_path, tokenizer=False) as model:
        types = {tensor.type for tensor in model.tensors.values() if len(tensor.shape) == 2}
        assert types == {TensorType.F16} and model.tensors["output_norm.weight"].type is TensorType.F32
        wanted = weights("llama")["model.norm.weight"].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(model.data("output_norm.weight").view(np.float32), wanted)


def test_bfloat16_and_double_are_read(tmp_path: Path) -> None:
    save("llama", tmp_path)
    made = weights("llama")
    upper = {name: ("BF16", (array.view(np.uint32) >> 16).astype(np.uint16)) for name, array in made.items()}
    upper["lm_head.weight"] = ("F64", made["lm_head.weight"].astype(np.float64))
    write_raw(tmp_path / "model.safetensors", upper)
    with open_folder(tmp_path, tokenizer=False) as model:
        norm = model.data("output_norm.weight").view(np.uint32)
        np.testing.assert_array_equal(norm >> 16, upper["model.norm.weight"][1])
        assert model.tensors["blk.0.ffn_up.weight"].type is TensorType.BF16
        np.testing.assert_array_equal(model.data("output.weight").view(np.float32), made["lm_head.weight"].reshape(-1))


def test_a_tied_head_is_left_out_though_it_was_saved(tmp_path: Path) -> None:
    save("llama", tmp_path)
    change_config(tmp_path, tie_word_embeddings=True)
    with open_folder(tmp_path, tokenizer=False) as model:
        assert "output.weight" not in model.tensors
        assert read_model(model).weights.output is None


def test_buffers_are_left_out(tmp_path: Path) -> None:
    save("llama", tmp_path)
    buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}
    write_safetensors(tmp_path / "model.safetensors", {**weights("llama"), **buffer})
    with open_folder(tmp_path, tokenizer=False) as model:
        assert len(model.tensors) == len(weights("llama"))


def test_a_checkpoint_of_the_model_without_its_head_lacks_the_first_part_of_names(tmp_path: Path) -> None:
    save("gpt2", tmp_path)
    plain = {name.removeprefix("transformer."): array for name, array in weights("gpt2").items()}
    write_safetensors(tmp_path / "model.safetensors", plain)
    with open_folder(tmp_path, tokenizer=False) as model:
        assert model.tensors["blk.0.attn_qkv.weight"].parts[0].startswith("h.0.")


def test_safetensors_come_before_torch_files(tmp_path: Path) -> None:
    save("llama", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02ignored")
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x02ignored")
    with open_folder(tmp_path, tokenizer=False) as model:
        assert model.file_bytes == (tmp_path / "model.safetensors").stat().st_size


def test_shards_are_found_by_their_index(tmp_path: Path) -> None:
    save("llama", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    made = weights("llama")
    where = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(made)}
    for file in set(where.values()):
        write_safetensors(tmp_path / file, {name: made[name] for name in made if where[name] == file})
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with open_folder(tmp_path, tokenizer=False) as model:
        read_model(model)
        assert {tensor.parts[0] for tensor in model.tensors.values()} == set(made)


def test_any_file_of_the_folder_stands_for_it(tmp_path: Path) -> None:
    save("llama", tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    for path in (tmp_path, tmp_path / "model.safetensors"):
        with open_model(path) as model:
            assert model.path == tmp_path and len(model.metadata["tokenizer.ggml.tokens"]) == 97


# What is refused


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def an_unread_key(folder: Path) -> None:
    change_config(folder, flux_capacitor=1.21)


def an_unknown_type(folder: Path) -> None:
    change_config(folder, model_type="klingon")


def no_type(folder: Path) -> None:
    change_config(folder, model_type=None)


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def deep_json(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def long_json(folder: Path) -> None:
    (folder / "config.json").write_text(f'{{"model_type": "{"x" * (5 << 20)}"}}')


def another_activation(folder: Path) -> None:
    change_config(folder, hidden_act="gelu")


def no_width(folder: Path) -> None:
    change_config(folder, hidden_size=None)


def a_negative_count(folder: Path) -> None:
    change_config(folder, num_hidden_layers=-2)


def heads_as_text(folder: Path) -> None:
    change_config(folder, num_attention_heads="four")


def fewer_layers(folder: Path) -> None:
    change_config(folder, num_hidden_layers=1)


def more_layers(folder: Path) -> None:
    change_config(folder, num_hidden_layers=3)


def another_width(folder: Path) -> None:
    change_config(folder, hidden_size=32, head_dim=16)


def an_unread_tensor(folder: Path) -> None:
    write_safetensors(folder / "model.safetensors", {**weights("llama"), "model.extra": np.ones(3, np.float32)})


def a_missing_tensor(folder: Path) -> None:
    rest = {name: array for name, array in weights("llama").items() if name != QUERY}
    write_safetensors(folder / "model.safetensors", rest)


def a_transposed_tensor(folder: Path) -> None:
    made = weights("llama")
    name = "model.layers.0.mlp.up_proj.weight"
    write_safetensors(folder / "model.safetensors", {**made, name: np.ascontiguousarray(made[name].T)})


def integers(folder: Path) -> None:
    made: dict[str, tuple[str, NDArray[Any]]] = {name: ("F32", array) for name, array in weights("llama").items()}
    write_raw(folder / "model.safetensors", {**made, QUERY: ("I8", np.zeros((64, 64), np.int8))})


def a_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


WRONG: list[tuple[Callable[[Path], None], type[FuretError], tuple[str, ...]]] = [
    (no_config, NotFound, ("no config.json",)),
    (no_weights, NotFound, ("no weights",)),
    (an_unread_key, UnsupportedModel, ("config.json", "flux_capacitor")),
    (an_unknown_type, UnsupportedModel, ("model_type", "klingon")),
    (no_type, ModelFileError, ("config.json", "model_type")),
    (no_json, ModelFileError, ("config.json", "not JSON")),
    (a_list, ModelFileError, ("config.json", "an object")),
    (deep_json, ModelFileError, ("config.json",)),
    (long_json, ModelFileError, ("config.json", "larger than")),
    (another_activation, UnsupportedModel, ("hidden_act", "gelu", "silu")),
    (no_width, ModelFileError, ("embedding_length", "missing")),
    (a_negative_count, ModelFileError, ("block_count", "-2")),
    (heads_as_text, ModelFileError, ("head_count", "four")),
    (fewer_layers, UnsupportedModel, ("model.layers.1.", "has no place", "8 more")),
    (more_layers, ModelFileError, ("model.layers.2.", "missing")),
    (another_width, ModelFileError, ("model.embed_tokens.weight", "[97, 64]", "[97, 32]", "V C with")),
    (an_unread_tensor, UnsupportedModel, ("model.extra", "[3]", "no place")),
    (a_missing_tensor, ModelFileError, (QUERY, "missing")),
    (a_transposed_tensor, ModelFileError, ("mlp.up_proj", "[64, 96]", "[96, 64]", "F C with")),
    (integers, UnsupportedModel, (QUERY, "I8", "F32, F16 or BF16")),
    (a_pointer, ModelFileError, ("model.safetensors", "Git LFS")),
]


@pytest.mark.parametrize(("harm", "kind", "says"), WRONG, ids=[harm.__name__ for harm, _, _ in WRONG])
def test_what_is_wrong_is_named(
    harm: Callable[[Path], None], kind: type[FuretError], says: tuple[str, ...], tmp_path: Path
) -> None:
    save("llama", tmp_path)
    harm(tmp_path)
    with pytest.raises(kind) as caught:
        open_folder(tmp_path, tokenizer=False)
    assert type(caught.value) is kind
    assert str(tmp_path) in caught.value.message or kind is UnsupportedModel
    for part in says:
        assert part in caught.value.message
    assert len(caught.value.message) < 400 + len(str(tmp_path))


def test_a_head_is_the_embedding_only_where_the_configuration_says_so(tmp_path: Path) -> None:
    """In a family whose every GGUF file has a head of its own."""
    save("phi2", tmp_path)
    without = {name: array for name, array in weights("phi2").items() if name != "lm_head.weight"}
    write_safetensors(tmp_path / "model.safetensors", without)
    with pytest.raises(ModelFileError, match=r"lm_head\.weight: is missing"):
        open_folder(tmp_path, tokenizer=False)
    change_config(tmp_path, tie_word_embeddings=True)
    with open_folder(tmp_path, tokenizer=False) as model:
        np.testing.assert_array_equal(model.data("output.weight"), model.data("token_embd.weight"))


def test_experts_of_which_one_is_missing(tmp_path: Path) -> None:
    save("mixtral", tmp_path)
    made = weights("mixtral")
    name = next(name for name in made if "experts.2." in name)
    write_safetensors(tmp_path / "model.safetensors", {key: value for key, value in made.items() if key != name})
    with pytest.raises(ModelFileError, match=name):
        open_folder(tmp_path, tokenizer=False)


def test_tensors_alone_need_a_configuration(tmp_path: Path) -> None:
    save("llama", tmp_path)
    no_config(tmp_path)
    with pytest.raises(ModelFileError, match=r"no config\.json beside it") as caught:
        open_model(tmp_path / "model.safetensors")
    assert "config.json" in caught.value.hint


def test_a_folder_without_a_tokenizer_is_no_whole_model(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="tokenizer"):
        open_folder(save("llama", tmp_path))
