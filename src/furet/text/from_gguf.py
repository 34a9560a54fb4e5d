"""A tokenizer from metadata in GGUF's terms, whatever file it was read from."""

from __future__ import annotations

from pathlib import Path

from furet.text import cache
from furet.text.build import build_vocabulary, kind_of
from furet.text.encoder import encoder
from furet.text.metadata import Metadata, text
from furet.text.tokenizer import Tokenizer
from furet.text.tokenizer_json import JSON


def tokenizer_from_metadata(metadata: Metadata, *, cache_dir: Path | None = None) -> Tokenizer:
    """The tokenizer that `tokenizer.ggml.*` describes, or `tokenizer.huggingface.json` where there is one.

    cache_dir   where built vocabularies are kept; None means furet's folder in the user's cache
    raises      UnsupportedModel for a kind of tokenizer, or a way of cutting text, that is not known here;
                ModelFileError, naming the key, for metadata that is damaged or contradicts itself
    """
    folder = cache_dir if cache_dir is not None else cache.default_folder()
    key = cache.vocabulary_key(metadata)
    vocabulary = cache.load(folder, key)
    if vocabulary is None or vocabulary.rules.kind != kind_of(metadata):
        vocabulary = build_vocabulary(metadata)
        cache.save(folder, key, vocabulary)
    return Tokenizer(vocabulary, encoder(vocabulary, text(metadata, JSON)))
