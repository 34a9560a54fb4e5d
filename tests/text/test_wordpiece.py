"""WordPiece in GGUF's way of writing it against Hugging Face's own."""

from __future__ import annotations

import pytest
from tokenizer_fuzz import strings
from vocabularies import CONTROL, CORPUS, NORMAL, SPACE, UNKNOWN, named

from furet.errors import ModelFileError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def trained(*, lowercase: bool = True):
    """Hugging Face's tokenizer, and the metadata of the same vocabulary as llama.cpp's converter writes it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    texts = [tokenizer.id_to_token(token) for token in range(tokenizer.get_vocab_size())]
    phantom = [text[2:] if text.startswith("##") else SPACE + text for text in texts[5:]]
    types = [CONTROL, UNKNOWN, *[CONTROL] * 3, *[NORMAL] * len(phantom)]
    keys = {"model": "bert", "tokens": SPECIAL + phantom, "token_type": types, "unknown_token_id": 1}
    return tokenizer, named(keys | {"cls_token_id": 2, "seperator_token_id": 3})


@pytest.mark.parametrize("lowercase", [True, False])
def test_tokens_are_those_of_tokenizers(made, lowercase):
    reference, metadata = trained(lowercase=lowercase)
    tokenizer = made(metadata)
    assert tokenizer.vocabulary.rules.lowercase == lowercase  # told by the words in capitals
    for text in [*strings(200, seed="wordpiece"), "x" * 101, "Ünïcödé", "a\u3000b", "中文 text"]:
        assert tokenizer.encode(text, add_special=False) == reference.encode(text).ids, repr(text)


def test_what_is_put_around_a_text(made):
    _, metadata = trained()
    tokenizer = made(metadata)
    ids = tokenizer.encode("the ferret")
    assert (ids[0], ids[-1]) == (2, 3)
    assert tokenizer.encode("the [MASK]", add_special=False)[-1] == 4
    assert 4 not in tokenizer.encode("the [MASK]", parse_special=False)
    assert tokenizer.decode(ids) == "the ferret"


def test_files_that_name_no_ids_are_known_by_their_tokens(made):
    _, metadata = trained()
    for key in ("unknown", "cls", "seperator"):
        del metadata[f"tokenizer.ggml.{key}_token_id"]
    tokenizer = made(metadata)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocabulary.rules.unk_id) == (2, 3, 1)


def test_the_file_has_the_last_word_on_capitals_and_accents(made):
    _, metadata = trained()
    tokenizer = made({**metadata, "tokenizer.ggml.normalizer.strip_accents": False})
    assert tokenizer.encode("curieux", add_special=False) != tokenizer.encode("curi\u00e9ux", add_special=False)


def test_a_vocabulary_without_unknown_is_refused(made):
    _, metadata = trained()
    del metadata["tokenizer.ggml.unknown_token_id"]
    metadata["tokenizer.ggml.tokens"][1] = "[OTHER]"
    with pytest.raises(ModelFileError, match="unknown"):
        made(metadata)
