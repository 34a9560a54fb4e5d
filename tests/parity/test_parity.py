"""A family is supported when its logits are those of transformers, near and far."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.checkpoint import Case, cases

from furet.families import read_model
from furet.ops import reference

CHUNK = 512  # a prompt goes in by chunks, for the scores of a chunk are [H, chunk, S]


def furet_logits(case: Case) -> NDArray[np.float64]:
    """Logits of the reference ops at the rows of a case. -> [R, V]"""
    source, cache, logits = case.build(), reference.Cache(), []
    model, decode = read_model(source), reference.decoder(source)
    for start in range(0, case.length, CHUNK):
        tokens = case.tokens[start : start + CHUNK]
        rows = [row - start for row in case.rows if start <= row < start + len(tokens)]
        logits.append(reference.step(model.forward, decode, tokens, [(cache, len(tokens))], rows))
    return np.concatenate(logits)


@pytest.mark.parametrize("name", cases())
def test_logits_are_those_that_transformers_gave(name: str) -> None:
    case = cases()[name]
    np.testing.assert_allclose(furet_logits(case), case.golden(name), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", cases())
def test_stored_logits_are_those_that_transformers_gives(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from parity.transformers_logits import transformers_logits

    case = cases()[name]
    np.testing.assert_allclose(transformers_logits(case), case.golden(name), rtol=0, atol=1e-5)
