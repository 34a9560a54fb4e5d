"""`furet inspect`: facts and oddities of a model of every format, and what is not a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from commandline import Furet

from furet.dtypes import TensorType


def test_json_has_everything(furet: Furet, model: Path) -> None:
    result = furet("inspect", model, "--json")
    found = json.loads(result.out)
    assert result.code == 0 and not result.err
    assert found["architecture"] == "llama" and found["format"] == "GGUF version 3, little endian"
    assert found["bytes"] == model.stat().st_size
    embedding = next(tensor for tensor in found["tensors"] if tensor["name"] == "token_embd.weight")
    assert (
        embedding["type"] == "F32" and embedding["shape"] == [261, 64] and embedding["bytes"] == 261 * 64 * 4
    )
    assert found["metadata"]["llama.block_count"] == 2
    assert found["metadata"]["tokenizer.ggml.tokens"]["length"] == 261
    assert found["tokenizer"]["eos_token_id"] == {"id": 260, "text": "<|im_end|>"}
    assert "<|im_start|>" in found["chat_template"]


def test_text_has_the_sections(furet: Furet, model: Path) -> None:
    shown = furet("inspect", model).out
    for section in ("metadata", "tokenizer", "chat template", "tensors", "types", "odd"):
        assert f"\n{section}\n" in shown
    assert "blk.1.attn_q.weight" in shown and "64 x 64" in shown


def odd(furet: Furet, path: Path, made: tiny.TinyModel, **options: object) -> str:
    result = furet("inspect", tiny.write(path / "odd.gguf", made, **options), "--json")
    assert result.code == 0
    return "\n".join(json.loads(result.out)["odd"])


def test_unread_keys(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True, keys={"nobody.knows": 1})
    assert "does not run here" in (found := odd(furet, tmp_path, made)) and "llama.nobody.knows" in found


def test_a_missing_tensor(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    del made.tensors["blk.1.attn_q.weight"]
    assert "blk.1.attn_q.weight" in odd(furet, tmp_path, made)


def test_mixed_types(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    other = tiny.model("llama", tokenizer=True, types="F16")
    name = "blk.1.attn_q.weight"
    made.tensors[name], made.blocks[name] = other.tensors[name], other.blocks[name]
    assert "mixed types in attn_q.weight: 1 F32, 1 F16" in odd(furet, tmp_path, made)


def test_a_type_without_kernels(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    name = "blk.0.attn_q.weight"
    blocks = np.zeros(64 * 64 * 8, np.uint8)
    made.put(name, TensorType.F64, (64, 64), blocks)
    assert "no kernels for F64" in odd(furet, tmp_path, made)


def test_tokenizer_and_template(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    made.metadata["tokenizer.ggml.pre"] = "klingon"
    del made.metadata["tokenizer.chat_template"]
    found = odd(furet, tmp_path, made)
    assert "klingon" in found and "no chat template" in found
    assert "tokenizer.ggml.padding_token_id is missing" in found


def test_special_tokens(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    made.metadata["tokenizer.ggml.padding_token_id"] = made.metadata["tokenizer.ggml.eos_token_id"]
    assert "same token" in odd(furet, tmp_path, made)


def test_a_sound_model_has_little_that_is_odd(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    made.metadata["tokenizer.ggml.padding_token_id"] = made.metadata["tokenizer.ggml.bos_token_id"]
    assert odd(furet, tmp_path, made) == ""


def test_metadata_cannot_steer_the_terminal(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    made.metadata["general.name"] = "\x1b[2Jgone"
    made.metadata["tokenizer.chat_template"] = "{{ '\x1b[2J' }}"
    made.metadata["general.license"] = "\x1b]0;title\x07"
    result = furet("inspect", tiny.write(tmp_path / "odd.gguf", made))
    assert result.code == 0 and "\x1b" not in result.out and "\x07" not in result.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04" + bytes(60), "zip archive"),
        (b"tjgg" + bytes(60), "ggjt version 0 is not known"),
        (b"algg" + bytes(60), "GGLA adapter"),
        (b"GGUF" + bytes(60), "at byte"),
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_files_that_are_not_gguf(furet: Furet, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    result = furet("inspect", path)
    assert (result.code, result.out) == (4, "") and said in result.err and str(path) in result.err


def test_json_of_what_is_no_model(furet: Furet, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(4))
    result = furet("inspect", tmp_path / "model.gguf", "--json")
    found = json.loads(result.out)
    assert result.code == 4 and found["format"] == "gguf" and found["bytes"] == 12
    assert found["wrong"] in result.err and found["next"] in result.err and isinstance(found["offset"], int)


# A folder of Hugging Face


def folder(path: Path, case: str = "llama", **options: bool) -> Path:
    from parity.checkpoint import save

    return save(case, path, **options)


@pytest.mark.parametrize("torch", [False, True])
def test_a_folder(furet: Furet, tmp_path: Path, torch: bool) -> None:
    result = furet("inspect", folder(tmp_path, torch=torch), "--json")
    found = json.loads(result.out)
    assert result.code == 0 and found["path"] == str(tmp_path)
    assert found["format"].endswith("a PyTorch checkpoint" if torch else "safetensors")
    assert (found["model_type"], found["architecture"], found["family"]) == ("llama", "llama", "llama")
    assert found["config"]["hidden_size"] == 64 and found["metadata"]["llama.embedding_length"] == 64
    by_name = {tensor["name"]: tensor for tensor in found["tensors"]}
    query = by_name["blk.1.attn_q.weight"]
    assert query["from"] == ["model.layers.1.self_attn.q_proj.weight"] and query["bytes"] == 64 * 64 * 4
    assert {tensor["name"] for tensor in found["stored"]} == {name for t in found["tensors"] for name in t["from"]}
    assert any(sentence.startswith("tokenizer: ") for sentence in found["odd"]) and found["left_out"] == []


def test_a_folder_named_by_one_of_its_files(furet: Furet, tmp_path: Path) -> None:
    folder(tmp_path)
    by_file = json.loads(furet("inspect", tmp_path / "model.safetensors", "--json").out)
    assert by_file == json.loads(furet("inspect", tmp_path, "--json").out)


def test_the_text_of_a_folder_has_both_names(furet: Furet, tmp_path: Path) -> None:
    shown = furet("inspect", folder(tmp_path, "mixtral")).out
    for section in ("config.json", "metadata", "tensors", "types", "odd"):
        assert f"\n{section}\n" in shown
    assert "blk.0.ffn_gate_exps.weight" in shown and "block_sparse_moe" in shown and "and 3 more" in shown


def test_a_folder_with_a_tokenizer_and_a_template(furet: Furet, tmp_path: Path) -> None:
    words = {f"w{i}": i for i in range(95)} | {"<|im_start|>": 95, "<|im_end|>": 96}
    folder(tmp_path)
    special = [{"id": 95, "content": "<|im_start|>"}, {"id": 96, "content": "<|im_end|>"}]
    document = {
        "model": {"type": "BPE", "vocab": words, "merges": []},
        "added_tokens": [{**entry, "special": True} for entry in special],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    found = json.loads(furet("inspect", tmp_path, "--json").out)
    assert found["tokenizer"]["tokens"] == 97 and {"id": 96, "text": "<|im_end|>"} in found["tokenizer"]["stops"]
    assert "preset 'chatml'" in found["chat"] and "tokens suggest it" in found["chat"]
    (tmp_path / "chat_template.jinja").write_text(tiny.CHATML)
    found = json.loads(furet("inspect", tmp_path, "--json").out)
    assert found["chat"] == "by its own template" and found["chat_template"] == tiny.CHATML


def test_a_folder_of_an_unknown_family(furet: Furet, tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "klingon", "deep": [[[[[[[[1]]]]]]]]}))
    found = json.loads(furet("inspect", tmp_path, "--json").out)
    assert not found["runs"] and "does not run here" in found["odd"][0] and "klingon" in found["odd"][0]
    assert found["parameters"] > 0 and found["tensors"][0]["offset"] > 0
    assert "klingon" in furet("inspect", tmp_path).out


def test_an_encoder_embeds(furet: Furet, tmp_path: Path) -> None:
    found = json.loads(furet("inspect", folder(tmp_path, "bert"), "--json").out)
    assert found["chat"] == "none: it embeds texts" and "no chat template" not in "".join(found["odd"])


# Tensors alone


@pytest.mark.parametrize("torch", [False, True])
def test_weights_alone(furet: Furet, tmp_path: Path, torch: bool) -> None:
    folder(tmp_path, torch=torch)
    (tmp_path / "config.json").unlink()
    path = tmp_path / ("pytorch_model.bin" if torch else "model.safetensors")
    for given in (path, tmp_path):
        found = json.loads(furet("inspect", given, "--json").out)
        assert found["missing"] == ["config.json", "tokenizer.json or tokenizer.model"] and not found["runs"]
        assert "model.norm.weight" in {tensor["name"] for tensor in found["tensors"]}
    shown = furet("inspect", path).out
    assert "does not run here: config.json and tokenizer.json" in shown and "\ntypes\n" in shown


def test_an_adapter(furet: Furet, tmp_path: Path) -> None:
    from parity.checkpoint import write_safetensors

    tensors = {"base.layers.0.q_proj.lora_A.weight": np.ones((2, 4), np.float32)}
    write_safetensors(tmp_path / "adapter_model.safetensors", tensors)
    assert "adapter (LoRA)" in furet("inspect", tmp_path / "adapter_model.safetensors").out


# Files of before GGUF, and folders of none of these


def test_old_ggml(furet: Furet, tmp_path: Path) -> None:
    import ggml_writer

    path = tmp_path / "ggml-model-q5_0.bin"
    ggml_writer.write(path, ggml_writer.model("gptj"), "ggml", "Q5_0")
    found = json.loads(furet("inspect", path, "--json").out)
    assert found["format"] == "GGML, ggml" and found["written_for"].startswith("gptj")
    assert found["architecture"] == "gptj" and found["vocabulary"] == ggml_writer.V and found["header"]["n_layer"] == 2
    by_name = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert by_name["blk.0.attn_q.weight"]["from"] == ["transformer.h.0.attn.q_proj.weight"]
    assert {tensor["type"] for tensor in found["stored"]} >= {"F32", "Q5_0"}
    shown = furet("inspect", path).out
    assert "\nheader\n" in shown and "written for" in shown


def test_a_folder_without_a_model(furet: Furet, tmp_path: Path) -> None:
    assert furet("inspect", tmp_path).code == 4
    for name in ("one.gguf", "two.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    result = furet("inspect", tmp_path)
    assert result.code == 4 and "one.gguf, two.gguf" in result.err


def test_nothing_there(furet: Furet, tmp_path: Path) -> None:
    for name in ("none.gguf", "none.safetensors"):
        assert furet("inspect", tmp_path / name).code == 3
    assert furet("inspect", "smollm2").code == 3
