"""Writes tests/text/data/: small SentencePiece models, and what SentencePiece itself makes of fuzzed strings.

    PEER/python benchmarks/tokenizer_goldens.py

The environment needs `sentencepiece`. The models are compressed, as most of one is its table of normalisation.
"""

from __future__ import annotations

import io
import json
import lzma
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizer_fuzz import WORDS, strings

OUT = Path(__file__).parents[1] / "tests" / "text" / "data"
COUNT, SEED = 90, 21
PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
FORMS: dict[str, dict[str, Any]] = {
    "unigram": {"model_type": "unigram", "user_defined_symbols": ["<tool>", "日本", "\u2581\u2581x"]},
    "unigram-bytes": {"model_type": "unigram", "add_dummy_prefix": False, **PLAIN},
    "bpe": {"model_type": "bpe", "normalization_rule_name": "identity"},
    "bpe-bytes": {"model_type": "bpe", "split_digits": True, **PLAIN},
}


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    corpus = [word for word in WORDS * 3 if word.strip()] + [text.replace("\x00", "") for text in strings(60, 77)]
    answers: dict[str, Any] = {"count": COUNT, "seed": SEED, "sentencepiece": sentencepiece.__version__}
    for name, form in FORMS.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus),
            model_writer=model,
            vocab_size=1200,
            hard_vocab_limit=False,
            character_coverage=0.98,
            minloglevel=2,
            **form,
        )
        (OUT / f"{name}.model.xz").write_bytes(lzma.compress(model.getvalue(), preset=9))
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        answers[name] = [processor.encode(text) for text in strings(COUNT, SEED)]
    (OUT / "sentencepiece.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
