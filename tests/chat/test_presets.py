"""Presets: what they write, which is suggested for which model, and how they end an answer."""

from __future__ import annotations

import pytest

from furet.chat.formats import find_preset, suggest_preset
from furet.chat.presets import PRESETS
from furet.errors import BadRequest, ModelFileError, NotFound
from furet.text.template import ChatTemplate

TALK = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "A"},
    {"role": "assistant", "content": " B "},
    {"role": "user", "content": "C"},
]
WRITTEN = {
    "vicuna": "S USER: A ASSISTANT: B</s>USER: C ASSISTANT:",
    "alpaca": "S\n\n### Instruction:\nA\n\n### Response:\nB\n\n### Instruction:\nC\n\n### Response:\n",
    "chatml": (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
        "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n"
    ),
    "llama2": "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]",
    "mistral": "[INST] S\n\nA [/INST] B</s>[INST] C [/INST]",
    "mistral-nemo": "[INST]S\n\nA[/INST]B</s>[INST]C[/INST]",
    "gemma": (
        "<start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n"
        "<start_of_turn>user\nC<end_of_turn>\n<start_of_turn>model\n"
    ),
    "tinyllama": "<|system|>\nS</s>\n<|user|>\nA</s>\n<|assistant|>\nB</s>\n<|user|>\nC</s>\n<|assistant|>\n",
    "phi2": "S\n\nInstruct: A\nOutput: B\nInstruct: C\nOutput:",
    "openllama": "S\n\nQ: A\nA: B\nQ: C\nA:",
    "orca-mini": "### System:\nS\n\n### User:\nA\n\n### Response:\nB\n\n### User:\nC\n\n### Response:\n",
    "saiga": "<s>system\nS</s>\n<s>user\nA</s>\n<s>bot\nB</s>\n<s>user\nC</s>\n<s>bot\n",
    "rwkv-raven": "S\n\nUser: A\n\nAssistant: B\n\nUser: C\n\nAssistant:",
    "redpajama": "S\n<human>: A\n<bot>: B\n<human>: C\n<bot>:",
    "openassistant": "<|system|>S</s><|prompter|>A</s><|assistant|>B</s><|prompter|>C</s><|assistant|>",
    "raw": "S\n\nABC",
}
BY_NAME = {
    "Vicuna 7B v1.5": "vicuna",
    "WizardLM-13B-V1.2": "vicuna",
    "wizardLM-7B": "wizardlm",
    "ggml-alpaca-7b-q4": "alpaca",
    "Llama-2-7B-Chat": "llama2",
    "llama2_7b_chat": "llama2",
    "Llama-2-7B": "plain",
    "Mistral-7B-Instruct-v0.2": "mistral",
    "Mixtral 8x7B Instruct": "mistral",
    "Mistral-7B-v0.1": "plain",
    "TinyLlama-1.1B-Chat-v1.0": "zephyr",
    "vigogne-2-7b-chat": "vigogne-chat",
    "vigogne-7b-instruct": "vigogne",
    "saiga_7b_lora": "saiga",
    "open_llama_3b": "openllama",
    "orca_mini_3b": "orca-mini",
    "phi-2": "phi2",
    "rwkv-4-raven-3b": "rwkv-raven",
    "RedPajama-INCITE-Chat-3B-v1": "redpajama",
    "dolly-v2-3b": "dolly",
    "ggml-gpt4all-j-v1.3-groovy": "gpt4all-j",
    "koala-7B": "koala",
    "stablelm-tuned-alpha-3b": "stablelm-tuned",
    "oasst-sft-4-pythia-12b": "openassistant",
    "google/flan-t5-small": "raw",
    "something else": "plain",
    "": "plain",
}
SHORT = {"max_tokens": 6, "ignore_eos": True}


def compiled(preset) -> ChatTemplate:
    return ChatTemplate(preset.template, "<s>", "</s>")


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_preset_writes(name):
    assert compiled(find_preset(name)).render(TALK) == WRITTEN[name]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_prompt_is_the_beginning_of_the_next(preset):
    """So that each turn computes only what is new; the space before an answer is the model's to say."""
    template = compiled(preset)
    first, second = template.render(TALK[:2]), template.render(TALK)
    assert second.startswith(first) and not first.endswith(" ")
    assert second.removeprefix(first).lstrip(" ").startswith("B")
    assert template.render(TALK[:3], add_generation_prompt=False) in second


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_system_message_replaces_the_default_one(preset):
    template = compiled(preset)
    plain, told = template.render(TALK[1:2]), template.render(TALK[:2])
    assert (preset.default in plain) and not (preset.default and preset.default in told)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_system_messages_keep_their_place(preset):
    roles = ["system", "system", "user", "assistant", "system", "user"]
    text = compiled(preset).render([{"role": role, "content": f"({place})"} for place, role in enumerate(roles)])
    places = [text.index(f"({place})") for place in range(len(roles))]
    assert places == sorted(places)
    assert "(0)" in compiled(preset).render([{"role": "system", "content": "(0)"}])


def test_quotes_braces_and_code_in_messages_stay_what_they_are():
    content = "{{ x }} {% if %} {eos} {} 'q' \"r\" \\n {bos}"
    assert f"USER: {content} ASSISTANT:" in compiled(find_preset("vicuna")).render(
        [{"role": "user", "content": content}]
    )


def test_roles_that_a_preset_does_not_know():
    with pytest.raises(BadRequest, match="preset vicuna knows no messages of the role tool"):
        compiled(find_preset("vicuna")).render([{"role": "tool", "content": "x"}])


def test_names_are_found_however_they_are_written():
    names = [name for preset in PRESETS for name in (preset.name, *preset.also)]
    assert len(names) == len(set(names)) >= 45
    assert [find_preset(name) for name in names] == [p for p in PRESETS for _ in (p.name, *p.also)]
    assert find_preset(" Orca_Mini ") is find_preset("orca mini") is find_preset("orca-mini")
    with pytest.raises(BadRequest, match="'vikuna'") as caught:
        find_preset("vikuna")
    assert "did you mean vicuna" in caught.value.hint
    with pytest.raises(BadRequest) as caught:
        find_preset("x" * 500)
    assert len(caught.value.message) < 100


@pytest.mark.parametrize("preset", [each for each in PRESETS if each.tokens], ids=lambda preset: preset.name)
def test_tokens_suggest_a_preset(preset):
    assert suggest_preset(preset.tokens.__contains__, "llama-2-chat") == (preset, "tokens")
    if len(preset.tokens) > 1:
        assert suggest_preset(preset.tokens[1:].__contains__, "x")[0] is not preset


@pytest.mark.parametrize("name", BY_NAME)
def test_names_suggest_a_preset(name):
    preset, sign = suggest_preset(lambda text: False, name)
    assert preset.name == BY_NAME[name]
    assert sign == ("name" if preset.name != "plain" else "")


def test_a_chosen_preset_writes_the_conversation(model):
    chat = model.chat("S", preset="Vicuna", **SHORT)
    list(chat.say("A"))
    text = "S USER: A ASSISTANT:"
    assert chat.format.name == "vicuna" and chat.notes == []
    assert chat.last.prompt_tokens == len(model.tokenizer.encode(text))
    assert chat.last.tokens == model.generate(text, seed=chat.last.seed, **SHORT).tokens


def test_its_stops_end_the_answer(model, monkeypatch):
    asked = []
    answer = type(model).answer

    def spy(self, prompt, request, **options):
        asked.append((request.stops, options["ends"]))
        return answer(self, prompt, request, **options)

    monkeypatch.setattr(type(model), "answer", spy)
    list(model.chat(preset="vicuna", **SHORT).say("A", stop="x"))
    list(model.chat(preset="chatml", **SHORT).say("A"))
    end = model.tokenizer.encode("<|im_end|>")[0]
    assert asked == [(("x", "USER:"), frozenset()), (("<|im_end|>",), frozenset([end]))]


def test_its_sampling_holds_unless_the_caller_says_otherwise(model):
    assert model.chat(preset="bunny").format.sampling == {"temperature": 0.0}
    greedy = [model.chat(preset="bunny", seed=seed, **SHORT) for seed in (1, 2)]
    for chat in greedy:
        list(chat.say("A"))
    assert greedy[0].last.tokens == greedy[1].last.tokens
    assert model.chat(preset="bunny", temperature=1.5)._options["temperature"] == 1.5


def test_a_template_file(model, tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text("{% for m in messages %}<{{ m.content }}>{% endfor %}{{ pad_token is defined }}")
    chats = [model.chat(preset=path, **SHORT), model.chat(preset=str(path), **SHORT)]
    for chat in chats:
        list(chat.say("A"))
        assert chat.format.name == "own.jinja"
        assert chat.last.prompt_tokens == len(model.tokenizer.encode("<A>False"))
    with pytest.raises(NotFound, match=r"none\.jinja"):
        model.chat(preset=tmp_path / "none.jinja")
    path.write_text("{% if %}")
    with pytest.raises(ModelFileError):
        model.chat(preset=path)


def test_named_templates_in_a_file(make):
    def change(metadata):
        metadata["tokenizer.chat_template.tool_use"] = "{{ 'tools' }}"

    from furet.chat.formats import find_format

    model = make(change)
    said = [{"role": "user", "content": "A"}]
    assert find_format(model, tools=True).template.render(said) == "tools"
    assert "<|im_start|>" in find_format(model).template.render(said)


def test_the_fallback_is_named_and_so_is_the_way_to_choose_another(make):
    def change(metadata):
        del metadata["tokenizer.chat_template"]
        metadata["general.name"] = "Vicuna"
        metadata["tokenizer.ggml.tokens"] = [
            token.replace("<|im_", "<|other_") for token in metadata["tokenizer.ggml.tokens"]
        ]

    model = make(change)
    assert model.chat().format.name == "vicuna"
    (note,) = model.chat().notes
    assert "its name suggests the preset 'vicuna'" in note and "--preset" in note
    assert model.chat(preset="alpaca").notes == []
