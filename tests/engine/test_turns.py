"""Whose turn it is, step by step: the scheduler without its thread."""

from __future__ import annotations

from threading import current_thread

import numpy as np
import pytest
from tiny_prompt import PROMPT

from furet.engine.hand import Hand


@pytest.fixture
def still(load):
    """A model whose scheduler steps only when it is told to."""

    def still(**settings):
        model = load(**settings)
        model._scheduler._thread = current_thread()
        return model

    return still


def asking(model, tokens) -> Hand:
    """A request for the logits that follow these tokens."""
    hand = Hand(tokens, model.vocab, gone=lambda: False)
    hand.want()
    model._scheduler.submit(hand)
    return hand


def test_a_long_answer_has_its_turn_among_ever_new_ones(still):
    model = still(sequences=40)
    first, *others = [asking(model, [n, *PROMPT]) for n in range(20)]
    served = []
    for n in range(120):
        model._scheduler._step()
        served.append(len(first.tokens))
        for hand in [first, *others]:
            if hand.resting:
                hand.tokens.append(n)
                hand.want()
        if n % 3 == 2:  # the oldest of the others has ended, and another one comes
            others.pop(0).drop()
            others.append(asking(model, [50 + n, *PROMPT]))
    assert np.diff(served[20::4]).min() >= 1
