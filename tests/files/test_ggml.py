"""GGML files of every generation and architecture, as an independent writer makes them, give their values back."""

from __future__ import annotations

import os
from pathlib import Path

import ggml_writer as writer
import numpy as np
import pytest

from furet import quant
from furet.dtypes import TensorType
from furet.errors import ModelFileError, NotFound, UnsupportedModel
from furet.files.ggml import GGML, open_ggml

KINDS = ("F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
WIDE = ("Q4_0", "Q4_1", "Q8_0")  # whose scales were float32


def small(name: str) -> writer.Model:
    return writer.model(name, layers=1)


def values(model: GGML, name: str) -> np.ndarray:
    info = model.tensors[name]
    return quant.decode(info.type, model.data(name), info.shape)


def check_values(model: GGML, expected: dict[str, writer.Values]) -> None:
    assert set(model.tensors) == set(expected)
    for name, wanted in expected.items():
        assert model.tensors[name].shape == wanted.shape
        np.testing.assert_array_equal(values(model, name).view(np.uint32), wanted.view(np.uint32), name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("generation", writer.GENERATIONS)
def test_llama_of_every_generation_and_type(generation, kind, tmp_path):
    made = small("llama")
    expected = writer.write(
        tmp_path / "m.bin", writer.unscored(made) if generation == "ggml" else made, generation, kind
    )
    with open_ggml(tmp_path / "m.bin") as model:
        assert (model.generation, model.architecture) == (generation, "llama")
        assert model.header["n_mult"] == 32
        check_values(model, expected)
        old = generation != "ggjt v3" and kind in WIDE
        assert model.tensors["output.weight"].type is TensorType["F32" if old else kind]
        assert model.tensors["norm.weight"].type is TensorType.F32


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("name", [name for name in writer.NAMES if writer.generation_for(name) == "ggml"])
def test_every_architecture_under_the_one_magic_is_told_from_the_others(name, version, tmp_path):
    for kind in ("F16", "Q4_1", "Q5_0"):
        expected = writer.write(tmp_path / "m.bin", small(name), "ggml", kind, version=version)
        with open_ggml(tmp_path / "m.bin") as model:
            assert model.architecture == {"starcoder1": "starcoder"}.get(name, name)
            assert model.header["ftype"] == writer.FILE_TYPE[kind] + 1000 * version
            check_values(model, expected)


@pytest.mark.parametrize("generation", ["ggmf v100", "ggmf v101"])
@pytest.mark.parametrize("kind", ["F32", "Q4_1", "Q5_0", "Q8_0"])
def test_rwkv_counts_types_in_its_own_way(generation, kind, tmp_path):
    expected = writer.write(tmp_path / "m.bin", small("rwkv"), generation, kind)
    with open_ggml(tmp_path / "m.bin") as model:
        assert (model.generation, model.architecture, model.vocabulary) == (generation, "rwkv", [])
        check_values(model, expected)


def test_falcon_of_the_ggcc_kind_has_merges(tmp_path):
    made = small("falcon40")
    expected = writer.write(tmp_path / "m.bin", made, "ggcc v10", "Q4_0")
    with open_ggml(tmp_path / "m.bin") as model:
        assert (model.architecture, model.variant) == ("falcon", "two norms a layer")
        assert model.merges == made.merges
        assert [word for word, _ in model.vocabulary] == made.words
        check_values(model, expected)


@pytest.mark.parametrize("kind", ["Q4_2", "Q4_3"])
def test_blocks_of_sixteen_values_are_given_as_floats(kind, tmp_path):
    expected = writer.write(tmp_path / "m.bin", small("llama"), "ggjt v1", kind)
    with open_ggml(tmp_path / "m.bin") as model:
        check_values(model, expected)
        assert "output.weight" in model.widened


@pytest.mark.parametrize("kind", sorted(writer.K_BYTES))
def test_k_quants_are_as_they_are_today(kind, tmp_path):
    writer.write(tmp_path / "m.bin", writer.model("llama", columns=256, ff=256, layers=1), "ggjt v3", kind)
    with open_ggml(tmp_path / "m.bin") as model:
        info = model.tensors["output.weight"]
        assert info.type is TensorType[kind]
        assert info.nbytes == writer.V * writer.K_BYTES[kind] == len(model.data("output.weight"))
        assert info.offset % 32 == 0


@pytest.mark.parametrize("generation", ["ggjt v1", "ggjt v2"])
@pytest.mark.parametrize("kind", WIDE)
def test_float32_scales_that_are_float16_numbers_keep_the_type(generation, kind, tmp_path):
    expected = writer.write(tmp_path / "m.bin", small("llama"), generation, kind, f16_scales=True)
    with open_ggml(tmp_path / "m.bin") as model:
        assert model.widened == model.rounded == ()
        assert model.tensors["layers.0.attention.wq.weight"].type is TensorType[kind]
        check_values(model, expected)


def test_one_scale_that_is_no_float16_number_widens_its_tensor_and_no_other(tmp_path):
    made = small("llama")
    writer.write(tmp_path / "m.bin", made, "ggjt v2", "Q4_0", f16_scales=True)
    with open_ggml(tmp_path / "m.bin") as model:
        info = model.stored["layers.0.feed_forward.w2.weight"]
        at = info.pieces[0][1] + info.nbytes - 20
        assert model.widened == ()
    data = bytearray((tmp_path / "m.bin").read_bytes())
    data[at : at + 4] = np.float32(0.1).tobytes()
    (tmp_path / "m.bin").write_bytes(data)
    with open_ggml(tmp_path / "m.bin") as model:
        assert model.widened == ("layers.0.feed_forward.w2.weight",)
        assert values(model, model.widened[0]).reshape(-1)[-32:] == pytest.approx(
            np.float32(0.1) * (_halves(data[at + 4 : at + 20]) - 8), rel=1e-7
        )


def _halves(packed: bytes) -> np.ndarray:
    return np.array([byte & 15 for byte in packed] + [byte >> 4 for byte in packed], np.float32)


@pytest.mark.parametrize("kind", WIDE)
def test_scales_are_rounded_only_when_asked(kind, tmp_path):
    expected = writer.write(tmp_path / "m.bin", small("llama"), "ggjt v1", kind)
    with open_ggml(tmp_path / "m.bin", exact=False) as model:
        name = "layers.0.feed_forward.w1.weight"
        assert model.tensors[name].type is TensorType[kind]
        assert name in model.rounded
        error = np.abs(values(model, name) - expected[name]).max()
        assert 0 < error < np.abs(expected[name]).max() / 1024


def test_words_and_scores(tmp_path):
    made = small("llama")
    writer.write(tmp_path / "m.bin", made, "ggjt v1")
    with open_ggml(tmp_path / "m.bin") as model:
        assert model.vocabulary == list(zip(made.words, made.scores, strict=True))
    writer.write(tmp_path / "m.bin", writer.unscored(made), "ggml")
    with open_ggml(tmp_path / "m.bin") as model:
        assert model.vocabulary == [(word, None) for word in made.words]


@pytest.mark.parametrize("kind", ["F16", "Q4_0", "Q5_1"])
def test_any_stretch_of_a_tensor_reads_as_it_lies_in_the_whole(kind, tmp_path):
    for part, made in enumerate(writer.parts(writer.model("llama", columns=64, ff=64, layers=1), 2)):
        writer.write(tmp_path / f"m.bin{'.1' * part}", made, "ggmf v1", kind, f16_scales=kind == "Q4_0")
    rng = np.random.default_rng(1)
    with open_ggml(tmp_path / "m.bin") as model:
        for name in ("tok_embeddings.weight", "layers.0.attention.wo.weight", "output.weight", "norm.weight"):
            whole = model.data(name)
            for _ in range(20):
                start, end = sorted(rng.integers(0, len(whole) + 1, 2))
                out = np.empty(end - start, np.uint8)
                model.read(name, int(start), out.data)
                np.testing.assert_array_equal(out, whole[start:end])


# Parts


def write_parts(folder: Path, count: int, generation: str = "ggmf v1", kind: str = "F16") -> writer.Model:
    made = small("llama")
    for part, each in enumerate(writer.parts(made, count)):
        name = f"ggml-model.bin.{part}" if part else "ggml-model.bin"
        writer.write(folder / name, writer.unscored(each) if generation == "ggml" else each, generation, kind)
    return made


@pytest.mark.parametrize(("count", "kind"), [(2, "F32"), (4, "F16"), (2, "Q4_0"), (2, "Q5_0")])
@pytest.mark.parametrize("generation", ["ggml", "ggmf v1"])
def test_parts_are_joined(generation, count, kind, tmp_path):
    columns = 128 if "Q" in kind else 64
    made = writer.model("llama", columns=columns, ff=128, layers=1)
    expected = {}
    for part, each in enumerate(writer.parts(made, count)):
        name = f"m.bin.{part}" if part else "m.bin"
        each = writer.unscored(each) if generation == "ggml" else each
        for tensor, piece in writer.write(tmp_path / name, each, generation, kind).items():
            expected.setdefault(tensor, []).append(piece)
    with open_ggml(tmp_path / f"m.bin.{count - 1}") as model:  # any part will do
        assert len(model.paths) == count
        assert model.axes["C"] == columns
        for name, pieces in expected.items():
            axis = 1 if name.endswith(("embeddings.weight", "wo.weight", "w2.weight")) else 0
            wanted = np.concatenate(pieces, axis) if pieces[0].ndim == 2 else pieces[0]
            np.testing.assert_array_equal(values(model, name), wanted)


def test_a_part_on_its_own_is_named_as_such(tmp_path):
    write_parts(tmp_path, 2)
    (tmp_path / "ggml-model.bin.1").unlink()
    with pytest.raises(ModelFileError, match=r"one of 2 parts .* as ggml-model\.bin\.1"):
        open_ggml(tmp_path / "ggml-model.bin")


def test_a_missing_part_in_between_is_named(tmp_path):
    write_parts(tmp_path, 4)
    (tmp_path / "ggml-model.bin.2").unlink()
    with pytest.raises(NotFound, match=r"the part ggml-model\.bin\.2 of this model is missing"):
        open_ggml(tmp_path / "ggml-model.bin")


def test_parts_of_two_models_are_refused(tmp_path):
    write_parts(tmp_path, 2)
    other = writer.parts(writer.model("llama", layers=1, ff=128), 2)[1]
    writer.write(tmp_path / "ggml-model.bin.1", other, "ggmf v1", "F16")
    with pytest.raises(ModelFileError, match="does not belong to"):
        open_ggml(tmp_path / "ggml-model.bin")


def test_a_whole_model_is_not_taken_for_a_part_of_its_neighbour(tmp_path):
    writer.write(tmp_path / "model", small("llama"), "ggmf v1")
    writer.write(tmp_path / "model.1", writer.model("llama", layers=2), "ggmf v1")
    with open_ggml(tmp_path / "model.1") as model:
        assert model.header["n_layer"] == 2


# Other ways in which headers were written


def changed(made: writer.Model, drop: str = "", **fields: int) -> writer.Model:
    header = [(name, fields.pop(name, value)) for name, value in made.header if name != drop]
    assert not fields
    return writer.Model(header, made.tensors, made.words, made.scores, made.counted)


def open_variant(folder: Path, made: writer.Model, generation: str = "ggml") -> GGML:
    writer.write(folder / "m.bin", made, generation, "F16")
    return open_ggml(folder / "m.bin")


def test_gptneox_before_it_had_par_res(tmp_path):
    with open_variant(tmp_path, changed(small("gptneox"), drop="par_res")) as model:
        assert (model.architecture, model.variant) == ("gptneox", "before par_res")


def test_replit_as_it_was_first_written(tmp_path):
    made = small("replit")
    size = dict(made.header)
    fields = ("alibi_bias_max", "d_model", "max_seq_len", "mlp_ratio", "n_heads", "n_layers", "n_vocab")
    made.header = [(name, size.get(name, 8 if name == "alibi_bias_max" else 4)) for name in fields]
    with open_variant(tmp_path, made) as model:
        assert model.variant == "with alibi_bias_max"


def test_falcon_with_and_without_its_own_fields(tmp_path):
    made = small("falcon40")
    scored = writer.Model(made.header, made.tensors, made.words, made.scores)
    plain = writer.Model(made.header, made.tensors, made.words)
    for each, generation in ((scored, "ggjt v3"), (plain, "ggml"), (changed(plain, "n_falcon_type"), "ggml")):
        with open_variant(tmp_path, each, generation) as model:
            assert (model.architecture, model.axes["K"]) == ("falcon", 2)


def test_llama_with_shared_keys(tmp_path):
    made = small("llama")
    for kind in "kv":
        name = f"layers.0.attention.w{kind}.weight"
        made.tensors[name] = made.tensors[name][: writer.C // 2]
    with open_variant(tmp_path, made, "ggjt v3") as model:
        assert model.axes["N"] == writer.C // 2


def test_one_word_fewer_than_the_header_counts(tmp_path):
    made = writer.unscored(small("llama"))
    made.words.pop()
    with open_variant(tmp_path, made) as model:
        assert model.variant == "one word fewer than n_vocab"
        assert len(model.vocabulary) == writer.V - 1


# Refusals


def refusal(folder: Path, data: bytes, error: type[Exception] = ModelFileError) -> str:
    (folder / "bad.bin").write_bytes(data)
    with pytest.raises(error) as caught:
        open_ggml(folder / "bad.bin")
    return str(caught.value)


def test_a_refusal_says_how_far_each_architecture_came(tmp_path):
    made = small("gpt2")
    made.words[3] = b"x" * 5000
    says = refusal(tmp_path, writer.build(made, "ggml").data)
    for name in ("llama", "gpt2", "gptj", "gptneox", "starcoder", "mpt", "replit", "falcon"):
        assert f"\n  {name}" in says
    assert "word 3 would have 5000 bytes" in says


def test_a_refusal_after_tensors_were_found_speaks_of_that_architecture_alone(tmp_path):
    made = small("gptj")
    made.tensors["transformer.h.0.attn.qq_proj.weight"] = made.tensors.pop("transformer.h.0.attn.q_proj.weight")
    says = refusal(tmp_path, writer.build(made, "ggml").data)
    assert "transformer.h.0.attn.qq_proj.weight has no place in 1 layers" in says
    assert "gptneox" not in says


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.pop("norm.weight"), "tensor norm.weight is missing"),
        (lambda t: t.update({"layers.1.ffn_norm.weight": t["norm.weight"]}), "has no place in 1 layers"),
        (lambda t: t.update({"norm.weight": t["norm.weight"][:-1]}), r"tensor norm.weight is \[31\], wanted \[32\]"),
        (lambda t: t.update({"output.weight": t["norm.weight"]}), r"tensor output.weight is \[32\], wanted V by C"),
        (lambda t: t.update({"n\x07": t["norm.weight"]}), "a tensor's name would be"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change, why, tmp_path):
    made = small("llama")
    change(made.tensors)
    (tmp_path / "bad.bin").write_bytes(writer.build(made, "ggjt v1").data)
    with pytest.raises(ModelFileError, match=why):
        open_ggml(tmp_path / "bad.bin")


def test_a_tensor_twice(tmp_path):
    made = small("llama")
    again = writer.Model([], {"norm.weight": made.tensors["norm.weight"]}, [])
    data = writer.build(made, "ggmf v1").data + writer.build(again, "ggmf v1").data[12:]
    assert "tensor norm.weight occurs twice" in refusal(tmp_path, bytes(data))


def test_a_type_that_the_generation_does_not_have(tmp_path):
    data = writer.build(writer.model("llama", columns=256, ff=256, layers=1), "ggjt v3", "Q4_K").data
    data[4] = 2
    assert "is of type Q4_K, which ggjt v2 files do not have" in refusal(tmp_path, data)


def test_other_versions_and_other_files(tmp_path):
    assert "ggjt version 4 is not known" in refusal(tmp_path, b"tjgg\4\0\0\0", UnsupportedModel)
    assert "ends before the version" in refusal(tmp_path, b"tjgg")
    assert "begins with b'GGUF'" in refusal(tmp_path, b"GGUF\3\0\0\0")
    assert "begins with b''" in refusal(tmp_path, b"")
    assert "4 bytes" in refusal(tmp_path, b"lmgg")
    with pytest.raises(NotFound):
        open_ggml(tmp_path / "nowhere.bin")
    with pytest.raises(ModelFileError, match="is a directory"):
        open_ggml(tmp_path)


def test_a_file_that_is_cut_short_while_open_is_noticed(tmp_path):
    writer.write(tmp_path / "m.bin", small("llama"), "ggjt v1", "Q4_0")
    with open_ggml(tmp_path / "m.bin", exact=False) as model:
        os.truncate(tmp_path / "m.bin", 1000)
        for name in ("norm.weight", "output.weight"):
            with pytest.raises(ModelFileError, match="was cut short"):
                model.data(name)


def test_data_lives_on_and_memory_is_given_back(tmp_path):
    writer.write(tmp_path / "m.bin", small("llama"), "ggjt v3", "Q4_0")
    with open_ggml(tmp_path / "m.bin") as model:
        before = bytes(model.data("output.weight"))
        model.release("output.weight")
        held = model.data("output.weight")
        assert not held.flags.writeable
    assert bytes(held) == before
