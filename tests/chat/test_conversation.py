"""Conversations: what joins them, what is prefilled, what is forgotten, and what is left after errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from furet.errors import BadRequest, ContextOverflow, ModelFileError

SHORT = {"max_tokens": 6, "ignore_eos": True}


def answer(stream) -> str:
    return "".join(piece.text for piece in stream)


def test_messages_join_when_the_answer_ends(model):
    chat = model.chat(system="Be brief.", seed=1, **SHORT)
    stream = chat.say("Hello")
    assert [message["role"] for message in chat.messages] == ["system"]
    text = answer(stream)
    assert chat.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": text},
    ]
    assert chat.last is not None and chat.last.text == text and chat.last.timings.prefill_tokens > 0


def test_the_prompt_is_the_rendered_template(model):
    chat = model.chat(system="S", **SHORT)
    answer(chat.say("A"))
    prompt = model.tokenizer.encode(
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n"
    )
    prompt += chat.last.tokens
    prompt += model.tokenizer.encode("<|im_end|>\n<|im_start|>user\nB<|im_end|>\n<|im_start|>assistant\n")
    answer(chat.say("B"))
    assert chat.last.tokens == model.generate(prompt, seed=chat.last.seed, **SHORT).tokens
    assert chat.last.prompt_tokens == len(prompt)


def test_each_turn_prefills_only_what_is_new(model):
    chat = model.chat(seed=1, **SHORT)
    answer(chat.say("Hello there"))
    first = chat.last
    answer(chat.say("More"))
    new = model.tokenizer.encode("<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\n")
    assert chat.last.timings.cached_tokens == first.prompt_tokens + len(first.tokens) - 1
    assert chat.last.timings.prefill_tokens == len(new) + 1  # the last token of an answer is not fed back


def test_an_answer_may_fill_the_context_unless_told_otherwise(model):
    answer(model.chat(ignore_eos=True).say("Hello"))
    chat = model.chat(ignore_eos=True)
    answer(chat.say("Hello"))
    assert chat.last.prompt_tokens + len(chat.last.tokens) == model.context + 1


def test_options_of_an_answer_override_those_of_the_conversation(model):
    chat = model.chat(temperature=0, max_tokens=3, ignore_eos=True)
    answer(chat.say("A", max_tokens=5))
    assert len(chat.last.tokens) == 5
    with pytest.raises(BadRequest, match="temperature"):
        chat.say("A", temperature=-1)
    with pytest.raises(BadRequest, match="top_p"):
        model.chat(top_p=7)


def test_a_cancelled_answer_is_kept_as_far_as_it_came(model):
    chat = model.chat(max_tokens=50, temperature=0, ignore_eos=True)
    stream = chat.say("Hello")
    pieces = [next(stream), next(stream), next(stream)]
    stream.cancel()
    pieces += stream
    assert chat.messages[-1]["content"] == answer(pieces) != ""
    assert chat.last.finish_reason == "cancelled"


def test_an_unread_answer_is_closed_by_the_next_message(model):
    chat = model.chat(seed=1, **SHORT)
    stream = chat.say("A")
    next(piece for piece in stream if piece.text)  # an answer of which nothing was shown is no turn
    answer(chat.say("B"))
    assert [message["content"] for message in chat.messages][::2] == ["A", "B"]
    chat.say("never read")
    assert len(chat.messages) == 4


def test_an_answer_that_failed_leaves_the_conversation_as_it_was(model, monkeypatch):
    chat = model.chat(seed=1, **SHORT)
    answer(chat.say("A"))
    before = chat.messages

    def not_finite(logits):
        raise ModelFileError("not finite")

    monkeypatch.setattr(model._scheduler, "_check_logits", not_finite)
    for ask in (lambda: chat.say("B"), chat.regenerate):
        with pytest.raises(ModelFileError):
            answer(ask())
        assert chat.messages == before


def test_undo_takes_back_a_turn_and_regenerate_answers_it_anew(model):
    chat = model.chat(seed=3, temperature=2.0, **SHORT)
    answer(chat.say("A"))
    answer(chat.say("B"))
    kept, old = chat.messages[:3], chat.messages[3]["content"]
    new = [answer(chat.regenerate()), answer(chat.regenerate())]
    assert len({old, *new}) == 3 and chat.messages[:3] == kept and chat.messages[3]["content"] == new[-1]
    assert answer(chat.regenerate(seed=3)) == old
    assert chat.undo() == "B" and chat.messages == kept[:2]
    assert chat.undo() == "A" and chat.messages == []
    for ask in (chat.undo, chat.regenerate):
        with pytest.raises(BadRequest, match="nothing has been said"):
            ask()


def test_a_seed_gives_the_same_conversation_again(model):
    def talk() -> list[dict[str, str]]:
        chat = model.chat(seed=5, temperature=2.0, **SHORT)
        answer(chat.say("A"))
        answer(chat.say("B"))
        answer(chat.regenerate())
        return chat.messages

    assert talk() == talk()


@pytest.mark.parametrize("text", ["", None, 5])
def test_an_empty_message(model, text):
    with pytest.raises(BadRequest, match="empty"):
        model.chat().say(text)


def test_the_oldest_turns_are_forgotten_when_the_context_is_full(model):
    chat = model.chat(system="Keep this.", seed=1, **SHORT)
    for n in range(8):
        answer(chat.say(f"Message number {n}: the quick brown fox"))
        assert chat.last.prompt_tokens + 6 <= model.context
    assert len(chat.messages) == 17
    assert chat.notes and "no longer sees the first" in chat.notes[0]
    prompt = chat._prompts.encode([*chat._system(), *chat._turns[chat._first :]])
    text = model.tokenizer.decode(prompt)
    assert "Keep this." in text and "number 7" in text and "number 0" not in text
    cached = chat.last.timings.cached_tokens
    answer(chat.say("short"))
    assert chat.last.timings.cached_tokens > cached  # half was freed: nothing to forget


def test_a_message_longer_than_the_context(model):
    chat = model.chat(seed=1, **SHORT)
    answer(chat.say("A"))
    with pytest.raises(ContextOverflow):
        chat.say("x" * 400)
    assert len(chat.messages) == 2
    answer(chat.say("B"))
    assert len(chat.messages) == 4


def test_nothing_is_said_while_another_thread_makes_an_answer(model):
    chat = model.chat(**SHORT)
    reading, go_on = Event(), Event()

    def progress(done: int, total: int) -> None:
        reading.set()
        go_on.wait(20)

    stream = chat.say("A", progress=progress)
    with ThreadPoolExecutor(1) as thread:
        text = thread.submit(answer, stream)
        reading.wait(20)
        for ask in (lambda: chat.say("B"), chat.undo, chat.clear):
            with pytest.raises(BadRequest, match="being made"):
                ask()
        go_on.set()
    assert [message["content"] for message in chat.messages] == ["A", text.result()]


def test_chatml_is_used_when_a_file_has_its_tokens_but_no_template(make):
    def change(metadata):
        del metadata["tokenizer.chat_template"]

    bare, usual = make(change), make()
    chat = bare.chat(seed=1, **SHORT)
    assert chat.format.name == "chatml" and "tokens suggest the preset 'chatml'" in chat.notes[0]
    assert answer(chat.say("Hello")) == answer(usual.chat(seed=1, **SHORT).say("Hello"))
    assert usual.chat().notes == []


def test_plain_text_is_used_when_there_is_no_hint_of_a_format(make):
    def change(metadata):
        del metadata["tokenizer.chat_template"]
        metadata["tokenizer.ggml.tokens"] = [
            token.replace("<|im_", "<|other_") for token in metadata["tokenizer.ggml.tokens"]
        ]

    model = make(change)
    chat = model.chat(**SHORT)
    assert chat.format.name == "plain" and "may not be made for conversations" in chat.notes[0]
    answer(chat.say("Hello"))
    assert chat.last.prompt_tokens == len(model.tokenizer.encode("User: Hello\n\nAssistant:"))


@pytest.mark.parametrize("template", ["{% if", "{{ 1 / 0 }}", 5])
def test_a_template_that_is_none(make, template):
    def change(metadata):
        metadata["tokenizer.chat_template"] = template

    with pytest.raises((ModelFileError, BadRequest)):
        make(change).chat().say("Hello")
