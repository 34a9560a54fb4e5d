"""`furet rm`: delete a downloaded model."""

from __future__ import annotations

import sys
from typing import Annotated

from furet.cli import options
from furet.cli.arguments import Option
from furet.cli.terminal import emit_json, is_terminal, note, size
from furet.errors import BadRequest


def rm(
    model: options.ModelArgument,
    yes: Annotated[bool, Option("-y", "--yes", help="do not ask")] = False,
    json: options.Json = False,
) -> None:
    """Delete a downloaded model from the caches, after asking. A file named by its path is never deleted.

    In the Hugging Face cache only this model's files go; other tools that use them have to fetch them again.

    examples:
      furet rm hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF:Q4_K_M
      furet rm smollm2 --yes
    """
    from furet.files import store

    found = store.matching(model)
    for record in found:
        note(f"{record.ref}  {size(record.bytes)}  {record.path}")
    if not yes and not _confirmed():
        note("nothing was deleted")
        return
    freed = store.remove(model)
    if json:
        emit_json({"removed": [record.ref for record in found], "bytes": freed})
    else:
        note(f"{size(freed)} freed")


def _confirmed() -> bool:
    if not is_terminal(sys.stdin, sys.stderr):
        raise BadRequest("rm asks before it deletes, and there is no terminal to ask on", "add --yes")
    print("delete? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
