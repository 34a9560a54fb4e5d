"""What is forgotten when the context is full: little by little more, and the same whenever it is asked for again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from furet.chat.messages import Call, Message
from furet.chat.overflow import check_policy, drop_turns, room_of, shift_tokens
from furet.errors import BadRequest

CONTEXT, ROOM = 200, 20
SYSTEM = Message("system", "s" * 10)


def encode(messages):
    """A token for each character, two around each message; the system's are told from others."""
    return [ord(letter) for message in messages for letter in f"<{message.content}>"]


def turn(number, size=20):
    return [Message("user", f"{number:02}" + "u" * size), Message("assistant", f"{number:02}" + "a" * size)]


def dropped(messages, **more):
    return drop_turns(messages, encode, len, **{"context": CONTEXT, "room": ROOM, **more})


def seen(fitted) -> str:
    return "".join(map(chr, fitted.prompt))


def test_what_fits_is_left_alone():
    messages = [SYSTEM, *turn(1), *turn(2)]
    for fitted in (dropped(messages), shift_tokens(encode(messages), messages, encode, CONTEXT, ROOM)):
        assert (fitted.prompt, fitted.forgotten, fitted.note) == (encode(messages), 0, "")


def test_oldest_turns_go_the_system_message_stays_and_half_of_the_context_is_freed():
    messages = [SYSTEM, *[message for number in range(9) for message in turn(number)], Message("user", "last")]
    fitted = dropped(messages)
    assert len(fitted.prompt) + ROOM <= CONTEXT
    assert seen(fitted).startswith("<ssssssssss><0") and seen(fitted).endswith("<last>")
    assert fitted.forgotten % 2 == 0 and f"no longer sees the first {fitted.forgotten} messages" in fitted.note


def test_a_growing_conversation_is_forgotten_in_steps():
    """So that most requests begin as the one before, and need not be computed anew."""
    messages, counts = [SYSTEM], []
    for number in range(40):
        asked = [*messages, turn(number)[0]]
        counts.append(dropped(asked, context=600).forgotten)
        messages += turn(number)
    assert counts == sorted(counts)
    steps = [later - earlier for earlier, later in pairwise(counts)]
    assert steps.count(0) > 0.75 * len(steps) and max(steps) > 6


def test_a_result_is_not_parted_from_its_call():
    def used(number):
        call = Message("assistant", f"{number}c", calls=(Call("i", "tool", "x" * 20),))
        return [Message("user", f"{number}u" + "u" * 30), call, Message("tool", f"{number}r" + "r" * 20, call_id="i")]

    messages = [message for number in range(8) for message in used(number)]
    for size in range(60, 400, 10):
        text = seen(dropped(messages, context=size, room=5))
        for number in range(8):
            assert (f"<{number}c" in text) == (f"<{number}r" in text) == (f"<{number}u" in text)


def test_the_last_turn_stays_however_long_it_is():
    fitted = dropped([SYSTEM, *turn(1), Message("user", "u" * 500)])
    assert seen(fitted) == f"<{'s' * 10}><{'u' * 500}>" and fitted.forgotten == 2


def test_system_messages_within_stay():
    later = Message("system", "later")
    messages = [SYSTEM, *[m for number in range(9) for m in turn(number)], later, Message("user", "last")]
    assert seen(dropped(messages)).startswith("<ssssssssss>") and "<later>" in seen(dropped(messages))


def test_shifting_forgets_tokens_behind_the_system_message():
    messages = [SYSTEM, *[message for number in range(9) for message in turn(number)], Message("user", "last")]
    prompt = encode(messages)
    fitted = shift_tokens(prompt, messages, encode, CONTEXT, ROOM)
    head = len("<ssssssssss><")
    assert len(fitted.prompt) + ROOM <= CONTEXT and fitted.forgotten % (CONTEXT // 4) == 0
    assert fitted.prompt == prompt[:head] + prompt[head + fitted.forgotten :]
    assert f"first {fitted.forgotten} tokens behind the system message" in fitted.note
    longer = encode([*messages, Message("assistant", "x")])
    assert shift_tokens(longer, messages, encode, CONTEXT, ROOM).forgotten in (fitted.forgotten, fitted.forgotten + 50)


def test_a_system_message_that_fills_the_context_is_not_shifted():
    messages = [Message("system", "s" * 500), Message("user", "u")]
    assert shift_tokens(encode(messages), messages, encode, CONTEXT, ROOM).prompt == encode(messages)


def test_room_and_policies():
    assert room_of(None, 4096) == 256 and room_of(None, 400) == 100 and room_of(30, 4096) == 30
    for policy in ("truncate", None, ["drop"]):
        with pytest.raises(BadRequest, match="overflow"):
            check_policy(policy)
