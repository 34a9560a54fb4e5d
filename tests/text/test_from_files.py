"""What the files of a folder say together: which tokens are special, what is added, what ends an answer."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path

import pytest
from documents import QWEN, document, written
from tokenizer_fuzz import strings

from furet.errors import ModelFileError, NotFound, UnsupportedModel
from furet.text.from_files import metadata_from_folder
from furet.text.json_metadata import json_metadata

DATA = Path(__file__).parent / "data"


def keys(folder, **options):
    """The `tokenizer.ggml` keys of a folder, without their prefix."""
    found = metadata_from_folder(folder, **options)
    return {key.removeprefix("tokenizer.ggml."): value for key, value in found.items()}


def template(*names):
    """A post-processor that puts these around a text, which is None."""
    pieces = [{"Sequence": {"id": "A"}} if name is None else {"SpecialToken": {"id": name}} for name in names]
    return {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing", "single": pieces}]}


def test_no_tokenizer_at_all(tmp_path):
    with pytest.raises(NotFound, match="no tokenizer"):
        metadata_from_folder(tmp_path)


def test_special_tokens_by_name_and_by_id(tmp_path):
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": "no such token"}
    files = {"tokenizer_config": config, "special_tokens_map": {"eos_token": "<s>", "unk_token": "<unk>"}}
    files["config"] = {"bos_token_id": 3, "pad_token_id": 3, "eos_token_id": 10**9}
    found = keys(written(tmp_path, document("gpt2"), **files))
    assert (found["bos_token_id"], found["eos_token_id"], found["unknown_token_id"]) == (1, 2, 0)
    assert found["padding_token_id"] == 3
    assert found["eos_token_ids"].tolist() == [2]
    assert "eot_token_id" not in found


def test_ends_are_the_union_of_what_the_files_say(tmp_path, made):
    tree = document("gpt2")
    written(tmp_path, tree, tokenizer_config={"eos_token": "</s>"}, generation_config={"eos_token_id": [3, 20, 2]})
    found = keys(tmp_path)
    assert found["eos_token_ids"].tolist() == [2, 3, 20]
    assert (found["eos_token_id"], found["eot_token_id"]) == (2, 3)
    assert made(metadata_from_folder(tmp_path)).stop_ids == {2, 3, 20}
    written(tmp_path, tree, config={"eos_token_id": 21}, generation_config={})
    assert keys(tmp_path)["eos_token_ids"].tolist() == [2, 21]


def test_text_that_looks_like_an_end_is_none_where_the_files_say_what_ends(tmp_path, made):
    """A GGUF file of unknown making has its stop tokens guessed; here an ordinary token stays one."""
    tree = document("gpt2")
    tree["model"]["vocab"]["<|eot_id|>"] = len(tree["model"]["vocab"])
    tokenizer = made(metadata_from_folder(written(tmp_path, tree, config={"eos_token_id": 2})))
    assert tokenizer.stop_ids == {2, 3}  # <|im_end|> is an added token
    assert len(tokenizer.encode("<|eot_id|>")) > 1


def test_what_is_added_comes_from_the_template(tmp_path, made):
    def added(*names, **config):
        tree = document("gpt2") | {"post_processor": template(*names)}
        tokenizer = made(metadata_from_folder(written(tmp_path, tree, tokenizer_config=config)))
        return tokenizer.encode("the")

    inner = added(None)
    assert added("<s>", None) == [1, *inner]
    assert added("<s>", None, "</s>") == [1, *inner, 2]
    assert added("<s>", "<unk>", None) == inner  # two have no counterpart
    assert added(None, bos_token="<s>", add_bos_token=True) == [1, *inner]
    assert added("<s>", None, "</s>", add_bos_token=False, add_eos_token=False) == inner
    assert added(None, add_bos_token=True) == inner  # there is none to add


def test_bert_s_way_of_saying_it(tmp_path, made):
    tree = document("wordpiece") | {
        "post_processor": {"type": "BertProcessing", "cls": ["<s>", 1], "sep": ["</s>", 2]},
    }
    tokenizer = made(metadata_from_folder(written(tmp_path, tree)))
    assert tokenizer.encode("")[0] == 1
    assert tokenizer.encode("")[-1] == 2


def sentencepiece_folder(folder, form="bpe-bytes", **files):
    folder.joinpath("tokenizer.model").write_bytes(lzma.decompress((DATA / f"{form}.model.xz").read_bytes()))
    for name, content in files.items():
        folder.joinpath(f"{name}.json").write_text(json.dumps(content))
    return folder


def test_tokens_added_to_a_sentencepiece_model(tmp_path, made):
    count = len(keys(sentencepiece_folder(tmp_path))["tokens"])
    config = {
        "add_bos_token": False,
        "added_tokens_decoder": {
            str(count + 2): {"content": "<|im_end|>", "special": True},
            "0": {"content": "<unk>", "special": True},
            "no number": {"content": "x"},
        },
    }
    sentencepiece_folder(tmp_path, tokenizer_config=config, added_tokens={"<tool>": count})
    found, pad = keys(tmp_path, vocab_size=count + 5), "[PAD{}]"
    padding = [pad.format(count + place) for place in (1, 3, 4)]
    assert found["tokens"][count:] == ["<tool>", padding[0], "<|im_end|>", *padding[1:]]
    assert found["token_type"][count:].tolist() == [4, 5, 3, 5, 5]
    assert len(found["scores"]) == count + 5
    tokenizer = made(metadata_from_folder(tmp_path))
    assert tokenizer.encode("<tool><|im_end|>") == [count, count + 2]
    assert (tokenizer.bos_id, tokenizer.stop_ids) == (1, {2, count + 2})


def test_tokenizer_json_goes_before_tokenizer_model(tmp_path):
    written(sentencepiece_folder(tmp_path), document("gpt2"))
    assert keys(tmp_path)["model"] == "gpt2"


@pytest.mark.parametrize(("name", "form"), [("", "gpt2"), ("Qwen2Tokenizer", "qwen2")])
def test_vocab_json_and_merges_give_what_tokenizer_json_does(tmp_path, made, name, form):
    tree = document(form)
    merges = ["#version: 0.2", *(" ".join(pair) for pair in tree["model"]["merges"]), ""]
    (tmp_path / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
    (tmp_path / "vocab.json").write_text(json.dumps(tree["model"]["vocab"]))
    added = {str(each["id"]): {**each} for each in tree["added_tokens"]}
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": name, "added_tokens_decoder": added})
    )
    ours, wanted = made(metadata_from_folder(tmp_path)), made(json_metadata(json.dumps(tree))[0])
    assert ours.vocabulary.rules.compose == (form == "qwen2")
    for text in strings(60, seed=6):
        assert ours.encode(text) == wanted.encode(text)
    assert QWEN  # the pattern that the class name stands for is written out in the tests


def test_vocab_txt_gives_what_tokenizer_json_does(tmp_path, made):
    tree = json.loads(json.dumps(document("wordpiece")).replace("<unk>", "[UNK]").replace('"</s>"', '"[SEP]"'))
    tree = json.loads(json.dumps(tree).replace('"<s>"', '"[CLS]"').replace("<|im_end|>", "[MASK]"))
    names = sorted(tree["model"]["vocab"], key=tree["model"]["vocab"].__getitem__)
    (tmp_path / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    ours, wanted = made(metadata_from_folder(tmp_path)), made(json_metadata(json.dumps(tree))[0])
    for text in strings(60, seed=7):
        assert ours.encode(text, add_special=False) == wanted.encode(text, add_special=False)
    assert ours.encode("") == [names.index("[CLS]"), names.index("[SEP]")]
    cased = tmp_path / "tokenizer_config.json"
    cased.write_text('{"do_lower_case": false}')
    assert not made(metadata_from_folder(tmp_path)).vocabulary.rules.lowercase


def test_chat_templates_come_along(tmp_path):
    written(tmp_path, document("gpt2"), tokenizer_config={"chat_template": "{{ messages }}"})
    assert metadata_from_folder(tmp_path)["tokenizer.chat_template"] == "{{ messages }}"


def test_xlm_roberta_s_numbering_needs_the_json(tmp_path):
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"")
    with pytest.raises(UnsupportedModel, match="otherwise"):
        metadata_from_folder(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer_config", "special_tokens_map", "config", "generation_config"])
@pytest.mark.parametrize("content", ["[]", "{", '"x"', "\xff"])
def test_damaged_settings_name_their_file(tmp_path, name, content):
    written(tmp_path, document("gpt2"))
    (tmp_path / f"{name}.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelFileError, match=f"{name}.json"):
        metadata_from_folder(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"])
def test_damaged_vocabularies_name_their_file(tmp_path, name):
    (tmp_path / "merges.txt").write_text("a b\n")
    (tmp_path / name).write_bytes(b"\xff{")
    with pytest.raises(ModelFileError, match=name) as caught:
        metadata_from_folder(tmp_path)
    assert caught.value.path == tmp_path / name


def test_settings_of_odd_types_are_left_alone(tmp_path):
    odd = {"bos_token": 3, "eos_token": {"content": []}, "added_tokens_decoder": [1], "add_bos_token": "yes"}
    config = {"eos_token_id": "2", "bos_token_id": True, "pad_token_id": [[]], "text_config": 3}
    found = keys(written(tmp_path, document("gpt2"), tokenizer_config=odd, config=config))
    assert not {"bos_token_id", "eos_token_id", "padding_token_id", "eos_token_ids"} & set(found)


def test_a_large_file_is_not_read(tmp_path):
    written(tmp_path, document("gpt2"))
    with (tmp_path / "tokenizer_config.json").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelFileError, match="more than"):
        metadata_from_folder(tmp_path)


def test_what_is_written_reads_back_the_same(tmp_path, made):
    """Through a GGUF file, for every kind."""
    from furet.files.gguf import open_gguf
    from furet.files.gguf_writer import write_gguf

    forms = ("gpt2", "unigram", "wordpiece", "gemma")
    folders = {form: written(_new(tmp_path / form), document(form)) for form in forms}
    folders["sp"] = sentencepiece_folder(_new(tmp_path / "sp"), "unigram")
    for name, folder in folders.items():
        metadata = metadata_from_folder(folder)
        write_gguf(folder / "x.gguf", {"general.architecture": "llama", **metadata}, [])
        with open_gguf(folder / "x.gguf") as file:
            ours, wanted = made(file.metadata), made(metadata)
            for text in strings(20, seed=name):
                assert ours.encode(text) == wanted.encode(text)
            assert ours.vocabulary.rules == wanted.vocabulary.rules
    shutil.rmtree(tmp_path / "sp")


def _new(path):
    path.mkdir()
    return path
