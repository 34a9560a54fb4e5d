"""A model of any format as one GGUF file: types and values, metadata, all or nothing, and little memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray
from parity.checkpoint import save

from furet import quant
from furet.convert import open_model
from furet.convert.hugging_face import open_folder
from furet.convert.write import Progress, write_model
from furet.dtypes import TensorType
from furet.errors import BadRequest, FuretError
from furet.families import read_model
from furet.files.gguf import GGUF, ValueType, open_gguf
from furet.ops import Source

F32, F16, BF16, Q8_0 = TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0


def values(model: Source, name: str) -> NDArray[np.float32]:
    tensor = model.tensors[name]
    return quant.decode(tensor.type, model.data(name), tensor.shape)


def types(model: GGUF) -> set[TensorType]:
    """Of the matrices."""
    return {tensor.type for tensor in model.tensors.values() if len(tensor.shape) > 1}


def quantised(folder: Path, **options: object) -> Path:
    """A GGUF file with Q4_K and Q8_0 matrices and a tokenizer."""
    made = tiny.model("llama", types={"*": "Q4_K", "attn_v": "Q8_0"}, C=256, F=512, tokenizer=True)
    return tiny.write(folder / "quantised.gguf", made, **options)


# Types and values


@pytest.mark.parametrize("kind", [F32, F16, BF16, Q8_0], ids=lambda kind: kind.name)
def test_values_are_those_of_the_type(kind: TensorType, tmp_path: Path) -> None:
    """What is written is exactly what encoding each tensor gives; vectors are what they were."""
    with open_folder(save("llama", tmp_path), tokenizer=False) as source:
        write_model(source, tmp_path / "m.gguf", kind)
        with open_gguf(tmp_path / "m.gguf") as written:
            read_model(written)
            assert types(written) == {kind}
            assert written.tensors.keys() == source.tensors.keys()
            for name, tensor in source.tensors.items():
                wanted = source.data(name)
                if len(tensor.shape) > 1:
                    wanted = quant.encode(kind, values(source, name))
                assert written.tensors[name].type == (kind if len(tensor.shape) > 1 else F32)
                np.testing.assert_array_equal(written.data(name), wanted)


def test_a_big_tensor_is_encoded_as_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("furet.convert.write.ROWS", 1000)  # 15 rows of 64 values
    with open_folder(save("llama", tmp_path), tokenizer=False) as source:
        write_model(source, tmp_path / "m.gguf", Q8_0)
        with open_gguf(tmp_path / "m.gguf") as written:
            wanted = quant.encode(Q8_0, values(source, "token_embd.weight"))
            np.testing.assert_array_equal(written.data("token_embd.weight"), wanted)


def test_rows_of_no_whole_blocks_become_halves(tmp_path: Path) -> None:
    made = tiny.model("llama", F=80)
    source = open_gguf(tiny.write(tmp_path / "in.gguf", made))
    write_model(source, tmp_path / "m.gguf", Q8_0)
    with open_gguf(tmp_path / "m.gguf") as written:
        assert written.tensors["blk.0.ffn_down.weight"].type == F16  # rows of 80
        assert written.tensors["blk.0.ffn_up.weight"].type == Q8_0  # rows of 64
        wanted = quant.encode(F16, values(source, "blk.0.ffn_down.weight"))
        np.testing.assert_array_equal(written.data("blk.0.ffn_down.weight"), wanted)


@pytest.mark.parametrize("kind", [None, F16, Q8_0])
def test_what_a_family_wants_exact_stays_float32(kind: TensorType | None, tmp_path: Path) -> None:
    """The router of a mixture of experts chooses; a matrix, but never rounded."""
    with open_folder(save("mixtral", tmp_path), tokenizer=False) as source:
        write_model(source, tmp_path / "m.gguf", kind)
        with open_gguf(tmp_path / "m.gguf") as written:
            for name in ("blk.0.ffn_gate_inp.weight", "blk.1.attn_norm.weight"):
                assert written.tensors[name].type == F32
                np.testing.assert_array_equal(written.data(name), source.data(name))
            assert written.tensors["blk.0.ffn_up_exps.weight"].type == (kind or F32)
            assert written.tensors["blk.0.ffn_up_exps.weight"].shape == source.tensors["blk.0.ffn_up_exps.weight"].shape


def test_without_a_type_quantised_tensors_stay_as_they_are(tmp_path: Path) -> None:
    with open_gguf(quantised(tmp_path)) as source:
        write_model(source, tmp_path / "m.gguf")
        with open_gguf(tmp_path / "m.gguf") as written:
            assert types(written) == {TensorType.Q4_K, Q8_0}
            for name in source.tensors:
                np.testing.assert_array_equal(written.data(name), source.data(name))


def test_quantised_tensors_can_be_made_floats(tmp_path: Path) -> None:
    with open_gguf(quantised(tmp_path)) as source:
        write_model(source, tmp_path / "m.gguf", F32)
        with open_gguf(tmp_path / "m.gguf") as written:
            assert types(written) == {F32}
            for name in source.tensors:
                np.testing.assert_array_equal(values(written, name), values(source, name))


@pytest.mark.parametrize("kind", [TensorType.Q4_K, TensorType.I8, TensorType.F64])
def test_other_types_are_refused(kind: TensorType, tmp_path: Path) -> None:
    with open_gguf(quantised(tmp_path)) as source, pytest.raises(BadRequest, match=kind.name.lower()) as caught:
        write_model(source, tmp_path / "m.gguf", kind)
    assert "q8_0" in caught.value.hint and not (tmp_path / "m.gguf").exists()


# Metadata


def test_gguf_to_gguf_keeps_metadata_and_its_types(tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    made.metadata |= {"general.author": "é", "custom.list": [1, 2], "split.count": 1, "split.no": 0}
    wire = {"llama.context_length": ValueType.UINT64, "llama.rope.freq_base": ValueType.FLOAT32}
    tiny.write(tmp_path / "in.gguf", made, types=wire)
    with open_gguf(tmp_path / "in.gguf") as source:
        write_model(source, tmp_path / "m.gguf", F16)
        with open_gguf(tmp_path / "m.gguf") as written:
            assert written.types["llama.context_length"] is ValueType.UINT64
            added = {"general.file_type": 1, "general.quantization_version": 2}
            wanted = {key: source.metadata[key] for key in source.metadata if not key.startswith("split.")} | added
            found = dict(written.metadata)
            assert found.keys() == wanted.keys()
            for key, value in wanted.items():
                assert list(found[key]) == list(value) if hasattr(value, "__len__") else found[key] == value


@pytest.mark.parametrize(("kind", "number"), [(F32, 0), (F16, 1), (Q8_0, 7), (BF16, 32)])
def test_a_file_says_of_which_type_most_of_it_is(kind: TensorType, number: int, tmp_path: Path) -> None:
    with open_folder(save("llama", tmp_path), tokenizer=False) as source:
        write_model(source, tmp_path / "m.gguf", kind)
    with open_gguf(tmp_path / "m.gguf") as written:
        assert written.metadata["general.file_type"] == number


def test_a_big_endian_file_becomes_a_little_endian_one(tmp_path: Path) -> None:
    little = quantised(tmp_path)
    big = quantised(tmp_path / "..", byteorder="big")
    for kind in (None, F16):
        with open_model(big) as source:
            write_model(source, tmp_path / "m.gguf", kind)
        with open_gguf(tmp_path / "m.gguf") as written, open_gguf(little) as wanted:
            assert written.byteorder == "little"
            for name in wanted.tensors:
                exact = values(wanted, name)
                if kind and exact.ndim > 1:
                    exact = exact.astype(np.float16).astype(np.float32)
                np.testing.assert_array_equal(values(written, name), exact)


# All or nothing


class Stop(Exception):
    pass


def stop_at(share: float) -> Progress:
    def progress(done: int, total: int) -> None:
        if done >= share * total:
            raise Stop

    return progress


def test_an_interruption_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with open_gguf(quantised(tmp_path)) as source:
        with pytest.raises(Stop):
            write_model(source, folder / "m.gguf", F16, stop_at(0.5))
        assert list(folder.iterdir()) == []
        (folder / "m.gguf").write_bytes(b"before")
        with pytest.raises(Stop):
            write_model(source, folder / "m.gguf", F16, stop_at(0.5))
    assert [path.read_bytes() for path in folder.iterdir()] == [b"before"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with open_gguf(quantised(tmp_path)) as source:
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(FuretError, match="the disk has 1000 free"):
            write_model(source, folder / "m.gguf", F16)
    assert list(folder.iterdir()) == []


def test_progress_counts_bytes_up_to_all_of_them(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with open_gguf(quantised(tmp_path)) as source:
        write_model(source, tmp_path / "m.gguf", F16, lambda done, total: seen.append((done, total)))
        assert len(seen) == len(source.tensors) + 1
    with open_gguf(tmp_path / "m.gguf") as written:
        total = sum(tensor.nbytes for tensor in written.tensors.values())
    assert seen == sorted(seen) and seen[0] == (0, total) and seen[-1] == (total, total)


# Memory


def many_matrices(folder: Path, tensor: int, count: int) -> tuple[Path, int]:
    """A model of `count` layers whose matrices have at most `tensor` values."""
    made = tiny.model("llama", types="F16", C=256, F=tensor // 256, L=count)
    path = tiny.write(folder / "large.gguf", made)
    return path, path.stat().st_size


def test_no_more_than_a_tensor_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest is made in whole; beside it there are a few of its rows as float32."""
    monkeypatch.setattr("furet.convert.write.ROWS", 1 << 14)
    path, size = many_matrices(tmp_path, 1 << 18, 12)
    with open_gguf(path) as source:
        write_model(source, tmp_path / "warm.gguf", Q8_0)
        tracemalloc.start()
        write_model(source, tmp_path / "m.gguf", Q8_0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    largest = (1 << 18) // 32 * 34
    assert size > 20e6 and peak < largest + 5e5


RUN = """
import resource, sys
from pathlib import Path
from furet.convert import open_model
from furet.convert.write import write_model
from furet.dtypes import TensorType
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    with open_model(Path(name)) as source:
        write_model(source, Path(name + ".out"), TensorType.F16)
    print(peak())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss in kB")
def test_the_process_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of one layer, then one of twenty: pages that were read are given back."""
    small, _ = many_matrices(tmp_path, 1 << 18, 1)
    small = small.rename(tmp_path / "small.gguf")
    large, size = many_matrices(tmp_path, 1 << 18, 20)
    run = subprocess.run([sys.executable, "-c", RUN, small, large], capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert size > 30e6 and (after - before) * 1024 < size / 4
