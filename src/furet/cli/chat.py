"""`furet chat`: a conversation in the terminal."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from furet.cli import options
from furet.cli.arguments import Argument, Option
from furet.cli.chats import LAST, Beginning, chosen_chat, export_all, import_file, listed_chats, opened_store
from furet.cli.commands import Talk, command
from furet.cli.editor import lines, typed
from furet.cli.sampling import SamplingOptions, listed_chain, sampling_settings
from furet.cli.terminal import is_terminal, note, size
from furet.errors import FuretError

if TYPE_CHECKING:
    from types import FrameType

    from furet import Model, Stream
    from furet.chat.store.recorder import Recording

# The editor and the Markdown view with their libraries: by how much a chat on a terminal peaks above the same
# chat through a pipe, and a little more.
_SCREEN_BYTES = 30_000_000


def chat(
    model: Annotated[
        str | None, Argument("alias, path, hf:org/name[:quant] or pypi:name; default: smollm2", metavar="MODEL")
    ] = None,
    system: Annotated[str | None, Option("--system", help="what the model is told before the conversation")] = None,
    preset: options.Preset = None,
    resume: Annotated[
        str | None,
        Option(
            "--resume",
            help="go on with the last chat, or with the one whose id or title begins with CHAT; what the chat "
            "has settings for need not be given again",
            metavar="CHAT",
            bare=LAST,
        ),
    ] = None,
    list: Annotated[bool, Option("--list", help="list the recent chats, and end")] = False,
    import_: Annotated[
        str | None,
        Option(
            "--import",
            help="read chats from a file that furet, ChatGPT, Claude or LLMFarm has exported, JSON or zip, and end",
            metavar="FILE",
        ),
    ] = None,
    export: Annotated[bool, Option("--export", help="write all chats as JSON, which --import reads, and end")] = False,
    json: Annotated[bool, Option("--json", help="the list, or what was imported, as JSON")] = False,
    no_save: Annotated[bool, Option("--no-save", help="leave no trace of this chat")] = False,
    max_tokens: options.MaxTokens = None,
    threads: options.Threads = None,
    context: options.Context = None,
    memory: options.Memory = None,
    no_repack: options.NoRepack = False,
    kv: options.KvType = "f16",
    sampling: SamplingOptions = {},  # noqa: B006
) -> None:
    """Talk with a model. The default one, smollm2, is small: 98 MB, downloaded at the first start.

    Enter sends; Alt-Enter, a backslash at the end of the line or open triple quotes go on to a new line.
    Ctrl-C stops the answer, /help lists the commands, Ctrl-D quits. When input or output is not a terminal,
    every line of stdin is a message and every answer goes to stdout as plain text.

    Chats are kept on this machine, for you alone, where the page of `furet serve` shows them too; --no-save keeps
    none. FURET_DATA names another folder for them.

    examples:
      furet chat
      furet chat smollm2 --system "Answer in one sentence."
      furet chat old-model.gguf --preset vicuna
      furet chat --list
      furet chat --resume
      furet chat --resume "Who are"
      furet chat --export > chats.json
      printf 'Hello!\\nWho are you?\\n' | furet chat --temperature 0
    """
    from furet import load

    if options.listed_presets(preset) or listed_chain(sampling):
        return
    if import_ is not None:
        import_file(Path(import_), json=json)
        return
    if export:
        export_all()
        return
    if list or json:
        listed_chats(json=json)
        return
    settings = sampling_settings(sampling)
    on_terminal = is_terminal(sys.stdin, sys.stdout)
    with opened_store(wanted=resume is not None, saving=not no_save) as store:
        resumed = None if resume is None or store is None else chosen_chat(store, resume)
        beginning = Beginning.of(resumed, model, system, preset, max_tokens, settings)
        with load(
            options.model_file(beginning.model),
            threads=threads,
            context=context,
            memory=memory,
            repack=not no_repack,
            kv=kv,
            reserve=_SCREEN_BYTES if on_terminal else 0,
        ) as loaded:
            conversation = loaded.chat(system=beginning.system, preset=beginning.preset, **beginning.options)
            talk = Talk(conversation, _show if on_terminal else _print)
            beginning.enter(talk, store, saving=not no_save)
            for remark in (*loaded.notes, *talk.new_notes()):
                note(f"note: {remark}")
            if on_terminal:
                import_module("furet.cli.markdown")  # now, and not while the first answer waits for it
                note(_banner(loaded))
                loaded.prepare()
                _converse(talk, typed(), forgiving=True)
            else:
                _converse(talk, lines(sys.stdin.buffer), forgiving=False)
            talk.close()


def _converse(talk: Talk, messages: Iterator[str], *, forgiving: bool) -> None:
    """Answer the messages and obey the commands; `forgiving` shows errors and goes on."""
    for message in messages:
        try:
            if message.startswith("/"):
                if command(talk, message) == "quit":
                    return
            else:
                talk.say(message)
        except FuretError as error:
            if not forgiving:
                raise
            note(f"{error.message} ({error.hint})" if error.hint else error.message)
        for remark in talk.new_notes():
            note(f"note: {remark}")


def _banner(model: Model) -> str:
    threads = f"{model.threads} thread{'s' if model.threads > 1 else ''}"
    return (
        f"{model.path.stem} · context {model.context} tokens · {threads} · up to {size(model.memory.total)}\n"
        "/help lists the commands, Ctrl-C stops an answer, Ctrl-D quits"
    )


def _show(begin: Callable[..., Stream | Recording]) -> None:
    """An answer on a terminal, as Markdown while it is being made."""
    from furet.cli.markdown import MarkdownStream

    view = MarkdownStream(sys.stdout, shutil.get_terminal_size())
    stream = begin(progress=view.reading)
    with ctrl_c(stream.cancel):
        for piece in stream:
            view.push(piece.text)
    view.finish()
    print(flush=True)
    if stream.completion.finish_reason == "cancelled":
        note("(stopped)")


def _print(begin: Callable[..., Stream | Recording]) -> None:
    """An answer as plain text, for programs."""
    for piece in begin():
        print(piece.text, end="", flush=True)
    print(flush=True)


@contextmanager
def ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block the first Ctrl-C calls `stop`; a second one interrupts as usual."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, usual)
        stop()

    usual = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
