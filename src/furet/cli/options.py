"""Options that several verbs share, and how they load a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from furet.cli.arguments import Argument, Option

if TYPE_CHECKING:
    from pathlib import Path

    from furet.engine.answer import Completion

ModelArgument = Annotated[str, Argument("alias, path, hf:org/name[:quant] or pypi:name", metavar="MODEL")]
Threads = Annotated[
    int | None, Option("-t", "--threads", help="worker threads; default: one per core that is ours to use")
]
Context = Annotated[
    int | None, Option("-c", "--context", help="tokens of context; default: the model's, as memory allows")
]
Memory = Annotated[
    str | None, Option("--memory", help="budget for everything, such as 6G; default: what the machine leaves")
]
NoRepack = Annotated[
    bool,
    Option(
        "--no-repack",
        help="leave the weights in the mapped file, which other processes share, instead of copying them into "
        "the order in which they are read fastest",
    ),
]
NoSpeculate = Annotated[
    bool,
    Option(
        "--no-speculate",
        help="do not guess tokens that repeat the text or must follow; guesses are verified, and change nothing but "
        "the time",
    ),
]
Draft = Annotated[
    str | None,
    Option(
        "--draft",
        help="a smaller model with the same tokens, which guesses what this one will say: the same answer, "
        "sooner where it is often right",
        metavar="MODEL",
    ),
]
KvType = Annotated[
    Literal["f16", "q8_0", "q4_0"],
    Option("--kv", "--cache-type", help="keep keys and values as f16, the default, q8_0 (half the memory) or q4_0"),
]
Json = Annotated[bool, Option("--json", help="the answer as JSON")]

Preset = Annotated[
    str | None,
    Option(
        "--preset",
        help="prompt format by name, or a chat template's file, *.jinja; `help` lists the names. "
        "Default: the model's own template, or what its tokens or name suggest",
        metavar="NAME",
    ),
]

MaxTokens = Annotated[
    int | None, Option("-n", "--max-tokens", help="at most so many tokens; default: until the model stops")
]
def model_file(ref: str) -> Path:
    """The file a reference names, downloaded with a progress bar when it is not on this machine."""
    from furet.files import store

    if found := store.find(ref):
        return found
    from furet.cli.pull import progress_bar

    with progress_bar() as progress:
        return store.resolve(ref, progress=progress)


def listed_presets(preset: str | None) -> bool:
    """Whether the presets were asked for, with `--preset help`; then they are on stdout."""
    if preset != "help":
        return False
    from furet.chat.presets import PRESETS
    from furet.cli.terminal import table

    rows = [(each.name, each.about, ", ".join(each.also)) for each in PRESETS]
    print(table(sorted(rows), ("preset", "for", "also called")))
    return True


def given(**settings: object) -> dict[str, Any]:
    """The settings that were given; the engine knows the defaults of the others."""
    return {name: value for name, value in settings.items() if value is not None}


def speed(completion: Completion) -> str:
    """One line on what an answer took."""
    took = completion.timings
    guessed = f" ({took.guessed_tokens} guessed)" if took.guessed_tokens else ""
    cached = f" (and {took.cached_tokens} held)" if took.cached_tokens else ""
    return (
        f"prompt {took.prefill_tokens} tokens{cached}, {took.prefill_rate:.1f} tokens/s; "
        f"answer {len(completion.tokens)} tokens{guessed}, {took.decode_rate:.1f} tokens/s; {completion.finish_reason}"
    )
