"""Our tokens against llama.cpp's, on fuzzed Unicode: every difference is a bug of one of the two.

llama.cpp lives in an environment of its own, so this takes two steps (the strings follow from the seed):

    PEER/python benchmarks/tokenizer_fuzz.py peer    MODEL.gguf ids.txt --count 20000
    python      benchmarks/tokenizer_fuzz.py compare MODEL.gguf ids.txt

`peer` needs llama-cpp-python; `compare` needs furet. Every string is encoded twice, with and without looking
for special tokens, and the bytes of every token are compared too. A byte-level vocabulary is compared with
Hugging Face's own BPE as well. `compare` prints each difference, ends with a line of JSON, and exits with 1
if there was one.

    python benchmarks/tokenizer_fuzz.py vocabulary MODEL.gguf OUT.gguf --pre tekken

writes the vocabulary of a byte-level model under another `tokenizer.ggml.pre`: the way to check a row of the
pre-tokenizer table without having a model of that family. It needs the `gguf` package.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import random
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

SPACES = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u205f\u3000"
_WORDS = r"""the of and I'm don't IT'S we'VE they'Ll you'd o'clock rock'n'roll naïve Straße ﬁnance Ǆ ΣΊΣΥΦΟΣ
привет Київ Ελλάδα հայերեն עִבְרִית العربية فارسی हिन्दी தமிழ் ไทย ລາວ မြန်မာ ខ្មែរ አማርኛ ᏣᎳᎩ 日本語 ひらがな カタカナ
한국어 中文字符 繁體 ｆｕｌｌ int main() return x+=1; {"key": [1,2.5e-3,null]} https://example.org/a?b=c&d=%20
C:\dir\file.txt a_b-c.d@e f(x)=∑√∞≠≤
		if (a && b) --> <!-- x --> ``` **bold** # ## $100 €5 £3 ¥9 50% @u #t ... ?! !!! ¿qué? «a» “b” — – ‐"""
_NAMES = """<|im_start|> <|im_end|> <|endoftext|> <|im_end| |im_end|> <|im_start|>assistant <s> </s> <unk>
<pad> <mask> <bos> <|eot_id|> <|begin_of_text|> <|start_header_id|> [INST] [/INST] <<SYS>> <|user|> <|end|>
<tool_call> </tool_call> <|fim_prefix|> <repo_name> <file_sep> <reponame> <filename> <gh_stars> <empty_output>
<|file_sep|> <|repo_name|> <0x0A> <0xFF> [PAD151700] < | > <| |> ▁ ▁▁ Ġ Ċ"""
_EMOJI = "😀 👩‍👩‍👧‍👦 👨🏽‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇫🇷🇩🇪 1️⃣ ❤️ ☺︎ 🧑‍🤝‍🧑 ©️ ™ \u200d \ufe0f 🦀"
_ODD = "\ufffd \ufffe \uffff \ue000 \U000f0000 \U0010ffff \U0001fffe \u0378 Ã© â€™ \x00"
ENDINGS = ("s", "t", "re", "ve", "m", "ll", "d", "x", "é")
WORDS, NAMES, EMOJI, ODD = _WORDS.split(" "), _NAMES.split(), _EMOJI.split(" "), _ODD.split(" ")
DIGITS = "0123456789" * 3 + "٣۴५৬๗༨᠙０９²³¹½¾①⑳Ⅷⅻ㉈零〇𝟘𝟡"
CONTROL = [chr(code) for code in (*range(32), *range(0x7F, 0xA0))] + list(
    "\u200b\u200c\u200e\u202e\u2060\ufeff\xad"
)
SCRIPTS = (
    *(
        (0x41, 0x5B),
        (0x61, 0x7B),
        (0xC0, 0x250),
        (0x370, 0x400),
        (0x400, 0x530),
        (0x531, 0x590),
        (0x590, 0x700),
    ),
    *(
        (0x900, 0xE00),
        (0xE00, 0x1100),
        (0x1100, 0x1400),
        (0x1780, 0x1A00),
        (0x1E00, 0x2000),
        (0x3040, 0x3100),
    ),
    *((0x4E00, 0x9FFF), (0xA000, 0xA4D0), (0xAC00, 0xD7A4), (0x10000, 0x10400), (0x1D400, 0x1D800)),
    *((0x20000, 0x2A6DF), (0x300, 0x370), (0x2000, 0x2C00)),
)


def strings(count: int, seed: int) -> Iterator[str]:
    """`count` strings, the same for the same seed on any machine."""
    for index in range(count):
        yield _string(random.Random(f"{seed} {index}"))


def _string(rng: random.Random) -> str:
    makers = rng.sample(MAKERS, rng.randint(1, len(MAKERS)))
    return "".join(rng.choice(makers)(rng) for _ in range(rng.choice((1, 2, 4, 8, 16, 32))))


def _run(rng: random.Random, alphabet: str | list[str], longest: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, longest)))


def _script(rng: random.Random) -> str:
    first, last = rng.choice(SCRIPTS)
    return "".join(chr(rng.randrange(first, last)) for _ in range(rng.randint(1, 12)))


def _anything(rng: random.Random) -> str:
    code = rng.randrange(0x110000 - 0x800)
    return chr(code if code < 0xD800 else code + 0x800)


def _marks(rng: random.Random) -> str:
    return rng.choice("aeon") + "".join(chr(rng.randrange(0x300, 0x370)) for _ in range(rng.randint(1, 5)))


def _contraction(rng: random.Random) -> str:
    letters = "".join(
        rng.choice((str.upper, str.lower))(c)
        for c in rng.choice(["s", "t", "re", "ve", "m", "ll", "d", "x", "é"])
    )
    return (
        rng.choice(("it", "", "X", " ", "9", "é"))
        + rng.choice("'''’`")
        + letters
        + rng.choice(("", " ", "x", "1"))
    )


def _decomposed(rng: random.Random) -> str:
    return unicodedata.normalize(rng.choice(("NFD", "NFC", "NFKD")), rng.choice(WORDS))


MAKERS = [
    lambda rng: rng.choice(WORDS),
    lambda rng: " " + rng.choice(WORDS),
    lambda rng: " ",
    lambda rng: _run(rng, SPACES[:4], 6),
    lambda rng: _run(rng, " ", 20),
    lambda rng: _run(rng, SPACES, 4),
    lambda rng: _run(rng, DIGITS, 9),
    lambda rng: _run(rng, NAMES, 2),
    lambda rng: _run(rng, EMOJI, 4),
    lambda rng: _run(rng, CONTROL, 3),
    lambda rng: _run(rng, ODD, 2),
    lambda rng: _run(rng, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 6),
    lambda rng: rng.choice("a=-_ .x\n日") * rng.randint(1, 60),
    _script,
    _anything,
    _marks,
    _contraction,
    _decomposed,
]


def peer(model: str, out: Path, count: int, seed: int) -> None:
    """Write llama.cpp's answers: a header, two lines of tokens a string, then each token's bytes in hex."""
    import llama_cpp

    llama = llama_cpp.Llama(model, vocab_only=True, verbose=False)
    vocab, size = llama._model.vocab, llama.n_vocab()
    header = {"count": count, "seed": seed, "peer": llama_cpp.__version__}
    header["ends"] = [token for token in range(size) if llama_cpp.llama_vocab_is_eog(vocab, token)]
    lines = [json.dumps(header)]
    for text in strings(count, seed):
        for special in (True, False):
            lines.append(" ".join(map(str, llama.tokenize(text.encode(), add_bos=False, special=special))))
    buffer = ctypes.create_string_buffer(1 << 16)
    for token in range(size):
        length = llama_cpp.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, True)
        lines.append(buffer.raw[: max(length, 0)].hex())
    out.write_text("\n".join(lines) + "\n")


def compare(model: str, answers: Path) -> int:
    """Compare with the stored answers and with Hugging Face's BPE; the number of differences."""
    from furet.files.gguf import open_gguf
    from furet.text.from_gguf import tokenizer_from_metadata

    metadata = open_gguf(model).metadata
    tokenizer = tokenizer_from_metadata(metadata)
    lines = iter(answers.read_text().split("\n"))
    header = json.loads(next(lines))
    reference = (
        hugging_face(metadata, tokenizer.stop_ids) if metadata["tokenizer.ggml.model"] == "gpt2" else None
    )
    found = {"llama.cpp": 0, "tokenizers": 0, "token bytes": 0}
    for text, special in itertools.product(strings(header["count"], header["seed"]), (True, False)):
        theirs = list(map(int, next(lines).split()))
        ours = tokenizer.encode(text, parse_special=special, add_special=False)
        if ours != theirs:
            found["llama.cpp"] += 1
            print(f"{text!r} special={special}\n  ours       {ours}\n  llama.cpp  {theirs}")
        if reference and ours != (theirs := reference(text, special)):
            found["tokenizers"] += 1
            print(f"{text!r} special={special}\n  ours        {ours}\n  tokenizers  {theirs}")
    for token in range(tokenizer.vocab_size):
        piece = bytes.fromhex(next(lines))
        # llama.cpp shows unused tokens as nothing, and says so where a text is not in the byte alphabet
        if piece and b"UNK_BYTE" not in piece and piece != tokenizer.token_bytes(token):
            found["token bytes"] += 1
            print(f"token {token}: ours {tokenizer.token_bytes(token)!r}, llama.cpp {piece!r}")
    ends = sorted(tokenizer.stop_ids ^ set(header["ends"]))
    summary = {"model": Path(model).name, "strings": header["count"], "llama_cpp_python": header["peer"]}
    print(
        json.dumps(
            summary
            | {"different": found, "stops_of_one_only": [tokenizer.token_bytes(end).decode() for end in ends]}
        )
    )
    return found["llama.cpp"] + found["tokenizers"] + found["token bytes"]


def hugging_face(
    metadata: Mapping[str, Any], stops: Collection[int] = ()
) -> Callable[[str, bool], list[int]]:
    """The same vocabulary in Hugging Face's own BPE, which shares only the patterns of the pre-tokenizer.

    Stop tokens are special whatever type the file gives them, as in llama.cpp.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

    from furet.text.pretokenizers import find_pretokenizer

    texts, types = list(metadata["tokenizer.ggml.tokens"]), list(metadata["tokenizer.ggml.token_type"])
    entry = find_pretokenizer(metadata.get("tokenizer.ggml.pre", ""))
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    # Bytes that a vocabulary lacks are left out. Given a token for them, `tokenizers` does so after merging,
    # like llama.cpp and us; without one it does so before, and neighbours merge across the gap.
    lacking = "\ufffe"
    vocabulary = {text: token for token, text in enumerate([*texts, lacking])}
    model = models.BPE(vocabulary, merges, unk_token=lacking, ignore_merges=entry.whole_words)
    found = Tokenizer(model)
    cuts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in entry.patterns]
    found.pre_tokenizer = pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(False, use_regex=False)])
    found.add_tokens(
        [AddedToken(text, normalized=False) for text, kind in zip(texts, types, strict=True) if kind == 4]
    )
    found.add_special_tokens(
        [
            AddedToken(text, normalized=False)
            for token, (text, kind) in enumerate(zip(texts, types, strict=True))
            if kind in (2, 3) or token in stops
        ]
    )

    def encode(text: str, special: bool) -> list[int]:
        found.encode_special_tokens = not special
        return [token for token in found.encode(text, add_special_tokens=False).ids if token < len(texts)]

    return encode


def vocabulary(model: str, out: str, pre: str) -> None:
    """Write a GGUF file with the tokenizer of `model` under another `tokenizer.ggml.pre`."""
    import gguf

    fields = gguf.GGUFReader(model).fields
    writer = gguf.GGUFWriter(out, fields["general.architecture"].contents())
    for name, field in fields.items():
        if name.startswith("tokenizer.ggml."):
            kind = field.types[0]
            value = pre if name == "tokenizer.ggml.pre" else field.contents()
            writer.add_key_value(
                name, value, kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("peer", "compare", "vocabulary"))
    parser.add_argument("model")
    parser.add_argument("file", help="the answers, or the vocabulary to write")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pre", default="")
    options = parser.parse_args()
    if options.step == "peer":
        peer(options.model, Path(options.file), options.count, options.seed)
    elif options.step == "vocabulary":
        vocabulary(options.model, options.file, options.pre)
    else:
        return 1 if compare(options.model, Path(options.file)) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
