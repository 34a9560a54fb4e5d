"""The RWKV world tokenizer: the longest token at each place, from GGUF and from its own file."""

from __future__ import annotations

import pytest
from tokenizer_fuzz import strings
from vocabularies import CONTROL, CORPUS, NORMAL, named

from furet.errors import ModelFileError
from furet.text.from_files import metadata_from_folder

WORDS = sorted(
    {
        *(bytes([byte]) for byte in range(256)),
        *(text.encode()[at : at + length] for text in CORPUS for at in range(60) for length in (2, 3, 7)),
        *(b"\n\n", b"\\x", b"'\"", b"it's", b'"x', b"\\\\", b"\x00\x00"),
    }
)


def vocabulary():
    """The metadata of the words above, written as Python does."""
    texts = [repr(word)[2:-1] for word in WORDS]
    keys = {"model": "rwkv", "tokens": ["<s>", *texts], "token_type": [CONTROL] + [NORMAL] * len(texts)}
    return named(keys | {"eos_token_id": 0})


def longest(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        word = max((word for word in WORDS if data.startswith(word, at)), key=len)
        found.append(WORDS.index(word) + 1)
        at += len(word)
    return found


def test_the_longest_token_wins(made):
    tokenizer = made(vocabulary())
    for text in [*strings(30, seed=2), "\\x41", "it's \"x'\"", "\n\n\n", "\x00\x00\x00"]:
        ids = tokenizer.encode(text, parse_special=False)
        assert ids == longest(text.encode())
        assert tokenizer.decode(ids) == text


def test_its_own_file_gives_the_same(made, tmp_path):
    lines = []
    for token, word in enumerate(WORDS, 1):
        try:
            lines.append(f"{token} {word.decode()!r} {len(word)}")
        except UnicodeDecodeError:
            lines.append(f"{token} {word!r} {len(word)}")
    (tmp_path / "rwkv_vocab_v1.txt").write_text("\n".join(lines) + "\n")
    ours, wanted = made(metadata_from_folder(tmp_path)), made(vocabulary())
    for text in strings(40, seed=4):
        assert ours.encode(text) == wanted.encode(text)
    assert ours.stop_ids == {0}


@pytest.mark.parametrize(
    "line", ["x", "1 a 1", "1 'a' 2", "1 __import__('os') 3", "0 'a' 1", "9999999 'a' 1", "1 'a", "1 f'a' 1"]
)
def test_lines_that_are_none_are_refused(tmp_path, line):
    (tmp_path / "rwkv_vocab_v1.txt").write_text(line + "\n")
    with pytest.raises(ModelFileError, match="line 1"):
        metadata_from_folder(tmp_path)


def test_a_token_without_bytes_is_refused(made):
    metadata = vocabulary()
    metadata["tokenizer.ggml.tokens"][5] = "\\"
    assert made(metadata).token_bytes(5) == b"\\"
    metadata["tokenizer.ggml.tokens"][5] = "x" * 300
    with pytest.raises(ModelFileError, match="300 bytes"):
        made(metadata)
