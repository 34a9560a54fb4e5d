"""Old GGML files seen as GGUF: names, order of rows, keys and vocabularies, and the same logits."""

from __future__ import annotations

import json
from pathlib import Path

import ggml_writer as writer
import numpy as np
import pytest
from numpy.typing import NDArray

from furet import quant
from furet.convert.old_ggml import OldModel, open_old_ggml
from furet.convert.old_ggml_merges import merges_of
from furet.convert.old_ggml_words import raw_words
from furet.dtypes import TensorType
from furet.errors import ModelFileError
from furet.files.gguf import open_gguf, write_gguf
from furet.ops import Source, reference
from furet.text.bytelevel import byte_alphabet
from furet.text.from_gguf import tokenizer_from_metadata


def seen(folder: Path, made: writer.Model, generation: str, kind: str = "F16", **options: object) -> OldModel:
    exact = bool(options.pop("exact", True))
    writer.write(folder / "m.bin", made, generation, kind, **options)
    return open_old_ggml(folder / "m.bin", exact=exact)


def values(model: Source, name: str) -> NDArray[np.float32]:
    info = model.tensors[name]
    return quant.decode(info.type, model.data(name), info.shape)


# Tensors

TENSORS = {  # of each architecture: GGUF's name, and that of the old file
    "llama": {"token_embd.weight": "tok_embeddings.weight", "blk.1.ffn_gate.weight": "layers.1.feed_forward.w1.weight"},
    "gpt2": {"position_embd.weight": "model/wpe", "blk.0.attn_qkv.bias": "model/h0/attn/c_attn/b"},
    "starcoder1": {"blk.0.attn_qkv.weight": "model/h0/attn/c_attn/w", "output_norm.bias": "model/ln_f/b"},
    "gptj": {"output.bias": "lm_head.bias", "blk.1.ffn_up.bias": "transformer.h.1.mlp.fc_in.bias"},
    "gptneox": {"blk.0.ffn_norm.bias": "gpt_neox.layers.0.post_attention_layernorm.bias"},
    "mpt": {"blk.1.attn_qkv.weight": "transformer.blocks.1.attn.Wqkv.weight"},
    "replit": {"blk.1.ffn_down.weight": "transformer.blocks.1.ffn.down_proj.weight"},
    "falcon": {"blk.1.attn_norm.bias": "transformer.h.1.input_layernorm.bias"},
    "falcon40": {
        "blk.1.attn_norm.bias": "transformer.h.1.ln_mlp.bias",
        "blk.1.attn_norm_2.weight": "transformer.h.1.ln_attn.weight",
    },
    "rwkv": {
        "token_embd_norm.bias": "blocks.0.ln0.bias",
        "blk.1.time_mix_decay.weight": "blocks.1.att.time_decay",
        "blk.1.channel_mix_lerp_r.weight": "blocks.1.ffn.time_mix_r",
    },
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_have_ggufs_names_and_the_files_values(name, tmp_path):
    made = writer.model(name)
    with seen(tmp_path, made, writer.generation_for(name), "F32") as model:
        assert len(model.tensors) == len(made.tensors)
        for new, old in TENSORS[name].items():
            np.testing.assert_array_equal(values(model, new), made.tensors[old])


@pytest.mark.parametrize("name", TENSORS)
def test_the_gguf_package_knows_every_name(name, tmp_path):
    package = pytest.importorskip("gguf")
    with seen(tmp_path, writer.model(name), writer.generation_for(name)) as model:
        architecture = model.metadata["general.architecture"]
        known = {"rwkv4": package.MODEL_ARCH.RWKV6}.get(architecture)
        for kind, spelt in package.MODEL_ARCH_NAMES.items():
            known = kind if spelt == architecture else known
        patterns = {package.TENSOR_NAMES[tensor] for tensor in package.MODEL_TENSORS[known]}
        for tensor in model.tensors:
            base = tensor.removesuffix(".weight").removesuffix(".bias").replace("blk.0.", "blk.{bid}.")
            assert base.replace("blk.1.", "blk.{bid}.") in patterns


@pytest.mark.parametrize("kind", ["F32", "Q4_0", "Q5_1"])
def test_rows_of_gptneox_that_alternate_by_head_follow_each_other(kind, tmp_path):
    made = writer.model("gptneox")
    expected = writer.write(tmp_path / "m.bin", made, "ggml", kind, version=1)
    with open_old_ggml(tmp_path / "m.bin") as model:
        for end in ("weight", "bias"):
            old = expected[f"gpt_neox.layers.1.attention.query_key_value.{end}"]
            name, size = f"blk.1.attn_qkv.{end}", writer.C // writer.H
            new = values(model, name)
            for head in range(writer.H):
                for third in range(3):
                    np.testing.assert_array_equal(
                        new[third * writer.C + head * size :][:size], old[(3 * head + third) * size :][:size]
                    )
            stretch = np.empty(77, np.uint8)
            model.read(name, 45, stretch.data)
            np.testing.assert_array_equal(stretch, model.data(name)[45 : 45 + 77])


def test_widened_and_rounded_tensors_are_named_in_ggufs_words(tmp_path):
    with seen(tmp_path, writer.model("gptj"), "ggml", "Q4_1") as model:
        assert "blk.0.ffn_up.weight" in model.widened
        assert model.rounded == ()
    with seen(tmp_path, writer.model("gptj"), "ggml", "Q4_1", exact=False) as model:
        assert "blk.0.ffn_up.weight" in model.rounded
        assert model.widened == ()


# Keys


@pytest.mark.parametrize(
    ("name", "architecture", "wanted"),
    [
        ("gpt2", "gpt2", {"context_length": 48, "attention.head_count": 4, "feed_forward_length": 64}),
        ("starcoder", "gpt2", {"block_count": 2}),
        ("starcoder1", "starcoder", {"attention.head_count_kv": 1}),
        ("gptj", "gptj", {"rope.dimension_count": 8}),
        ("gptneox", "gptneox", {"rope.dimension_count": 4, "use_parallel_residual": True}),
        ("mpt", "mpt", {"attention.max_alibi_bias": 8.0}),
        ("replit", "mpt", {"attention.max_alibi_bias": 8.0}),
        ("falcon40", "falcon", {"attention.head_count_kv": 2}),
        ("rwkv", "rwkv4", {"embedding_length": 32}),
    ],
)
def test_header_fields_become_keys(name, architecture, wanted, tmp_path):
    with seen(tmp_path, writer.model(name), writer.generation_for(name)) as model:
        assert model.metadata["general.architecture"] == architecture
        for key, value in wanted.items():
            assert model.metadata[f"{architecture}.{key}"] == value


@pytest.mark.parametrize(
    ("generation", "kv_heads", "epsilon", "context"),
    [("ggjt v2", 4, 1e-6, 2048), ("ggjt v3", 4, 5e-6, 2048), ("ggjt v3", 2, 1e-5, 4096)],
)
def test_what_llama_files_do_not_say_is_what_was_usual(generation, kv_heads, epsilon, context, tmp_path):
    made = writer.model("llama")
    for name in made.tensors:
        if name.endswith(("wk.weight", "wv.weight")):
            made.tensors[name] = made.tensors[name][: 8 * kv_heads]
    with seen(tmp_path, made, generation) as model:
        assert model.metadata["llama.attention.head_count_kv"] == kv_heads
        assert model.metadata["llama.attention.layer_norm_rms_epsilon"] == np.float32(epsilon)
        assert model.metadata["llama.context_length"] == context


# The same model in both formats

LLAMA = {
    **{"tok_embeddings": "token_embd", "norm": "output_norm", "output": "output", "attention_norm": "attn_norm"},
    **{"attention.wq": "attn_q", "attention.wk": "attn_k", "attention.wv": "attn_v", "ffn_norm": "ffn_norm"},
    **{"attention.wo": "attn_output", "feed_forward.w1": "ffn_gate", "feed_forward.w2": "ffn_down"},
    "feed_forward.w3": "ffn_up",
}


def gguf_of(folder: Path, made: writer.Model, expected: dict[str, writer.Values]) -> Path:
    """The GGUF file that the model would have been, written by hand."""
    rows = []
    for old, array in expected.items():
        prefix, layer, rest = "", "", old
        if old.startswith("layers."):
            _, layer, rest = old.split(".", 2)
            prefix = f"blk.{layer}."
        name = f"{prefix}{LLAMA[rest.removesuffix('.weight')]}.weight"
        rows.append((name, TensorType.F32, array.shape, np.ascontiguousarray(array, np.float32)))
    sizes = dict(made.header)
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": sizes["n_layer"],
        "llama.embedding_length": sizes["n_embd"],
        "llama.feed_forward_length": writer.F,
        "llama.context_length": 2048,
        "llama.attention.head_count": sizes["n_head"],
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.vocab_size": writer.V,
    }
    write_gguf(folder / "m.gguf", metadata, rows)
    return folder / "m.gguf"


def logits(source: Source) -> NDArray[np.float64]:
    from furet.families import read_model

    model = read_model(source)
    tokens = np.arange(3, 90, 7)
    cache = reference.Cache()
    rows = np.arange(len(tokens))
    return np.asarray(reference.step(model.forward, reference.decoder(source), tokens, [(cache, len(rows))], rows))


@pytest.mark.parametrize(
    ("generation", "kind"),
    [("ggml", "F16"), ("ggml", "Q4_0"), ("ggmf v1", "Q4_1"), ("ggjt v1", "Q4_0"), ("ggjt v2", "Q5_1")],
)
def test_logits_are_those_of_the_same_model_as_gguf(generation, kind, tmp_path):
    made = writer.model("llama")
    made = writer.unscored(made) if generation == "ggml" else made
    expected = writer.write(tmp_path / "m.bin", made, generation, kind)
    with open_old_ggml(tmp_path / "m.bin") as old, open_gguf(gguf_of(tmp_path, made, expected)) as new:
        np.testing.assert_array_equal(logits(old), logits(new))


@pytest.mark.parametrize("name", writer.NAMES)
def test_written_as_gguf_nothing_is_lost(name, tmp_path):
    with seen(tmp_path, writer.model(name), writer.generation_for(name), "Q5_0") as model:
        rows = [(info.name, info.type, info.shape, model.data(info.name)) for info in model.tensors.values()]
        write_gguf(tmp_path / "m.gguf", model.metadata, rows)
        with open_gguf(tmp_path / "m.gguf") as written:
            assert dict(written.metadata).keys() == dict(model.metadata).keys()
            for info in model.tensors.values():
                assert written.tensors[info.name].type == info.type
                np.testing.assert_array_equal(written.data(info.name), model.data(info.name))


# Vocabularies


def test_llama_words_become_pieces(tmp_path):
    made = writer.model("llama")
    made.words[259:263] = [b" a", b"b", " é".encode(), b"<pad>"]
    made.scores[262] = -1000.0
    with seen(tmp_path, made, "ggjt v3") as model:
        metadata = model.metadata
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    assert tokens[:5] == ["<unk>", "<s>", "</s>", "<0x00>", "<0x01>"]
    assert tokens[258:263] == ["<0xFF>", "\u2581a", "b", "\u2581é", "<pad>"]
    assert types[:4].tolist() == [2, 3, 3, 6]
    assert types[258:263].tolist() == [6, 1, 1, 1, 4]
    assert metadata["tokenizer.ggml.scores"][:263].tolist() == made.scores[:263]
    tokenizer = tokenizer_from_metadata(metadata)
    assert tokenizer.encode("a é\n") == [1, 259, 261, 13]


def test_llama_words_without_scores_are_ranked_by_their_ids(tmp_path):
    made = writer.unscored(writer.model("llama"))
    made.words[259:262] = [b"ab", b"a", b"b"]
    with seen(tmp_path, made, "ggml") as model:
        assert model.metadata["tokenizer.ggml.scores"][:3].tolist() == [0, -1, -2]
        assert tokenizer_from_metadata(model.metadata).encode("ab")[-1] == 259


@pytest.mark.parametrize("name", ["gpt2", "gptneox", "falcon40"])
def test_byte_level_words_become_tokens_and_merges(name, tmp_path):
    made = writer.model(name)
    with seen(tmp_path, made, writer.generation_for(name)) as model:
        metadata = model.metadata
    assert metadata["tokenizer.ggml.tokens"][257:260] == ["th", "the", "Ġthe"]
    assert metadata["tokenizer.ggml.token_type"][0] == 3
    assert metadata["tokenizer.ggml.eos_token_id"] == 0
    found = metadata["tokenizer.ggml.merges"]
    assert found == (["t h", "th e"] if made.merges else [*_MERGES])
    tokenizer = tokenizer_from_metadata(metadata)
    assert tokenizer.decode(tokenizer.encode("thé and ü")) == "thé and ü"
    assert len(tokenizer.encode("the")) == 1


_MERGES = (
    *("t h", "th e", "Ġ the", "i n", "a n", "an d", "Ġ and", "in g", "Ġ t", "e r", "o u"),
    *("y ou", "Ġ you", "Ã ©", "t Ã©"),
)


def test_merges_of_a_trained_vocabulary_are_found_again():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    texts = [path.read_text() for path in sorted(Path(writer.__file__).parent.glob("*/*.py"))[:12]]
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = [chr(code) for code in byte_alphabet()]
    trainer = trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=alphabet, special_tokens=["<|endoftext|>", "<|padding|>"]
    )
    library.train_from_iterator(texts, trainer)
    trained = json.loads(library.to_str())["model"]
    back = {char: byte for byte, char in enumerate(alphabet)}
    words = [b""] * len(trained["vocab"])
    for text, number in trained["vocab"].items():
        words[number] = text.encode() if number < 2 else bytes(back[char] for char in text)
    spelt = list(trained["vocab"])
    spelt.sort(key=trained["vocab"].__getitem__)
    found = [[spelt[left], spelt[right]] for left, right in merges_of(words).values()]
    assert len(found) > 1000
    assert found == [list(pair) for pair in trained["merges"]]


def test_words_too_long_to_merge_are_refused():
    with pytest.raises(ModelFileError, match="too long"):
        merges_of([b"ab" * 2048] * 10_000)


def test_latin_1_words_stand_for_bytes():
    words = writer.byte_level_words()
    written = [word.decode("latin-1").encode() for word in words]
    assert raw_words(written) == words


def test_of_decoded_words_single_bytes_are_found_again_and_others_are_lost(tmp_path):
    made = writer.model("gptneox")
    words = [*made.words[:-1], b"\xc3", b"   "]
    made.words = [word.decode("utf-8", "replace").encode() for word in words][: writer.V]
    found = raw_words(made.words)
    assert found[1:257] == words[1:257]
    made.words[-1] = b"   "
    with seen(tmp_path, made, "ggml") as model:
        metadata = model.metadata
    assert metadata["tokenizer.ggml.tokens"][-1] == "   "
    assert metadata["tokenizer.ggml.token_type"][-1] == 4
    assert tokenizer_from_metadata(metadata).decode([1 + 94 + 7]) == "\ufffd"


def test_rwkv_files_have_no_vocabulary_but_may_have_one_beside_them(tmp_path):
    for count, there in ((0, False), (writer.V - 5, False), (writer.V, True)):
        if count:
            words = {f"w{number}": number for number in range(count)}
            (tmp_path / "vocab.json").write_text(json.dumps(words))
            (tmp_path / "merges.txt").write_text("#version: 0.2\n")
        with seen(tmp_path, writer.model("rwkv"), "ggmf v101") as model:
            assert ("tokenizer.ggml.tokens" in model.metadata) == there


@pytest.mark.parametrize("name", writer.NAMES)
def test_a_family_runs_every_architecture(name, tmp_path):
    with seen(tmp_path, writer.model(name, layers=1), writer.generation_for(name), "Q5_1") as model:
        assert np.isfinite(logits(model)).all()
