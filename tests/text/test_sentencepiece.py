"""SentencePiece BPE against its rule followed literally, and the rules around it."""

from __future__ import annotations

import pytest
from tokenizer_fuzz import strings
from vocabularies import CORPUS, NORMAL, SPACE, merged_by_score, sentencepiece

from furet.errors import ModelFileError

BOS = 1


def test_tokens_are_those_of_the_rule(made):
    metadata = sentencepiece()
    tokenizer = made(metadata)
    for text in [*CORPUS, *strings(120, seed=5)]:
        if text:
            assert tokenizer.encode(text, parse_special=False, add_special=False) == merged_by_score(
                metadata, text
            )


def test_text_survives(made):
    tokenizer = made(sentencepiece())
    for text in ["Hello", " Hello", "  two  ", "ж 😀 日本語", "\n\t\x00", *CORPUS]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_pieces_with_a_space_inside_are_found(made):
    """Words may be merged one at a time only as long as no piece reaches over the end of a word."""
    metadata = sentencepiece()
    pieces = metadata["tokenizer.ggml.tokens"]
    pieces += [f"a{SPACE}", f"a{SPACE}b"]
    metadata["tokenizer.ggml.token_type"] += [NORMAL] * 2
    metadata["tokenizer.ggml.scores"] += [1.0, 2.0]
    tokenizer = made(metadata)
    assert tokenizer.encode("xa b", add_special=False) == merged_by_score(metadata, "xa b")
    assert len(pieces) - 1 in tokenizer.encode("xa b")


def test_equal_scores_merge_from_the_left(made):
    metadata = sentencepiece()
    metadata["tokenizer.ggml.scores"] = [0.0] * len(metadata["tokenizer.ggml.tokens"])
    tokenizer = made(metadata)
    for text in CORPUS:
        assert tokenizer.encode(text, add_special=False) == merged_by_score(metadata, text)


def test_the_space_in_front(made):
    tokenizer, bare = made(sentencepiece()), made(sentencepiece(add_space_prefix=False))
    prefixed = tokenizer.encode("the", add_special=False)
    assert tokenizer.token_bytes(prefixed[0]).startswith(b" ")
    assert not bare.token_bytes(bare.encode("the", add_special=False)[0]).startswith(b" ")
    assert tokenizer.decode(prefixed) == "the"
    assert tokenizer.decode(prefixed, continuing=True) == " the"
    assert bare.decode(prefixed) == " the"
    assert tokenizer.encode("", add_special=False) == []


def test_text_after_a_special_token_begins_anew(made):
    tokenizer = made(sentencepiece())
    assert tokenizer.encode("<s>the</s>the", add_special=False) == [
        1,
        *tokenizer.encode("the", add_special=False),
        2,
        *tokenizer.encode("the", add_special=False),
    ]


def test_typed_names_never_become_control_tokens(made):
    """A vocabulary in which "<s>" could be merged from its letters must not do so."""
    metadata = sentencepiece()
    metadata["tokenizer.ggml.tokens"] += ["<", "s>", "s", ">", "<s"]
    metadata["tokenizer.ggml.tokens"] = list(dict.fromkeys(metadata["tokenizer.ggml.tokens"]))
    count = len(metadata["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.token_type"] = (metadata["tokenizer.ggml.token_type"] + [NORMAL] * 5)[:count]
    metadata["tokenizer.ggml.scores"] = (metadata["tokenizer.ggml.scores"] + [9.0] * 5)[:count]
    tokenizer = made(metadata)
    assert not {0, 1, 2} & set(tokenizer.encode("<s> </s> <unk>", parse_special=False, add_special=False))
    assert tokenizer.encode("<s>", add_special=False) == [1]


def test_without_byte_tokens_the_unknown_token_stands_in(made):
    metadata = sentencepiece()
    tokens = metadata["tokenizer.ggml.tokens"]
    tokens[:] = [text.replace("<0x", "[0x") for text in tokens]
    metadata["tokenizer.ggml.token_type"] = [
        kind if kind != 6 else NORMAL for kind in metadata["tokenizer.ggml.token_type"]
    ]
    tokenizer = made(metadata)
    assert tokenizer.encode("ж", add_special=False)[-1] == 0


def test_old_files_name_no_ids(made):
    tokenizer = made(sentencepiece(bos_token_id=None, eos_token_id=None))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos, tokenizer.add_eos) == (1, 2, True, False)
    assert tokenizer.encode("the")[0] == BOS


@pytest.mark.parametrize("scores", [None, [0.0] * 5, ["a"] * 700, [float("nan")] * 700])
def test_scores_are_needed(made, scores):
    if scores is not None and len(scores) > 5:
        scores = scores[: len(sentencepiece()["tokenizer.ggml.tokens"])]
    with pytest.raises(ModelFileError, match="scores"):
        made(sentencepiece(scores=scores))
