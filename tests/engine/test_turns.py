"""Whose turn it is, step by step: the scheduler without its thread."""

from __future__ import annotations

from threading import current_thread

import numpy as np
import pytest
from tiny_prompt import PROMPT

from furet.engine.hand import Hand
from furet.engine.outputs import Outputs


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


def go_on(hands: list[Hand], token: int) -> None:
    """Have those that were answered ask for more."""
    for hand in hands:
        if hand.resting:
            hand.tokens.append(token)
            hand.want()


def begun(model, count: int) -> list[Hand]:
    """So many answers, each with its first token."""
    hands = [asking(model, [n, *PROMPT]) for n in range(count)]
    while not all(hand.resting for hand in hands):
        model._scheduler._step()
    return hands


def test_more_answers_than_rows_keep_no_prompt_out(still):
    """Sixteen rows of logits, eighteen answers: the last to come has its turn as well."""
    model = still(sequences=40)
    others = begun(model, 18)
    last = asking(model, [99, *PROMPT])
    for n in range(2):
        go_on(others, n)
        model._scheduler._step()
    assert last.resting


def test_a_long_answer_has_its_turn_among_ever_new_ones(still):
    model = still(sequences=40)
    first, *others = [asking(model, [n, *PROMPT]) for n in range(20)]
    served = []
    for n in range(120):
        model._scheduler._step()
        served.append(len(first.tokens))
        go_on([first, *others], n)
        if n % 3 == 2:  # the oldest of the others has ended, and another one comes
            others.pop(0).drop()
            others.append(asking(model, [50 + n, *PROMPT]))
    assert np.diff(served[20::4]).min() >= 1


@pytest.mark.parametrize("answers", [0, 20])
def test_logits_of_every_token_leave_the_rest_of_a_step_to_others(still, load, answers):
    """They take all rows; what another prompt wants are tokens, and a row for its last one."""
    model = still(sequences=40)
    others = begun(model, answers)
    out = np.empty((200, model.vocab), np.float32)
    outputs = Outputs((PROMPT * 20)[:200], out)
    model._scheduler.submit(outputs)
    prompts = [asking(model, [20 + n, *PROMPT * 7]) for n in range(2)]
    steps = 0
    while not all(hand.resting for hand in prompts):
        go_on(others, steps)
        model._scheduler._step()
        steps += 1
        assert steps <= (9 if answers else 3)
    assert not outputs.ended
    while not outputs.ended:
        model._scheduler._step()
    alone = load()
    np.testing.assert_array_equal(out, alone.logits((PROMPT * 20)[:200]))
    for n, hand in enumerate(prompts):
        np.testing.assert_array_equal(hand.logits, alone.logits([20 + n, *PROMPT * 7])[-1])
