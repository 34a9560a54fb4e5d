"""Our tokens against those of the libraries that define them, on fuzzed Unicode, for folders of tokenizer files.

    PEER/python benchmarks/tokenizer_files.py train OUT          write folders with small trained vocabularies
    PEER/python benchmarks/tokenizer_files.py compare FOLDER...  --count 100000 --seed 1
    PEER/python benchmarks/tokenizer_files.py write FOLDER...    write FOLDER/vocabulary.gguf, for tokenizer_fuzz.py

What is compared with depends on what is in a folder: tokenizer.json with `tokenizers`, tokenizer.model with
`sentencepiece`, an RWKV vocabulary with `rwkv`, vocab.json and vocab.txt with `transformers`. Every string is encoded
as text from outside, in which no special token may be found, and where the reference can, with special tokens; then
decoded, where decoding is meant to give back what the reference gives. Prints each difference, a line of JSON a
folder, and exits with 1 if there was one.

"guarded" counts strings of which the reference makes special tokens although told not to look for them: a Unigram
model finds the name of a special token among its pieces. Ours never does; there the two differ on purpose.

The environment needs tokenizers, sentencepiece, transformers, rwkv, and src/ on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tokenizer_fuzz import WORDS, strings

Encode = Callable[[str, bool], list[int] | None]  # None: the reference has no answer to compare with
SHOWN = 12  # differences of a folder that are printed


def reference(folder: Path) -> tuple[str, Encode, Callable[[list[int]], str] | None]:
    """Name of the library, its encoder, and its decoder where ours is meant to give the same."""
    if (folder / "tokenizer.json").is_file():
        return _tokenizers(folder)
    if (folder / "tokenizer.model").is_file():
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        return "sentencepiece", lambda text, special: None if special else processor.encode(text), None
    for path in folder.glob("rwkv_vocab*.txt"):
        from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

        encode = TRIE_TOKENIZER(str(path)).encode
        return "rwkv", lambda text, special, encode=encode: None if special else encode(text), None
    return _transformers(folder)


def _tokenizers(folder: Path) -> tuple[str, Encode, Callable[[list[int]], str] | None]:
    from tokenizers import Tokenizer

    whole, plain = (Tokenizer.from_file(str(folder / "tokenizer.json")) for _ in range(2))
    for tokenizer in (whole, plain):
        tokenizer.no_padding()
        tokenizer.no_truncation()
    plain.encode_special_tokens = True

    def encode(text: str, special: bool) -> list[int]:
        return (whole if special else plain).encode(text, add_special_tokens=False).ids

    kind = json.loads(whole.to_str())["decoder"] or {}
    cleans = kind.get("type") in (None, "WordPiece", "Metaspace")
    return "tokenizers", encode, None if cleans else lambda ids: whole.decode(ids, skip_special_tokens=False)


def _transformers(folder: Path) -> tuple[str, Encode, None]:
    import transformers

    if (folder / "vocab.txt").is_file():
        tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    else:
        config = json.loads((folder / "tokenizer_config.json").read_text())
        tokenizer = getattr(transformers, config["tokenizer_class"]).from_pretrained(str(folder))
    encode = tokenizer.backend_tokenizer.encode
    return "transformers", lambda text, special: encode(text, add_special_tokens=False).ids if special else None, None


def compare(folder: Path, count: int, seed: int) -> int:
    """Compare one folder; the number of differences."""
    from furet.text.from_files import metadata_from_folder
    from furet.text.from_gguf import tokenizer_from_metadata

    metadata = metadata_from_folder(folder)
    tokenizer = tokenizer_from_metadata(metadata, cache_dir=folder / ".cache")
    name, encode, decode = reference(folder)
    controls = {token for token in range(tokenizer.vocab_size) if tokenizer.vocabulary.types[token] == 3}
    found = {"tokens": 0, "decoding": 0, "guarded": 0, "compared": 0}
    seconds = 0.0
    for text, special in ((text, special) for text in strings(count, seed) for special in (False, True)):
        theirs = encode(text, special)
        if theirs is None:
            continue
        start = time.perf_counter()
        ours = tokenizer.encode(text, parse_special=special, add_special=False)
        seconds += time.perf_counter() - start
        found["compared"] += 1
        if not special and not controls.isdisjoint(theirs):
            found["guarded"] += 1
            assert controls.isdisjoint(ours), text
        elif ours != theirs:
            found["tokens"] += 1
            if found["tokens"] <= SHOWN:
                print(f"{text!r} special={special}\n  ours    {ours}\n  theirs  {theirs}")
        elif decode and tokenizer.decode(ours, skip_special=False) != decode(ours):
            found["decoding"] += 1
            if found["decoding"] <= SHOWN:
                mine = tokenizer.decode(ours, skip_special=False)
                print(f"{ours}\n  decoded by us    {mine!r}\n  decoded by them  {decode(ours)!r}")
    summary = {"folder": folder.name, "kind": tokenizer.vocabulary.rules.kind, "tokens": tokenizer.vocab_size}
    summary |= {"reference": name, "strings": count, "different": found}
    print(json.dumps(summary | {"microseconds_a_string": round(seconds / found["compared"] * 1e6)}), flush=True)
    return found["tokens"] + found["decoding"]


def write(folder: Path) -> None:
    """Write a GGUF file with nothing but the tokenizer of a folder."""
    from furet.files.gguf_writer import write_gguf
    from furet.text.from_files import metadata_from_folder

    write_gguf(folder / "vocabulary.gguf", {"general.architecture": "llama", **metadata_from_folder(folder)}, [])


def train(out: Path) -> None:
    """Write a folder for each form of tokenizer, trained on the words of the fuzzer and the benchmark text."""
    corpus = [*(WORDS * 3), *Path(__file__).with_name("text.txt").read_text().split("\n"), *strings(300, seed=77)]
    names = re.compile("\x00|<unk>|</?s>|<.im_end.>")  # which no trainer may find in the text again
    corpus = [names.sub("", line) for line in corpus if line.strip()]
    for name, tree in _trained_json(corpus):
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / "tokenizer.json").write_text(json.dumps(tree, ensure_ascii=False))
    _train_sentencepiece(out, corpus)


def _trained_json(corpus: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = ["<unk>", "<s>", "</s>", "<|im_end|>"]
    cuts = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}|[^\s\p{L}\p{N}]{1,4}| ?\p{L}+|\s+(?!\S)|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="first")
    bert = normalizers.BertNormalizer(lowercase=True)
    cased = normalizers.BertNormalizer(lowercase=False)
    squeeze = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    forms = {
        "gpt2": (models.BPE(), None, pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()),
        "prefixed-gpt2": (models.BPE(), None, pre_tokenizers.ByteLevel(), decoders.ByteLevel()),
        "own-cuts": (models.BPE(), normalizers.NFC(), cuts, decoders.ByteLevel()),
        "wordpiece": (models.WordPiece(unk_token="<unk>"), bert, pre_tokenizers.BertPreTokenizer(), None),
        "cased": (models.WordPiece(unk_token="<unk>"), cased, pre_tokenizers.BertPreTokenizer(), None),
        "unigram": (models.Unigram(), squeeze, metaspace, None),
        "metaspace-bpe": (models.BPE(unk_token="<unk>", fuse_unk=True), None, metaspace, None),
    }
    for name, (model, normalizer, pre_tokenizer, decoder) in forms.items():
        tokenizer = Tokenizer(model)
        tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, pre_tokenizer, decoder
        keys: dict[str, Any] = {"vocab_size": 3000, "special_tokens": special, "show_progress": False}
        if isinstance(model, models.Unigram):
            trainer: Any = trainers.UnigramTrainer(unk_token="<unk>", **keys)
        elif isinstance(model, models.WordPiece):
            trainer = trainers.WordPieceTrainer(**keys)
        else:
            trainer = trainers.BpeTrainer(initial_alphabet=[] if "bpe" in name else alphabet, **keys)
        tokenizer.train_from_iterator(corpus, trainer)
        tokenizer.add_tokens(["<tool>", "  ", "日本"])
        yield name, json.loads(tokenizer.to_str())


def _train_sentencepiece(out: Path, corpus: list[str]) -> None:
    import sentencepiece

    forms: dict[str, dict[str, Any]] = {
        "sp-unigram": {"model_type": "unigram"},
        "sp-unigram-bytes": {
            "model_type": "unigram",
            "byte_fallback": True,
            "add_dummy_prefix": False,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
        },
        "t5": {"model_type": "unigram", "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
        "sp-unigram-named": {"model_type": "unigram", "user_defined_symbols": ["<tool>", "日本", "\u2581\u2581x"]},
        "sp-bpe": {"model_type": "bpe"},
        "sp-bpe-bytes": {
            "model_type": "bpe",
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "split_digits": True,
        },
    }
    for name, form in forms.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus),
            model_prefix=str(out / name / "tokenizer"),
            vocab_size=2000,
            hard_vocab_limit=False,
            character_coverage=0.995,
            minloglevel=2,
            **form,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "compare", "write"))
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.step == "train":
        train(options.folders[0])
        return 0
    if options.step == "write":
        for folder in options.folders:
            write(folder)
        return 0
    return 1 if sum([compare(folder, options.count, options.seed) for folder in options.folders]) else 0


if __name__ == "__main__":
    sys.exit(main())
