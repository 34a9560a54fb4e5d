"""`furet convert`: a model of any format as a GGUF file."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

from furet.cli import options
from furet.cli.arguments import Argument, Option
from furet.cli.terminal import emit_json, note, size
from furet.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from furet.convert import ModelFile
    from furet.dtypes import TensorType


def convert(
    model: Annotated[str, Argument("a Hugging Face folder, an old GGML file or a GGUF file", metavar="MODEL")],
    out: Annotated[str | None, Argument("the file to write; default: its name and type", metavar="OUT.gguf")] = None,
    type: Annotated[
        str | None, Option("--type", help="f32, f16, bf16 or q8_0; default: each tensor as it is stored")
    ] = None,
    force: Annotated[bool, Option("--force", help="write over a file that is there")] = False,
    json: options.Json = False,
) -> None:
    """Write a model as one GGUF file, which furet, llama.cpp and others run.

    Reads folders as Hugging Face saves them (config.json with safetensors or torch files, nothing unpickled) and the
    GGML files of before GGUF. One tensor at a time is in memory; the file appears when it is complete.

    examples:
      furet convert ./Qwen2.5-0.5B-Instruct
      furet convert ./Qwen2.5-0.5B-Instruct qwen-q8.gguf --type q8_0
      furet convert ggml-alpaca-7b-q4.bin alpaca.gguf
    """
    from furet.cli.pull import progress_bar
    from furet.convert import open_model
    from furet.convert.write import write_model

    kind = _kind(type)
    source = _source(model)
    with open_model(source, exact=True) as opened, progress_bar() as show:
        path = Path(out) if out else Path(f"{_stem(source)}{f'-{type}' if type else ''}.gguf")
        _check_target(path, source, force)
        began = perf_counter()
        write_model(opened, path, kind, lambda done, total: show(path.name, done, total))
        took = perf_counter() - began
        if widened := getattr(opened, "widened", ()):
            note(f"{len(widened)} tensors became F32: no type of today holds their scales without loss")
        if json:
            emit_json(_facts(opened, path))
            return
    note(f"{size(path.stat().st_size)} in {took:.1f} s")
    print(path)


def _source(model: str) -> Path:
    from furet.files import store

    if Path(model).exists():
        return Path(model)
    if found := store.find(model):
        return found
    raise NotFound(f"{model}: no such folder or file", "name the folder that holds config.json, or a model file")


def _stem(source: Path) -> str:
    return source.resolve().name if source.is_dir() else source.stem


def _check_target(path: Path, source: Path, force: bool) -> None:
    if path.is_dir():
        raise BadRequest(f"{path} is a folder", "name the file to write")
    if path.exists() and path.samefile(source):
        raise BadRequest(f"{path} is what would be read", "name another file to write")
    if path.exists() and not force:
        raise BadRequest(f"{path} is there already", "name another file, or --force to write over it")
    if not path.parent.is_dir():
        raise NotFound(f"{path.parent}: no such folder", "make it first, or write elsewhere")


def _kind(name: str | None) -> TensorType | None:
    from furet.dtypes import TensorType

    if name is None:
        return None
    try:
        return TensorType[name.upper()]
    except KeyError:
        raise BadRequest(f"--type: there is no type {name!r}", "choose one of f32, f16, bf16 or q8_0") from None


def _facts(source: ModelFile, path: Path) -> dict[str, object]:
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "architecture": source.metadata["general.architecture"],
        "tensors": len(source.tensors),
        "from": str(source.path),
    }
