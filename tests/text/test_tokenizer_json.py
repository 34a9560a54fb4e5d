"""tokenizer.json of every form gives the tokens that `tokenizers` gives, by our tables or by the library."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from documents import document, written
from tokenizer_fuzz import strings
from vocabularies import SPACE

from furet.errors import FuretError, ModelFileError, UnsupportedModel
from furet.text.from_files import metadata_from_folder
from furet.text.json_metadata import json_metadata
from furet.text.tokenizer_json import JSON

KINDS = {
    **{"gpt2": "byte-level", "prefixed": "library", "qwen2": "byte-level", "wordpiece": "wordpiece"},
    **{"unigram": "library", "metaspace": "library", "llama": "sentencepiece", "gemma": "sentencepiece"},
}


@pytest.mark.parametrize("form", KINDS)
def test_every_form_gives_the_tokens_of_tokenizers(tmp_path, made, form):
    from tokenizers import Tokenizer

    tree = document(form)
    tree["added_tokens"].append(
        {"id": 10_000, "content": "<tool>", "special": False, "normalized": False}
        | dict.fromkeys(("lstrip", "rstrip", "single_word"), False)
    )
    tree["added_tokens"][-1]["id"] = len(tree["model"]["vocab"])
    tokenizer = made(metadata_from_folder(written(tmp_path, tree)))
    assert tokenizer.vocabulary.rules.kind == KINDS[form]
    reference = Tokenizer.from_str(json.dumps(tree))
    controls = {1, 2, 3}
    for text in [*strings(150, seed=form), "", "  a<tool>b </s>", "Å\u0301 e\u0301\u0323"]:
        for special in (True, False):
            reference.encode_special_tokens = not special
            wanted = reference.encode(text, add_special_tokens=False).ids
            ours = tokenizer.encode(text, parse_special=special, add_special=False)
            if special or controls.isdisjoint(wanted):
                assert ours == wanted, repr(text)
            else:
                assert controls.isdisjoint(ours)


def test_the_json_comes_along_only_where_our_tables_fall_short(tmp_path):
    for form, kind in KINDS.items():
        metadata = metadata_from_folder(written(tmp_path, document(form)))
        assert (JSON in metadata) == (kind == "library"), form
        assert ("tokenizer.ggml.pre" in metadata) == (form in ("gpt2", "qwen2")), form


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_added_tokens_with_rules_of_their_own_go_to_the_library(tmp_path, made, flag):
    from tokenizers import Tokenizer

    tree = document("gpt2")
    tree["added_tokens"][3][flag] = True
    tokenizer = made(metadata_from_folder(written(tmp_path, tree)))
    reference = Tokenizer.from_str(json.dumps(tree))
    for text in ("a <|im_end|> b", "a<|im_end|>b", " <|im_end|>"):
        assert tokenizer.encode(text) == reference.encode(text).ids


def test_a_name_that_the_model_makes_of_plain_text_is_broken_up(tmp_path, made):
    """Unigram has "</s>" among its pieces: from outside it must stay text, and no text may be lost."""
    tree = document("unigram")
    tokenizer = made(metadata_from_folder(written(tmp_path, tree)))
    ids = tokenizer.encode("</s>" * 40 + "the</s>", parse_special=False)
    assert not set(ids) & {1, 2, 3}
    assert "the" in tokenizer.decode(ids)
    assert tokenizer.encode("</s>", parse_special=True) == [2]


def test_characters_that_the_vocabulary_lacks_are_unknown_either_way(tmp_path, made):
    tokenizer = made(metadata_from_folder(written(tmp_path, document("metaspace"))))
    for special in (True, False):
        assert 0 in tokenizer.encode("a \u4e00\U0001f980", parse_special=special)


def test_padding_holes_and_types(tmp_path, made):
    tree = document("gpt2")
    count = len(tree["model"]["vocab"])
    tree["added_tokens"].append({**tree["added_tokens"][0], "id": count, "content": "<tool>", "special": False})
    metadata = metadata_from_folder(written(tmp_path, tree), vocab_size=count + 4)
    assert metadata["tokenizer.ggml.tokens"][-4:] == ["<tool>", *(f"[PAD{count + n}]" for n in (1, 2, 3))]
    assert metadata["tokenizer.ggml.token_type"][[0, 3, 4, -4, -1]].tolist() == [3, 3, 1, 4, 5]
    assert made(metadata).vocab_size == count + 4


def test_decoding_gives_the_text_back(tmp_path, made):
    for form in ("gpt2", "llama", "gemma"):
        tokenizer = made(metadata_from_folder(written(tmp_path, document(form))))
        for text in strings(40, seed=3):
            text = text.replace(SPACE, "")  # which SentencePiece takes for a space
            assert tokenizer.decode(tokenizer.encode(text, parse_special=False), skip_special=False) == text, form


def test_threads_share_one(tmp_path, made):
    tokenizer = made(metadata_from_folder(written(tmp_path, document("unigram"))))
    texts = list(strings(60, seed=8))
    wanted = [(tokenizer.encode(text), tokenizer.encode(text, parse_special=False)) for text in texts]
    found = [[] for _ in range(4)]

    def work(place):
        for text in texts:
            found[place].append((tokenizer.encode(text), tokenizer.encode(text, parse_special=False)))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


def test_ids_beyond_the_listed_tokens_are_refused(tmp_path, made):
    metadata = metadata_from_folder(written(tmp_path, document("unigram")))
    for key in ("tokens", "token_type", "scores"):
        metadata[f"tokenizer.ggml.{key}"] = metadata[f"tokenizer.ggml.{key}"][:-1]
    with pytest.raises(ModelFileError, match=r"only \d+"):
        made(metadata)


def _with(path, value):
    def change(tree):
        *way, last = path
        for key in way:
            tree = tree[key]
        tree[last] = value

    return change


SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
BAD = {
    "no model": _with(["model"], None),
    "unknown model": _with(["model", "type"], "Neural"),
    "vocab is a list": _with(["model", "vocab"], []),
    "vocab is empty": _with(["model", "vocab"], {}),
    "id is a string": _with(["model", "vocab", "a"], "1"),
    "id is huge": _with(["model", "vocab", "a"], 2**40),
    "id makes a long list": _with(["model", "vocab", "a"], 100_000),
    "half a surrogate pair": _with(["model", "unk_token"], "\ud800"),
    "type is an object": _with(["model", "type"], {"a": 1}),
    "cut's type is an object": _with(["pre_tokenizer"], {"type": {}}),
    "id is negative": _with(["model", "vocab", "a"], -1),
    "id twice": _with(["model", "vocab", "zzz"], 7),
    "merges are a number": _with(["model", "merges"], 3),
    "merge of one": _with(["model", "merges"], ["a"]),
    "merge of unknown": _with(["model", "merges"], ["qqq zzz"]),
    "end of word": _with(["model", "end_of_word_suffix"], "</w>"),
    "prefix is huge": _with(["model", "continuing_subword_prefix"], "x" * 10_000),
    "added is a string": _with(["added_tokens"], ["<s>"]),
    "added without id": _with(["added_tokens"], [{"content": "<s>"}]),
    "added with a huge id": _with(["added_tokens", 0, "id"], 2**60),
    "added under another's id": _with(["added_tokens", 0, "id"], 9),
    "added is empty": _with(["added_tokens", 0, "content"], ""),
    "added is long": _with(["added_tokens", 0, "content"], "x" * 300),
    "normaliser unknown": _with(["normalizer"], {"type": "Python"}),
    "normaliser is a list": _with(["normalizer"], []),
    "normaliser grows": _with(["normalizer"], {"type": "Prepend", "prepend": "x" * 10_000}),
    "normalisers grow": _with(
        ["normalizer"],
        {
            "type": "Sequence",
            "normalizers": [{"type": "Replace", "pattern": {"String": "x"}, "content": "x" * 50}] * 9,
        },
    ),
    "charsmap is no base64": _with(["normalizer"], {"type": "Precompiled", "precompiled_charsmap": "!"}),
    "charsmap is cut": _with(["normalizer"], {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "sequences without end": _with(
        ["pre_tokenizer"], {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}] * 1000}
    ),
    "cut unknown": _with(["pre_tokenizer"], {"type": "Shell"}),
    "catastrophic": _with(["pre_tokenizer"], SPLIT | {"pattern": {"Regex": "(a+)+$"}}),
    "long pattern": _with(["pre_tokenizer"], SPLIT | {"pattern": {"Regex": "a|" * 9000}}),
    "empty pattern": _with(["pre_tokenizer"], SPLIT | {"pattern": {"String": ""}}),
    "no pattern": _with(["pre_tokenizer"], SPLIT | {"pattern": 3}),
    "bad regular expression": _with(["pre_tokenizer"], SPLIT | {"pattern": {"Regex": "[z-a]"}}),
}


@pytest.mark.parametrize("case", BAD)
def test_damage_and_malice_are_typed_errors(tmp_path, made, case):
    tree = document("gpt2")
    BAD[case](tree)
    with pytest.raises((ModelFileError, UnsupportedModel)) as caught:
        made(metadata_from_folder(written(tmp_path, tree)))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text", ["", "[]", "nul", "[" * 100_000, '{"a":' * 50_000, "\x00", '{"model": 1e999}', "[," * 3_000_000]
)
def test_no_json_no_tokenizer(text):
    with pytest.raises((ModelFileError, UnsupportedModel)):
        json_metadata(text)


def test_padding_and_truncation_of_the_file_do_nothing(tmp_path, made):
    tree = document("unigram")
    tree["padding"] = {"strategy": {"Fixed": 2**40}, "direction": "Right", "pad_id": 0, "pad_type_id": 0}
    tree["padding"] |= {"pad_to_multiple_of": 2**40, "pad_token": "<s>"}
    tree["truncation"] = {"max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    tokenizer = made(metadata_from_folder(written(tmp_path, tree)))
    assert len(tokenizer.encode("the ferret is small")) > 3


def test_random_damage_gives_a_tokenizer_or_a_typed_error(tmp_path, made):
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(120):
        text = json.dumps(document(str(rng.choice([*KINDS]))))
        place, length = rng.integers(0, len(text)), rng.integers(1, 6)
        junk = "".join(rng.choice(list('{}[]",:0123456789.eE-aĠ▁ \\nulltrue'), length))
        (tmp_path / "tokenizer.json").write_text(text[:place] + junk + text[place + length :])
        try:
            tokenizer = made(metadata_from_folder(tmp_path))
        except FuretError:
            refused += 1
        else:
            tokenizer.decode(tokenizer.encode("The ferret <|im_end|> \U0001f600"))
    assert refused > 40
