"""`furet inspect`: what any file is, and what a model holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from furet.cli import options
from furet.cli.arguments import Argument
from furet.cli.terminal import emit_json
from furet.errors import FuretError, NotFound

if TYPE_CHECKING:
    from furet.files.kind import FileKind

_SUFFIXES = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ggml")


def inspect(
    file: Annotated[str, Argument("a model file or folder of any format, or a model on this machine")],
    json: options.Json = False,
) -> None:
    """Say what a file is and what is in it: configuration, tokenizer, chat template, tensors, and what is odd.

    Knows GGUF files, folders as Hugging Face saves them, safetensors and PyTorch checkpoints alone, and the GGML files
    of before GGUF, also of models that do not run here, and says why not. Reads headers only; nothing in a file
    is run or trusted. What is no model is named for what it is, with exit code 4.

    examples:
      furet inspect model.gguf
      furet inspect ./Qwen2.5-0.5B-Instruct
      furet inspect smollm2 --json | jq .odd
    """
    from furet.cli.describe import describe
    from furet.cli.describe.page import page

    path = _path(file)
    try:
        found = describe(path)
    except FuretError as error:
        if json and path.exists():
            emit_json(_refusal(path, error))
        raise
    if json:
        emit_json(found)
    else:
        print(page(found))


def _path(file: str) -> Path:
    from furet.files import store

    path = Path(file)
    if path.exists() or path.suffix in _SUFFIXES:
        return path
    if found := store.find(file):
        return found
    raise NotFound(f"{file} is not on this machine", f"`furet pull {file}` downloads it")


def _refusal(path: Path, error: FuretError) -> dict[str, Any]:
    """What is known of a file that is no model, or a damaged one."""
    from furet.files.kind import kind_of

    kind: FileKind = kind_of(path)
    return {
        "path": str(path),
        "format": kind.name,
        "says": kind.says,
        "bytes": path.stat().st_size if path.is_file() else None,
        "wrong": error.message,
        "offset": getattr(error, "offset", None),
        "field": getattr(error, "field", None) or None,
        "next": error.hint or kind.hint,
    }
