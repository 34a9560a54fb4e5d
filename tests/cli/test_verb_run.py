"""`furet run` on a tiny model, and on what is none."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import tiny
from commandline import Furet

from furet import load
from furet.cli import run as run_file
from furet.engine.packing import Packing
from furet.sample.settings import Sampling


def test_the_answer_and_nothing_else_is_on_stdout(furet: Furet, model: Path) -> None:
    result = furet("run", model, "the", "-n", 8, "--temperature", 0, "--stats")
    with load(model) as loaded:
        expected = loaded.generate("the", max_tokens=8, temperature=0).text
    assert (result.code, result.out) == (0, expected + "\n")
    assert "answer 8 tokens" in result.err and "length" in result.err


def test_json(furet: Furet, model: Path) -> None:
    result = furet("run", model, "the", "-n", 4, "--seed", 7, "--json", "--logprobs", 2)
    found = json.loads(result.out)
    assert result.code == 0 and not result.err
    assert found["model"] == str(model) and found["seed"] == 7 and found["prompt_tokens"] == 1
    assert len(found["tokens"]) == len(found["logprobs"]) == 4
    assert found["finish_reason"] == "length"
    assert found["timings"]["prefill_tokens"] == 1 and found["timings"]["decode_seconds"] > 0
    assert {"text", "timings", "logprobs"} <= set(found)


def test_the_same_seed_gives_the_same_answer(furet: Furet, model: Path) -> None:
    answers = [furet("run", model, "the", "-n", 12, "--seed", seed).out for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]


def test_every_sampling_option_reaches_the_engine(furet: Furet, model: Path) -> None:
    """One token that a bias of 100 forces, under all options at once; then what each says when it is wrong."""
    names = {field.name: field for field in fields(Sampling)}
    given = {"logit_bias": "104=100", "chain": "temperature;top_k, dry", "penalise_newline": "no", "dry_breakers": "."}
    options = [flag for name in names for flag in (FLAGS.get(name, f"--{name.replace('_', '-')}"), given.get(name, 1))]
    result = furet("run", model, "the", "-n", 3, "--json", *options)
    assert result.code == 0 and json.loads(result.out)["tokens"] == [104] * 3
    for name in sorted(names.keys() - given.keys()):
        wrong = furet("run", model, "the", FLAGS.get(name, f"--{name.replace('_', '-')}"), -777)
        assert wrong.code == 2 and name in wrong.err, name
    for option, wrong_value in (("--logit-bias", "a=b"), ("--chain", "nucleus"), ("--logit-bias", "999999=1")):
        assert furet("run", model, "the", option, wrong_value).code == 2


FLAGS = {"dry_breakers": "--dry-breaker"}


def test_methods_and_a_draft_reach_the_engine(furet: Furet, model: Path) -> None:
    beams = ("--beams", 3, "--length-penalty", 2, "--early-stopping", "never")
    found = json.loads(furet("run", model, "the", "-n", 5, "--json", *beams).out)
    assert len(found["beams"]) == 3 and found["beams"][0]["tokens"] == found["tokens"]
    plain = furet("run", model, "the", "-n", 12, "--temperature", 0)
    assert furet("run", model, "the", "-n", 12, "--temperature", 0, "--draft", model).out == plain.out
    guided = furet("run", model, "the", "-n", 12, "--temperature", 0, "--guidance", 5, "--negative-prompt", "and")
    assert guided.code == 0 and guided.out != plain.out
    unlike = furet("run", model, "the", "-n", 12, "--penalty-alpha", 0.6, "--top-k", 4)
    assert unlike.code == 0 and unlike.out != plain.out
    for wrong in (
        ("--beams", 17),
        ("--penalty-alpha", 2),
        ("--length-penalty", 2),
        ("--negative-prompt", "a"),
        ("--early-stopping", "yes"),
    ):
        result = furet("run", model, "the", *wrong)
        assert result.code == 2 and wrong[0][2:].replace("-", "_") in result.err


def test_the_form_of_an_answer(furet: Furet, model: Path, tmp_path: Path) -> None:
    schema, grammar = tmp_path / "schema.json", tmp_path / "form.gbnf"
    schema.write_text('{"enum": ["a", "b"]}')
    grammar.write_text('root ::= "y" | "n"')
    for options, wanted in (
        (("--json-schema", schema), ('"a"', '"b"')),
        (("-j", '{"enum": ["c"]}'), ('"c"',)),
        (("--regex", "x{3}"), ("xxx",)),
        (("--choice", "yes", "--choice", "no"), ("yes", "no")),
        (("--grammar", grammar), ("y", "n")),
        (("--grammar", 'start: "z"'), ("z",)),
    ):
        result = furet("run", model, "the", *options)
        assert result.code == 0 and result.out.strip() in wanted, options
    both = ("-j", "true", "--regex", "a")
    for options in (("--json-schema", "none.json"), ("--grammar", tmp_path), ("--regex", "("), both):
        result = furet("run", model, "the", *options)
        assert result.code == 2 and not result.out and "Traceback" not in result.err


def test_guesses_change_nothing_but_the_time(furet: Furet, model: Path) -> None:
    options = ("run", model, "abcabcabc", "-n", 40, "--temp", 0, "--regex", "(abc){20}", "--stats")
    ahead, plain = furet(*options), furet(*options, "--no-speculate")
    assert ahead.out == plain.out and "guessed" not in plain.err


def test_the_order_of_the_chain_is_shown(furet: Furet) -> None:
    assert furet("run", "none", "--chain", "help").out.startswith("penalties,dry,top_n_sigma,top_k,")


def test_prompt_from_stdin_loses_one_newline(furet: Furet, model: Path) -> None:
    expected = furet("run", model, "a\n", "-n", 4, "--temp", 0).out
    for stdin in (b"a\n\n", b"a\n\r\n"):
        assert furet("run", model, "-n", 4, "--temp", 0, stdin=stdin).out == expected
    assert furet("run", model, "-", "-n", 4, "--temp", 0, stdin=b"a\n\n").out == expected


def test_chat_uses_the_template(furet: Furet, model: Path) -> None:
    plain = furet("run", model, "the", "-n", 1, "--json")
    asked = furet("run", model, "the", "-n", 1, "--json", "--chat")
    told = furet("run", model, "the", "-n", 1, "--json", "--system", "be brief")
    lengths = [json.loads(result.out)["prompt_tokens"] for result in (plain, asked, told)]
    assert lengths[0] < lengths[1] < lengths[2]


@pytest.mark.parametrize("stdin", [b"", b"\n"])
def test_an_empty_prompt(furet: Furet, model: Path, stdin: bytes) -> None:
    result = furet("run", model, stdin=stdin)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("furet: the prompt is empty\nhint: ")


def test_stdin_that_is_not_utf8(furet: Furet, model: Path) -> None:
    result = furet("run", model, stdin=b"caf\xe9 au lait")
    assert (result.code, result.out) == (2, "")
    assert "stdin: not UTF-8 at byte 3 (0xe9)" in result.err


def test_stdin_without_end(furet: Furet, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_file, "_MOST_BYTES", 100)
    result = furet("run", model, stdin=b"x" * 101)
    assert result.code == 2 and "more than 100 bytes" in result.err


def test_an_argument_that_is_not_utf8(furet: Furet, model: Path) -> None:
    result = furet("run", model, b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert result.code == 2 and "not UTF-8" in result.err


def test_no_prompt_on_a_terminal(furet: Furet, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_file, "is_terminal", lambda *streams: True)
    result = furet("run", model)
    assert result.code == 2 and "there is no prompt" in result.err


def test_a_prompt_longer_than_the_context(furet: Furet, model: Path) -> None:
    result = furet("run", model, "x" * 100, "--context", 64)
    assert (result.code, result.out) == (2, "")
    assert "the prompt has 100 tokens, the context holds 64" in result.err


@pytest.mark.parametrize(
    ("options", "named"),
    [("--top-p 2", "top_p"), ("--memory lots", "memory"), ("-t 0", "threads"), ("-c 0", "context")],
)
def test_options_out_of_range(furet: Furet, model: Path, options: str, named: str) -> None:
    result = furet("run", model, "x", *options.split())
    assert result.code == 2 and named in result.err and not result.out


def test_weights_that_stay_in_the_file(furet: Furet, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []
    monkeypatch.setattr(Packing, "add", lambda self, file, matrices: packed.extend(matrices))
    answers = [furet("run", model, "the", "-n", 4, "--temp", 0, *flag).out for flag in ((), ("--no-repack",))]
    assert answers[0] == answers[1] and len(packed) == len(set(packed)) > 0


def test_a_model_that_does_not_fit(furet: Furet, model: Path) -> None:
    result = furet("run", model, "x", "--memory", "1M")
    assert result.code == 5 and "the budget asked for is 1.0 MB" in result.err


def test_a_missing_file(furet: Furet, tmp_path: Path) -> None:
    result = furet("run", tmp_path / "none.gguf", "x")
    assert result.code == 3 and "none.gguf" in result.err and "hint: " in result.err


def test_an_unknown_alias(furet: Furet) -> None:
    result = furet("run", "nonsuch", "x")
    assert result.code == 3 and "nonsuch" in result.err


def test_a_model_that_is_not_here_while_offline(furet: Furet) -> None:
    result = furet("run", "hf:org/name", "x")
    assert result.code == 3 and "HF_HUB_OFFLINE" in result.err


def test_a_directory(furet: Furet, tmp_path: Path) -> None:
    result = furet("run", tmp_path, "x")
    assert result.code in (2, 4) and "directory" in result.err


def test_a_web_page(furet: Furet, tmp_path: Path) -> None:
    page = tmp_path / "model.gguf"
    page.write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    result = furet("run", page, "x")
    assert result.code == 4 and "web page" in result.err and "hint: download" in result.err


def test_an_unknown_architecture(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model("llama", tokenizer=True)
    made.metadata["general.architecture"] = "perceptron"
    result = furet("run", tiny.write(tmp_path / "odd.gguf", made), "x")
    assert result.code == 4 and "perceptron" in result.err and "llama" in result.err


def test_control_characters_do_not_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from furet.engine.answer import Piece

    written: list[str] = []
    monkeypatch.setattr(run_file, "is_terminal", lambda *streams: True)
    monkeypatch.setattr(sys.stdout, "write", written.append)
    run_file._consume([Piece("a\x1b[2Jb")], quiet=False)
    assert "".join(written) == "a\\x1b[2Jb\n"


def test_presets(furet: Furet, model: Path, tmp_path: Path) -> None:
    with load(model) as loaded:
        wanted = [len(loaded.tokenizer.encode(text)) for text in ("USER: the\nASSISTANT:", "[the]")]
    own = tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    found = [furet("run", model, "the", "-n", 1, "--json", "--preset", name) for name in ("bunny", own)]
    assert [json.loads(result.out)["prompt_tokens"] for result in found] == wanted
    unknown = furet("run", model, "the", "--preset", "vikuna")
    assert (unknown.code, unknown.out) == (2, "") and "did you mean vicuna" in unknown.err


def test_presets_are_listed(furet: Furet, model: Path) -> None:
    lists = [furet("run", model, "--preset", "help"), furet("chat", "--preset", "help")]
    assert lists[0] == lists[1] and lists[0].code == 0 and not lists[0].err
    assert "\nzephyr" in lists[0].out and "tinyllama\n" in lists[0].out


def test_a_model_without_a_template_is_named_its_fallback(furet: Furet, tmp_path: Path) -> None:
    made = tiny.model(tokenizer=True)
    del made.metadata["tokenizer.chat_template"]
    path = tiny.write(tmp_path / "bare.gguf", made)
    results = [furet("run", path, "the", "--chat", "-n", 1), furet("chat", path, "-n", 1, stdin=b"the\n")]
    for result in results:
        assert result.code == 0 and "no chat template; its tokens suggest the preset 'chatml'" in result.err
