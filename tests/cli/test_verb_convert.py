"""`furet convert`: from a folder, an old file or a GGUF file to a GGUF file, and what it refuses to do."""

from __future__ import annotations

import json
from pathlib import Path

import ggml_writer
import pytest
from commandline import Furet
from parity.checkpoint import save

from furet.files.gguf import open_gguf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Hugging Face folder with a tokenizer."""
    path = tmp_path / "Tiny-Llama"
    path.mkdir()
    vocab = {chr(0x100 + i): i for i in range(97)}
    (path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocab, "merges": []}}))
    return save("llama", path)


def test_a_folder_becomes_a_file_that_runs(furet: Furet, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.gguf"
    result = furet("convert", folder, path, "--type", "q8_0")
    assert (result.code, result.out) == (0, f"{path}\n")
    assert "out.gguf" in result.err and " in " in result.err
    assert furet("run", path, "Ā", "-n", "2", "--temperature", "0").code == 0
    found = json.loads(furet("inspect", path, "--json").out)
    assert found["runs"] and found["metadata"]["general.file_type"] == 7


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16", "q8_0", "Q8_0"])
def test_json(furet: Furet, folder: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.gguf"
    found = json.loads(furet("convert", folder, path, "--type", kind, "--json").out)
    assert found["path"] == str(path) and found["bytes"] == path.stat().st_size
    assert found["architecture"] == "llama" and found["from"] == str(folder) and found["tensors"] == 21
    with open_gguf(path) as written:
        assert written.tensors["blk.0.attn_q.weight"].type.name == kind.upper()


@pytest.mark.parametrize(("options", "name"), [((), "Tiny-Llama.gguf"), (("--type", "f16"), "Tiny-Llama-f16.gguf")])
def test_the_usual_name(
    furet: Furet, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], name: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert furet("convert", folder, *options).out == f"{name}\n"
    assert Path(name).is_file()


def test_an_old_file(furet: Furet, tmp_path: Path) -> None:
    ggml_writer.write(tmp_path / "old.bin", ggml_writer.model("llama"), "ggjt v1", "Q4_0")
    assert furet("convert", tmp_path / "old.bin", tmp_path / "new.gguf").code == 0
    assert json.loads(furet("inspect", tmp_path / "new.gguf", "--json").out)["architecture"] == "llama"


def test_a_gguf_file_in_another_type(furet: Furet, model: Path, tmp_path: Path) -> None:
    assert furet("convert", model, tmp_path / "half.gguf", "--type", "f16").code == 0
    with open_gguf(model) as before, open_gguf(tmp_path / "half.gguf") as after:
        assert after.metadata["tokenizer.chat_template"] == before.metadata["tokenizer.chat_template"]
        assert after.file_bytes < before.file_bytes


# What it refuses


def test_what_is_there_is_kept_unless_forced(furet: Furet, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.gguf"
    path.write_bytes(b"before")
    result = furet("convert", folder, path)
    assert result.code == 2 and "there already" in result.err and "--force" in result.err
    assert path.read_bytes() == b"before"
    assert furet("convert", folder, path, "--force").code == 0 and path.read_bytes()[:4] == b"GGUF"


def test_what_is_read_is_not_written_over(furet: Furet, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(model.read_bytes())
    (tmp_path / "link.gguf").symlink_to(copy)
    for target in (copy, tmp_path / "link.gguf"):
        result = furet("convert", copy, target, "--type", "f16", "--force")
        assert result.code == 2 and "would be read" in result.err
    assert copy.read_bytes() == model.read_bytes()


def test_targets_that_cannot_be(furet: Furet, folder: Path, tmp_path: Path) -> None:
    result = furet("convert", folder, tmp_path)
    assert result.code == 2 and "is a folder" in result.err
    result = furet("convert", folder, tmp_path / "none" / "out.gguf")
    assert result.code == 3 and "no such folder" in result.err


def test_no_space(furet: Furet, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 10

    monkeypatch.setattr("shutil.disk_usage", lambda path: Full)
    result = furet("convert", folder, tmp_path / "out.gguf")
    assert result.code == 1 and "the disk has 10 free" in result.err and "free some space" in result.err
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize("kind", ["q9_9", "q4_k", "i8", ""])
def test_types_that_it_cannot_write(furet: Furet, folder: Path, tmp_path: Path, kind: str) -> None:
    result = furet("convert", folder, tmp_path / "out.gguf", f"--type={kind}")
    assert result.code == 2 and "q8_0" in result.err and not (tmp_path / "out.gguf").exists()


def test_what_is_no_model(furet: Furet, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.bin"
    page.write_text("<!DOCTYPE html><html></html>")
    result = furet("convert", page, tmp_path / "out.gguf")
    assert result.code == 4 and "web page" in result.err
    assert furet("convert", tmp_path / "none", tmp_path / "out.gguf").code == 3
    (folder / "config.json").unlink()
    for source in (folder, folder / "model.safetensors"):
        result = furet("convert", source, tmp_path / "out.gguf")
        assert result.code in (3, 4) and "config.json" in result.err
    assert not (tmp_path / "out.gguf").exists()


def test_a_model_of_an_unknown_family(furet: Furet, folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "klingon"}))
    result = furet("convert", folder, tmp_path / "out.gguf")
    assert result.code == 4 and "klingon" in result.err and "known types" in result.err
