"""Whatever a file says of its tokenizer, the answer is a tokenizer or a typed error that names the key."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from vocabularies import BYTE, byte_level, sentencepiece

from furet.errors import FuretError, ModelFileError, UnsupportedModel
from furet.files.gguf_values import NumberArray, StringArray

TOKENS = byte_level()["tokenizer.ggml.tokens"]
COUNT = len(TOKENS)
HUGE = 2**64 - 1

BAD = {
    "no tokens": ("tokens", None),
    "empty vocabulary": ("tokens", []),
    "tokens are a string": ("tokens", "abc"),
    "tokens are bytes": ("tokens", b"abc"),
    "tokens are a number": ("tokens", 7),
    "tokens are numbers": ("tokens", list(range(COUNT))),
    "tokens are not UTF-8": ("tokens", [b"\xff\xfe", *TOKENS[1:]]),
    "token twice": ("tokens", [*TOKENS[:-1], TOKENS[0]]),
    "too few types": ("token_type", [1] * (COUNT - 1)),
    "too many types": ("token_type", [1] * (COUNT + 1)),
    "types are texts": ("token_type", ["1"] * COUNT),
    "types are lists": ("token_type", [[1]] * COUNT),
    "types are not finite": ("token_type", [float("nan")] * COUNT),
    "types are a number": ("token_type", 1),
    "types are mixed": ("token_type", [None, 1] * (COUNT // 2) + [1] * (COUNT % 2)),
    "no merges": ("merges", None),
    "merges are numbers": ("merges", [1, 2]),
    "merge of unknown tokens": ("merges", ["qqq zzz"]),
    "merge into an unknown token": ("merges", ["! q"]),
    "merge of nothing": ("merges", [""]),
    "merge of one": ("merges", ["a"]),
    "merge with no right side": ("merges", ["a "]),
    "BOS outside": ("bos_token_id", COUNT),
    "BOS far outside": ("bos_token_id", HUGE),
    "BOS negative": ("bos_token_id", -1),
    "BOS is a string": ("bos_token_id", "1"),
    "BOS is a float": ("bos_token_id", 1.0),
    "BOS is a flag": ("bos_token_id", True),
    "EOS outside": ("eos_token_id", COUNT),
    "EOT outside": ("eot_token_id", HUGE),
    "EOM outside": ("eom_token_id", COUNT),
    "unknown outside": ("unknown_token_id", COUNT),
    "FIM outside": ("fim_sep_token_id", COUNT),
    "flag is a number": ("add_bos_token", 2),
    "flag is a string": ("add_eos_token", "true"),
    "flag is a list": ("add_bos_token", [True]),
    "pre is a number": ("pre", 3),
    "model is a list": ("model", ["gpt2"]),
    "byte token without a byte": ("token_type", [BYTE] * COUNT),
}


@pytest.mark.parametrize("case", BAD)
def test_the_key_at_fault_is_named(made, case):
    key, value = BAD[case]
    with pytest.raises(ModelFileError) as caught:
        made(byte_level(**{key: value}))
    expected = "tokens" if case == "byte token without a byte" else key
    assert caught.value.field == f"tokenizer.ggml.{expected}"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("model", ["plamo2", "no_vocab", "", "x" * 10_000])
def test_other_kinds_of_tokenizer_are_not_supported_and_named(made, model):
    with pytest.raises(UnsupportedModel, match=r"tokenizer\.ggml\.model") as caught:
        made(byte_level(model=model))
    assert len(str(caught.value)) < 500


def test_no_metadata_at_all(made):
    with pytest.raises(UnsupportedModel, match="missing"):
        made({})


def test_empty_tokens_and_odd_types_are_no_reason_to_refuse(made):
    types = [99, *byte_level()["tokenizer.ggml.token_type"][1:]]
    tokenizer = made(byte_level(tokens=["", *TOKENS[1:]], token_type=types))
    assert tokenizer.token_bytes(0) == b"[EMPTY_0]"
    assert tokenizer.decode([0]) == ""


def test_every_form_of_array_will_do(made):
    """Lists, tuples, bytes, NumPy, and what the GGUF reader gives."""
    text = "The ferret's <|im_end|> 日本語"
    plain = byte_level()
    types = np.array(plain["tokenizer.ggml.token_type"], np.int32)
    forms = [
        {"tokens": tuple(TOKENS), "token_type": types},
        {"tokens": [token.encode() for token in TOKENS], "token_type": types.astype(">i4")},
        {"tokens": string_array(TOKENS), "token_type": number_array(types)},
        {"merges": string_array(plain["tokenizer.ggml.merges"])},
    ]
    wanted = made(plain)
    for form in forms:
        tokenizer = made(byte_level(**form))
        assert tokenizer.encode(text) == wanted.encode(text)
        assert tokenizer.stop_ids == wanted.stop_ids


def test_random_damage_gives_a_tokenizer_or_a_typed_error(made):
    rng = random.Random(3)
    junk = [
        None,
        -1,
        0,
        1,
        HUGE,
        1.5,
        "",
        "a",
        b"\xff",
        [],
        [None],
        ["a", "a"],
        {},
        np.zeros(3),
        True,
        [[]],
        float("inf"),
    ]
    refused = 0
    for _ in range(150):
        metadata = rng.choice((byte_level, sentencepiece))()
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(list(metadata))
            value = metadata[key]
            if isinstance(value, list) and rng.random() < 0.7:
                value = list(value)
                place = rng.randrange(len(value) + 1)
                value[place : place + 1] = [rng.choice(junk)]
                metadata[key] = value if rng.random() < 0.8 else value[: rng.randrange(len(value) + 1)]
            else:
                metadata[key] = rng.choice(junk)
        try:
            tokenizer = made(metadata)
        except FuretError:
            refused += 1
        else:
            tokenizer.decode(tokenizer.encode("The ferret <|im_end|> \U0001f600"))
    assert refused > 75


def string_array(texts: Sequence[str]) -> StringArray:
    """An array of strings as it lies in a GGUF file."""
    import struct

    length = struct.Struct("<Q")
    data = b"".join(length.pack(len(text.encode())) + text.encode() for text in texts)
    return StringArray(b"\0" * 3 + data, 3, 3 + len(data), len(texts), length)


def number_array(values: np.ndarray) -> NumberArray:
    """An array of int32 as it lies in a GGUF file."""
    from furet.files.gguf_values import ValueType

    return NumberArray(values.astype("<i4").tobytes(), 0, len(values), ValueType.INT32, "little")
