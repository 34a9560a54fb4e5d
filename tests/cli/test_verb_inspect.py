"""`furet inspect`: facts, oddities, and what is not a model."""

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
        (b"tjgg" + bytes(60), "GGJT"),
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_files_that_are_not_gguf(furet: Furet, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    result = furet("inspect", path)
    assert (result.code, result.out) == (4, "") and said in result.err and str(path) in result.err


def test_nothing_there(furet: Furet, tmp_path: Path) -> None:
    assert furet("inspect", tmp_path / "none.gguf").code == 3
    assert furet("inspect", "smollm2").code == 3
