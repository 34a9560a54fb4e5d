"""`furet run`: one prompt in, its continuation on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from furet.cli import options
from furet.cli.arguments import Argument, Option
from furet.cli.form import FormOptions, form_settings
from furet.cli.sampling import SamplingOptions, listed_chain, sampling_settings
from furet.cli.terminal import emit_json, is_terminal, note, printable
from furet.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from furet.engine.answer import Completion, Piece

_MOST_BYTES = 16 << 20


def run(
    model: options.ModelArgument,
    prompt: Annotated[
        str | None, Argument("the text to continue; missing or `-`: stdin, without its last newline")
    ] = None,
    chat: Annotated[bool, Option("--chat", help="send it as a message, through the chat template")] = False,
    system: Annotated[str | None, Option("--system", help="system message; implies --chat")] = None,
    preset: options.Preset = None,
    max_tokens: options.MaxTokens = None,
    stop: Annotated[
        list[str] | None, Option("--stop", help="end before this text; may be repeated", metavar="TEXT")
    ] = None,
    logprobs: Annotated[
        int | None, Option("--logprobs", help="with --json: also so many of the likeliest alternatives")
    ] = None,
    no_speculate: options.NoSpeculate = False,
    draft: options.Draft = None,
    threads: options.Threads = None,
    context: options.Context = None,
    memory: options.Memory = None,
    no_repack: options.NoRepack = False,
    kv: options.KvType = "f16",
    json: options.Json = False,
    stats: Annotated[bool, Option("--stats", help="tokens and speed on stderr, at the end")] = False,
    sampling: SamplingOptions = {},  # noqa: B006
    form: FormOptions = {},  # noqa: B006
) -> None:
    """Continue a text. The continuation, without the prompt, goes to stdout while it is made.

    The prompt is continued as it stands. --chat asks it as a question instead, which is what a model tuned
    to follow instructions expects; so does --preset, in a format of your choice. Ctrl-C ends it with exit
    code 130; what was written stays.

    examples:
      furet run smollm2 "The capital of France is" -n 8 --temperature 0
      furet run smollm2 --chat "Write a haiku about ferrets." --seed 1
      furet run smollm2 --json -n 16 < prompt.txt
      furet run smollm2 --chat "Is water wet?" --choice yes --choice no
      furet run smollm2 --chat "Describe a ferret." --json-schema ferret.schema.json
      furet run smollm2 "Ferrets are" --beams 4 -n 20
    """
    from furet import load

    if options.listed_presets(preset) or listed_chain(sampling):
        return
    text = _from_stdin() if prompt is None or prompt == "-" else _checked(prompt)
    if not text:
        raise BadRequest("the prompt is empty", "give at least a word to continue")
    settings = sampling_settings(sampling) | form_settings(form) | options.given(
        stop=stop, logprobs=0 if json and logprobs is None else logprobs, speculate=not no_speculate
    )
    with load(
        options.model_file(model),
        threads=threads,
        context=context,
        memory=memory,
        repack=not no_repack,
        kv=kv,
        draft=None if draft is None else options.model_file(draft),
    ) as loaded:
        if chat or system is not None or preset is not None:
            conversation = loaded.chat(system=system, preset=preset)
            for remark in conversation.notes:
                note(f"note: {remark}")
            pieces = conversation.say(text, max_tokens=max_tokens, **settings)
        else:
            pieces = loaded.stream(text, max_tokens=max_tokens, **settings)
        _consume(pieces, quiet=json)
        if json:
            _print_json(model, pieces.completion)
        if stats:
            note(options.speed(pieces.completion))


def _from_stdin() -> str:
    """The prompt on stdin; its last newline is the terminal's or the editor's, not the author's."""
    if is_terminal(sys.stdin):
        raise BadRequest(
            "there is no prompt", "give it as an argument, or on stdin: furet run MODEL < prompt.txt"
        )
    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadRequest(f"stdin: more than {_MOST_BYTES} bytes", "no context holds that; send a part of it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"stdin: not UTF-8 at byte {error.start} (0x{data[error.start]:02x})",
            "convert it first, for example with `iconv -t UTF-8`",
        ) from None
    return text.removesuffix("\n").removesuffix("\r")


def _checked(prompt: str) -> str:
    """The prompt, if its bytes on the command line were UTF-8."""
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRequest(
            f"the prompt is not UTF-8 at character {error.start}", "check the terminal's locale"
        ) from None
    return prompt


def _consume(pieces: Iterable[Piece], quiet: bool) -> None:
    """Write the pieces as they come, with control characters spelled out when a person is watching."""
    shown: Any = printable if is_terminal(sys.stdout) else str
    for piece in pieces:
        if not quiet:
            sys.stdout.write(shown(piece.text))
            sys.stdout.flush()
    if not quiet:
        print()


def _print_json(model: str, completion: Completion) -> None:
    from dataclasses import asdict

    emit_json({"model": model, **asdict(completion)})
