"""One request for an answer: its events in their order, what it takes, what it keeps for the next."""

from __future__ import annotations

import gc
import re
import weakref
from dataclasses import replace
from threading import Thread

import pytest
from tool_cases import TEMPLATES, TOOLS

from furet.chat import formats
from furet.chat.answering import answer, count
from furet.chat.events import Began, CallBegan, Ended, Text
from furet.chat.formats import find_format
from furet.chat.known import MAX_TOKENS, KnownAnswers
from furet.chat.messages import read_messages
from furet.chat.tools.plain import in_words
from furet.chat.tools.tool import read_tools
from furet.errors import BadRequest, ContextOverflow, NotFound

ASK = [{"role": "user", "content": "the"}]
SHORT = {"max_tokens": 6, "ignore_eos": True, "seed": 1}


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def test_the_events_of_an_answer(model):
    began, *texts, ended = answer(model, ASK, options={**SHORT, "logprobs": 2})
    prompt = model.tokenizer.encode("<|im_start|>user\nthe<|im_end|>\n<|im_start|>assistant\n")
    wanted = model.generate(prompt, **SHORT)
    assert began == Began(len(prompt), 0, 1)
    assert text_of(texts) == wanted.text
    assert [token for each in texts for token in each.tokens] == wanted.tokens
    assert [each.token for text in texts for each in text.logprobs] == wanted.tokens
    assert isinstance(ended, Ended) and (ended.reason, ended.stop) == ("length", None)
    assert (ended.prompt_tokens, ended.answer_tokens, ended.seed) == (len(prompt), 6, 1)
    assert ended.prefill_seconds > 0 and ended.decode_seconds > 0


def test_what_was_held_is_said_at_the_beginning_and_at_the_end(model):
    first = list(answer(model, ASK, options=SHORT))
    again = [*ASK, {"role": "assistant", "content": text_of(first)}, *ASK]
    began, *_, ended = answer(model, again, options=SHORT)
    assert began.cached_tokens == ended.cached_tokens >= first[0].prompt_tokens


def test_an_answer_that_comes_back_keeps_its_tokens(model):
    """However strangely it was cut: t, h, e are three tokens of this answer, and one of anybody else's text."""
    options = {"regex": "the|x", "logit_bias": {ord("t"): 100}}
    *_, ended = answer(model, ASK, options=options)
    assert ended.answer_tokens == 3
    sizes = {}
    for role, content in ((role, content) for role in ("assistant", "user") for content in ("t", "the")):
        sizes[role, content] = count(model, [*ASK, {"role": role, "content": content}, *ASK])
    assert sizes["assistant", "the"] == sizes["assistant", "t"] + 2
    assert sizes["user", "the"] == sizes["user", "t"]


def test_known_answers_are_bounded():
    known = KnownAnswers()
    known.keep("a", range(3))
    known.keep("too long", range(MAX_TOKENS + 1))
    known.keep("", [1])
    assert known.tokens("a") == (0, 1, 2) and known.tokens("too long") == known.tokens("") == ()
    known.keep("b", range(MAX_TOKENS - 3))
    assert known.tokens("a") == (0, 1, 2)
    known.keep("b", [1])
    known.keep("c", range(MAX_TOKENS))
    assert known.tokens("a") == known.tokens("b") == () and len(known.tokens("c")) == MAX_TOKENS


class Collected(str):
    """A text with which an answer is kept as if a stream had been collected while it is looked for."""

    def __new__(cls, text, known):
        made = super().__new__(cls, text)
        made.known = known
        return made

    def __hash__(self):
        self.known.keep("other", [1, 2])
        return super().__hash__()


def test_an_answer_is_kept_while_another_one_is():
    known = KnownAnswers()

    def work():
        known.keep(Collected("a", known), range(5))
        found.append(known.tokens(Collected("a", known)))

    found = []
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert found == [(0, 1, 2, 3, 4)] and known.tokens("other") == (1, 2) and known._count == 7


def without_template(metadata):
    del metadata["tokenizer.chat_template"]


def test_stop_strings_of_the_caller_are_named_and_those_of_the_format_are_not(model, monkeypatch):
    format = replace(find_format(model), stops=("aa",))
    monkeypatch.setattr("furet.chat.answering.find_format", lambda *args, **options: format)
    for stop, named in ((["no", "a"], "a"), ([], None), ("aaa", None)):
        options = {"logit_bias": {ord("a"): 100}, "stop": stop, "max_tokens": 9}
        *events, ended = answer(model, ASK, options=options)
        assert (text_of(events), ended.reason, ended.stop) == ("", "stop", named)


def test_what_ends_a_turn_does_not_cut_an_answer_of_a_form(make):
    model = make(without_template)
    for stop, named, text in (([], None, "a\nUser:b"), ("b", "b", "a\nUser:")):
        options = {"regex": "a\nUser:b", "stop": stop}
        *events, ended = answer(model, ASK, preset="plain", options=options)
        assert (text_of(events), ended.reason, ended.stop) == (text, "stop", named)
        assert "".join(piece.text for piece in model.chat(preset="plain").say("the", **options)) == text


def test_what_ends_a_turn_ends_text_beside_calls_and_cuts_no_call(make, monkeypatch):
    model, asked = make(without_template, context=1024), []
    real = type(model).answer

    def spy(self, prompt, request, **options):
        asked.append(request.stops)
        return real(self, prompt, request, **options)

    monkeypatch.setattr(type(model), "answer", spy)
    for choice in ("auto", "required"):
        answer(model, ASK, tools=TOOLS, tool_choice=choice, preset="plain", options={"stop": "x"}).close()
    assert asked == [("x", *find_format(model, "plain").stops), ("x",)]


def test_a_model_without_a_template_says_what_is_used(make):
    began = next(answer(make(without_template), ASK, options=SHORT))
    assert "preset 'chatml'" in began.notes[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"options": {"max_token": 5}}, "max_token: no option"),
        ({"options": {"temperature": -1}}, "temperature"),
        ({"options": {"stop": [""]}}, "stop"),
        ({"overflow": "truncate"}, "overflow"),
        ({"preset": "nobody's"}, "no preset"),
        ({"preset": "/etc/passwd.jinja"}, "no preset"),
        ({"resume": True}, "resume"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "a\ud800b"}]}, "surrogate"),
    ],
    ids=str,
)
def test_what_is_refused(model, given, says):
    with pytest.raises(BadRequest, match=says):
        answer(model, **{"messages": ASK, **given})


def test_a_misspelt_option_is_recognised(model):
    with pytest.raises(BadRequest) as caught:
        answer(model, ASK, options={"max_token": 5})
    assert caught.value.hint == "did you mean max_tokens?"


def test_a_file_is_a_format_in_python_alone(model):
    with pytest.raises(NotFound):
        find_format(model, "nowhere.jinja")


LONG = [{"role": role, "content": f"number {n} of them"} for n in range(9) for role in ("user", "assistant")]
LONG = [{"role": "system", "content": "Keep this."}, *LONG, *ASK]


def test_a_conversation_longer_than_the_context(model):
    size = count(model, LONG)
    assert size > model.context
    with pytest.raises(ContextOverflow, match=f"{size} tokens, the context holds {model.context}"):
        answer(model, LONG, options=SHORT)
    for policy, note in (("drop", "the first [0-9]+ messages"), ("shift", "the first [0-9]+ tokens")):
        began, *_, ended = answer(model, LONG, overflow=policy, options=SHORT)
        assert began.prompt_tokens + 6 <= model.context and ended.answer_tokens == 6
        (said,) = began.notes
        assert re.search(note, said)


def test_more_may_be_said_after_turns_were_dropped_without_computing_all_again(model):
    said, computed = LONG, []
    for _ in range(9):
        began, *_ = list(answer(model, said, overflow="drop", options=SHORT))
        computed.append(began.prompt_tokens - began.cached_tokens)
        said = [*said, {"role": "assistant", "content": "a"}, *ASK]
    assert sum(size < 80 for size in computed) >= 6, computed


def test_an_answer_is_resumed(model):
    began, *texts, _ = answer(model, ASK, options={**SHORT, "max_tokens": 4})
    said = [*ASK, {"role": "assistant", "content": text_of(texts)}]
    resumed, *more, ended = answer(model, said, resume=True, options={**SHORT, "max_tokens": 2})
    assert resumed.prompt_tokens == began.prompt_tokens + 4 and ended.answer_tokens == 2
    both = [*ASK, {"role": "assistant", "content": text_of([*texts, *more])}]
    last, *_ = answer(model, both, resume=True, options={**SHORT, "max_tokens": 1})
    assert last.prompt_tokens == began.prompt_tokens + 6  # with the tokens of both parts


def test_cancelled_from_another_thread_and_closed_early(model):
    made = answer(model, ASK, options={**SHORT, "max_tokens": 100})
    events = [next(made), next(made)]
    made.cancel()
    events += made
    assert events[-1].reason == "cancelled" and events[-1].answer_tokens < 100
    made = answer(model, ASK, options={**SHORT, "max_tokens": 100})
    next(made)
    made.close()
    assert list(made) == []
    unread = answer(model, ASK)
    unread.close()
    assert text_of(answer(model, ASK, options=SHORT)) == text_of(answer(model, ASK, options=SHORT))


def test_tools_are_shown_unless_there_is_no_choice(make):
    model = make(lambda metadata: metadata.update({"tokenizer.chat_template": TEMPLATES["hermes"]}), context=1024)
    shown, hidden = count(model, ASK, tools=TOOLS), count(model, ASK)
    assert shown > hidden + 100
    for choice, wanted in (("auto", shown), ("none", hidden)):
        made = answer(model, ASK, tools=TOOLS, tool_choice=choice, options=SHORT)
        assert next(made).prompt_tokens == wanted
        made.close()


def test_a_conversation_with_tools_for_a_template_that_knows_none(make):
    """Tools, calls and results are told in words; roles still come by turns."""
    model = make(lambda metadata: metadata.update({"tokenizer.chat_template": TEMPLATES["plain"]}), context=2048)
    call = {"id": "1", "name": "now", "arguments": "{}"}
    messages = [
        {"role": "system", "content": "Be brief."},
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "noon", "tool_call_id": "1"},
        *ASK,
    ]
    told = in_words(read_messages(messages), read_tools(TOOLS))
    assert [message.role for message in told] == ["system", "user", "assistant", "user"]
    assert told[0].content.startswith("Be brief.\n\nYou can use these tools.") and '"get_weather"' in told[0].content
    assert told[2].content == '{"tool": "now", "arguments": {}}'
    assert told[3].content == "Result of now:\nnoon\n\nthe"
    assert len(find_format(model, tools=True).prompts.encode(told)) == count(model, messages, tools=TOOLS)
    assert in_words(told[1:], read_tools(TOOLS), system=False)[0].role == "user"


def test_ids_of_others_are_such_as_the_template_takes(make):
    model = make(lambda metadata: metadata.update({"tokenizer.chat_template": TEMPLATES["mistral"]}), context=1024)
    call = {"id": "call_of_another_model", "name": "now", "arguments": "{}"}
    result = {"role": "tool", "content": "noon", "tool_call_id": call["id"]}
    messages = [*ASK, {"role": "assistant", "content": "", "tool_calls": [call]}, result]
    assert count(model, messages) > count(model, ASK)
    options = {"max_tokens": 40, "seed": 1}
    events = list(answer(model, messages, tools=TOOLS, tool_choice={"name": "now"}, options=options))
    assert all(len(event.id) == 9 for event in events if isinstance(event, CallBegan))


def test_a_format_is_compiled_once_and_goes_with_its_model(make, monkeypatch):
    model = make()
    assert find_format(model) is find_format(model)
    assert find_format(model, "ChatML") is find_format(model, "chatml") is not find_format(model)
    monkeypatch.setattr(formats, "_compiled", None)
    assert text_of(answer(model, ASK, options=SHORT))
    held = weakref.ref(find_format(model))
    formats._made.pop(model)
    gc.collect()
    assert held() is None
