"""Logits of a case by each interpreter of the ops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from parity.checkpoint import Case, cases, save

from furet.convert.hugging_face import open_folder
from furet.convert.seen import SeenModel
from furet.families import read_model
from furet.families.family import Family
from furet.ops import native, reference

CHUNK = 512  # a prompt goes in by chunks, for the scores of a chunk are [H, chunk, S]


def loaded(name: str, folder: Path) -> tuple[Case, SeenModel, Family]:
    """The checkpoint of a case as a program would load it."""
    _, case = cases()[name]
    source = open_folder(save(name, folder), tokenizer=False)
    model = read_model(source)
    model.context = case.context or model.context
    return case, source, model


def reference_logits(case: Case, source: SeenModel, model: Family, chunk: int = CHUNK) -> NDArray[np.float64]:
    """Logits of the reference ops at the rows of a case. -> [R, V]"""
    cache, decode, logits = reference.Cache(), reference.decoder(source), []
    prompt = case.tokens(model.config.vocab)
    if case.kind == "answer":
        text = case.source_tokens(model.config.vocab)
        reference.step(model.encode, decode, text, [(cache, len(text))], [])  # type: ignore[attr-defined]
        cache.length = 0
    for start in range(0, case.length, chunk):
        tokens = prompt[start : start + chunk]
        rows = [row - start for row in case.rows if start <= row < start + len(tokens)]
        logits.append(reference.step(model.forward, decode, tokens, [(cache, len(tokens))], rows))
    return np.concatenate(logits)


def native_logits(core: Any, case: Case, source: SeenModel, model: Family, size: int = 64) -> NDArray[np.float32]:
    """Logits of the native core, `furet._core`, at the rows of a case; only of kind "decoder". -> [R, V]"""
    pool = core.Pool(2)
    compiled = native.compile(model.forward, source, max_tokens=size, max_rows=size)
    cache, logits = compiled.new_cache(case.length), []
    prompt = case.tokens(model.config.vocab).astype(np.int32)
    for start in range(0, case.length, size):
        tokens = prompt[start : start + size]
        out = np.empty((len(tokens), compiled.vocab), np.float32)
        everything = np.arange(len(tokens), dtype=np.int32)
        compiled.program.step(pool, tokens, [(cache, len(tokens))], everything, out)
        logits.append(out)
    return np.concatenate(logits)[case.rows]
