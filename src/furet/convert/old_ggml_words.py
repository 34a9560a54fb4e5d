"""The vocabulary of an old GGML file as `tokenizer.ggml.*` metadata.

LLaMA     pieces with plain spaces; unknown, BOS and EOS are ids 0 to 2, raw bytes ids 3 to 258. The `ggml`
          generation has no scores: -id, as pieces are in the order of their scores
replit    a Unigram model of SentencePiece: pieces with their log probabilities
RWKV      none in the file; that of a tokenizer file beside it, if it has as many tokens
others    byte-level BPE, without merges but in ggcc files; `furet.convert.old_ggml_merges` finds them

Converters wrote the words of byte-level vocabularies in three ways. Bytes: most. Latin-1: each byte as the
character of that number, in UTF-8 (MPT). Decoded: what the token decodes to by itself (GPT-NeoX, the first
Falcon and MPT), which is U+FFFD for every byte of a token that is no whole character. Of those, single bytes are
found again by their place among the first 256 tokens; the others are lost and marked as unused, so text beyond
ASCII may become other tokens, of the same bytes, than the model was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from furet.convert.old_ggml_merges import merges_of
from furet.errors import NotFound
from furet.files.ggml import GGML
from furet.text.bytelevel import byte_alphabet
from furet.text.vocabulary import TokenType

SPACE = "\u2581"
ADDED_SCORE = -1000.0  # what llama.cpp's converter gave to tokens added to a LLaMA vocabulary
UNUSED = "[PAD{}]"
WORLD = 65_536  # rows of the embedding of RWKV world models, a few more than their tokens
END = b"<|endoftext|>"
PRE = {
    **{"gpt2": "gpt-2", "gptj": "gpt-2", "starcoder": "starcoder", "falcon": "falcon"},
    **{"gptneox": "olmo", "mpt": "mpt"},
}
NEOX = ("gptneox", "mpt")  # whose tokenizer brings text into composed form, and has tokens for runs of spaces
_LOST = "\ufffd".encode()
_PRINTABLE = [bytes([byte]) for byte in range(ord("!"), ord("~") + 1)]


def tokenizer_metadata(file: GGML) -> dict[str, Any]:
    """The `tokenizer.ggml.*` keys of a file; none for RWKV without a tokenizer beside it."""
    if file.architecture == "rwkv":
        return _beside(file)
    if file.architecture == "llama":
        return _llama(file.vocabulary, file.axes["V"])
    if file.architecture == "replit":
        return _replit(file.vocabulary)
    return _byte_level(file)


def _beside(file: GGML) -> dict[str, Any]:
    """What tokenizer files in the same folder say; nothing if they are of another model."""
    from furet.text.from_files import metadata_from_folder

    try:
        found = dict(metadata_from_folder(file.path.parent))
    except NotFound:
        return {}
    count, wanted = len(found["tokenizer.ggml.tokens"]), file.axes["V"]
    world = found["tokenizer.ggml.model"] == "rwkv" and wanted == WORLD
    if not world and count != wanted:
        return {}
    return dict(metadata_from_folder(file.path.parent, wanted))


def _llama(words: Sequence[tuple[bytes, float | None]], count: int) -> dict[str, Any]:
    special = {0: ("<unk>", TokenType.UNKNOWN), 1: ("<s>", TokenType.CONTROL), 2: ("</s>", TokenType.CONTROL)}
    texts: list[str] = []
    types: list[TokenType] = []
    for number, (word, score) in enumerate(words):
        text, kind = word.decode("utf-8", "replace").replace(" ", SPACE), TokenType.NORMAL
        if number in special:
            text, kind = special[number]
        elif number <= 258 and len(word) == 1:
            text, kind = f"<0x{word[0]:02X}>", TokenType.BYTE
        elif not word:
            kind = TokenType.UNUSED
        elif score == ADDED_SCORE:
            text, kind = word.decode("utf-8", "replace"), TokenType.USER_DEFINED
        texts.append(text)
        types.append(kind)
    texts += [""] * (count - len(words))
    types += [TokenType.UNUSED] * (count - len(words))
    scores = [-float(number) if score is None else score for number, (_, score) in enumerate(words)]
    scores += [-float(number) for number in range(len(words), count)]
    found = _listed("llama", texts, types)
    found["tokenizer.ggml.scores"] = np.array(scores, np.float32)
    for number, name in enumerate(("unknown", "bos", "eos")):
        if number < count:
            found[f"tokenizer.ggml.{name}_token_id"] = number
    return found


def _replit(words: Sequence[tuple[bytes, float | None]]) -> dict[str, Any]:
    marks = {"<|unk|>": TokenType.UNKNOWN, "<unk>": TokenType.UNKNOWN}
    texts, types = [], []
    for word, score in words:
        text = word.decode("utf-8", "replace")
        plain = TokenType.NORMAL if score or not text.startswith("<") else TokenType.CONTROL
        texts.append(text)
        types.append(marks.get(text, plain))
    found = _listed("t5", texts, types)
    found["tokenizer.ggml.scores"] = np.array([score or 0.0 for _, score in words], np.float32)
    found["tokenizer.ggml.add_space_prefix"] = False
    for name, spellings in {"unknown": ("<|unk|>", "<unk>"), "eos": ("<|endoftext|>",)}.items():
        for number in (texts.index(text) for text in spellings if text in texts):
            found[f"tokenizer.ggml.{name}_token_id"] = number
    return found


def _byte_level(file: GGML) -> dict[str, Any]:
    words = raw_words([word for word, _ in file.vocabulary])
    merges = merges_of(words)
    alphabet = [chr(code) for code in byte_alphabet()]
    first = {word: number for number, word in reversed(list(enumerate(words)))}
    last = max((number for number in merges if words[number].strip(b" ")), default=0)
    texts, types = [], []
    for number, word in enumerate(words):
        spelt, kind = "".join(alphabet[byte] for byte in word), TokenType.NORMAL
        if not word or first[word] != number:
            spelt, kind = "", TokenType.UNUSED
        elif file.architecture in NEOX and len(word) > 1 and not word.strip(b" ") and number > last:
            spelt, kind = word.decode(), TokenType.USER_DEFINED
        elif len(word) > 1 and number not in merges:
            spelt, kind = _unmerged(word, spelt)
        texts.append(spelt)
        types.append(kind)
    found = _listed("gpt2", texts, types)
    found["tokenizer.ggml.pre"] = PRE[file.architecture]
    texts = found["tokenizer.ggml.tokens"]
    pairs: list[tuple[str, ...]] = [
        (texts[left], texts[right])
        for number, (left, right) in merges.items()
        if types[number] is TokenType.NORMAL
    ]
    if file.merges:
        pairs = [tuple("".join(alphabet[byte] for byte in half) for half in pair) for pair in file.merges]
    found["tokenizer.ggml.merges"] = [f"{left} {right}" for left, right in pairs]
    if file.architecture in NEOX:
        found["tokenizer.ggml.normalizer.compose"] = True
    if END in first:
        found["tokenizer.ggml.bos_token_id"] = found["tokenizer.ggml.eos_token_id"] = first[END]
    return found


def _unmerged(word: bytes, spelt: str) -> tuple[str, TokenType]:
    """A word that no merge makes: special if it is ASCII, else one of which a half was lost."""
    if word.isascii():
        return word.decode(), TokenType.CONTROL
    return spelt, TokenType.NORMAL


def _listed(model: str, texts: list[str], types: Sequence[TokenType]) -> dict[str, Any]:
    """The keys that all models have; a text that is empty or there before gets one of its own."""
    seen: set[str] = set()
    kinds = [int(kind) for kind in types]
    for number, text in enumerate(texts):
        if not text or text in seen:
            texts[number], kinds[number] = UNUSED.format(number), int(TokenType.UNUSED)
        seen.add(texts[number])
    return {
        "tokenizer.ggml.model": model,
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": np.array(kinds, np.int32),
    }


def raw_words(words: Sequence[bytes]) -> list[bytes]:
    """The bytes that each word of a byte-level vocabulary stands for; empty where they are lost."""
    if len({word for word in words if len(word) == 1}) > 250:
        return list(words)
    if any(_LOST in word for word in words):
        return _decoded_words(words)
    try:
        return [word.decode("utf-8").encode("latin-1") for word in words]
    except UnicodeError:
        return list(words)


def _decoded_words(words: Sequence[bytes]) -> list[bytes]:
    """Words of a vocabulary of decoded tokens, with the single bytes put back where their place is known."""
    found = [b"" if _LOST in word else word for word in words]
    start = next((n for n in range(len(words)) if words[n : n + len(_PRINTABLE)] == _PRINTABLE), None)
    if start is None:
        return found
    order = sorted(range(256), key=byte_alphabet().__getitem__)
    known = [(number, bytes([byte])) for number, byte in enumerate(order, start)]
    if all(number < len(found) and found[number] in (b"", byte) for number, byte in known):
        for number, byte in known:
            found[number] = byte
    return found
