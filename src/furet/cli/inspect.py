"""`furet inspect`: what a model file holds."""

from __future__ import annotations

from collections import Counter
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from furet.cli import options
from furet.cli.arguments import Argument
from furet.cli.terminal import emit_json, printable, size, table
from furet.errors import NotFound

if TYPE_CHECKING:
    from furet.files.gguf import GGUF, Value

_SHORT = 60
_TEMPLATE = 600
_HEAD = 8


def inspect(
    file: Annotated[str, Argument("a GGUF file, any shard of one, or a model on this machine")],
    json: options.Json = False,
) -> None:
    """Say what is in a model file: metadata, tokenizer, chat template, tensors, and what is odd.

    Reads the header only; nothing in the file is run or trusted. A file that is not GGUF is named for what
    it is, as far as its first bytes tell, with exit code 4.

    examples:
      furet inspect model.gguf
      furet inspect smollm2 --json | jq .odd
    """
    from furet.cli.oddities import oddities
    from furet.files.gguf import open_gguf

    with open_gguf(_path(file)) as model:
        odd = oddities(model)
        if json:
            emit_json({**_facts(model), **_contents(model), "odd": odd})
        else:
            _print(model, odd)


def _path(file: str) -> Path:
    from furet.files import store

    path = Path(file)
    if path.exists() or path.suffix == ".gguf":
        return path
    if found := store.find(file):
        return found
    raise NotFound(f"{file} is not on this machine", f"`furet pull {file}` downloads it")


def _facts(model: GGUF) -> dict[str, Any]:
    return {
        "path": str(model.path),
        "format": f"GGUF version {model.version}, {model.byteorder} endian",
        "files": len(model.paths),
        "bytes": model.file_bytes,
        "name": model.metadata.get("general.name"),
        "architecture": model.metadata.get("general.architecture"),
        "parameters": sum(prod(tensor.shape) for tensor in model.tensors.values()),
    }


def _contents(model: GGUF) -> dict[str, Any]:
    return {
        "tokenizer": _tokenizer(model),
        "chat_template": model.metadata.get("tokenizer.chat_template"),
        "metadata": {key: _plain(value) for key, value in model.metadata.items()},
        "tensors": [
            {
                "name": tensor.name,
                "type": tensor.type.name,
                "shape": tensor.shape,
                "bytes": tensor.nbytes,
                "offset": tensor.offset,
                "shard": tensor.shard,
            }
            for tensor in model.tensors.values()
        ],
    }


def _tokenizer(model: GGUF) -> dict[str, Any]:
    """What the metadata says of it, with the text of the special tokens."""
    prefix = "tokenizer.ggml."
    tokens = model.metadata.get(prefix + "tokens")
    known: dict[str, Any] = {
        key: model.metadata.get(prefix + key) for key in ("model", "pre", "add_bos_token", "add_eos_token")
    }
    for key in ("tokens", "merges"):
        known[key] = _length(model.metadata.get(prefix + key))
    for key, value in model.metadata.items():
        if key.startswith(prefix) and key.endswith("_token_id") and isinstance(value, int) and value >= 0:
            text = (
                None
                if isinstance(tokens, int | float | str | None) or value >= len(tokens)
                else tokens[value]
            )
            known[key.removeprefix(prefix)] = {"id": value, "text": text}
    return known


def _length(value: Value | None) -> int | None:
    return None if isinstance(value, int | float | str | None) else len(value)


def _plain(value: Value) -> Any:
    """A metadata value as JSON; of a long array its length and beginning."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int | float | str):
        return value
    if len(value) <= _HEAD:
        return [_plain(element) for element in value]
    return {"length": len(value), "first": [_plain(value[i]) for i in range(_HEAD)]}


def _brief(value: Value) -> str:
    """A metadata value in one short line."""
    if isinstance(value, str):
        text = repr(value)
    elif isinstance(value, int | float):
        text = f"{value:.7g}" if isinstance(value, float) else str(value)
    else:
        first = [repr(value[i]) for i in range(min(_HEAD, len(value)))]
        text = f"{len(value)} x [{', '.join(first)}{', ...' if len(value) > _HEAD else ''}]"
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _print(model: GGUF, odd: list[str]) -> None:
    template = model.metadata.get("tokenizer.chat_template")
    metadata = [(key, model.types[key].name.lower(), _brief(value)) for key, value in model.metadata.items()]
    tokenizer = [(key, _said(value)) for key, value in _tokenizer(model).items() if value is not None]
    sections = {
        "metadata": table(metadata),
        "tokenizer": table(tokenizer),
        "chat template": _indented(template) if isinstance(template, str) else "none",
        "tensors": _tensors(model),
        "types": _types(model),
        "odd": "\n".join(f"- {printable(sentence)}" for sentence in odd) or "nothing",
    }
    facts = _facts(model)
    facts["bytes"] = f"{model.file_bytes} ({size(model.file_bytes)})"
    facts["parameters"] = f"{facts['parameters']:,}"
    print(table([(key, value) for key, value in facts.items() if value is not None]))
    for title, text in sections.items():
        print(f"\n{title}\n{text}")


def _said(value: Any) -> str:
    """One line on an entry of the tokenizer's summary."""
    return f"{value['id']} {value['text']!r}" if isinstance(value, dict) else str(value)


def _indented(template: str) -> str:
    shown = template if len(template) <= _TEMPLATE else f"{template[:_TEMPLATE]} ... (--json has all of it)"
    return "\n".join(f"  {printable(line)}" for line in shown.split("\n"))


def _tensors(model: GGUF) -> str:
    rows = [
        (tensor.name, tensor.type.name, " x ".join(map(str, tensor.shape)), tensor.nbytes)
        for tensor in model.tensors.values()
    ]
    return table(rows, ("name", "type", "shape", "bytes"), right="llrr")


def _types(model: GGUF) -> str:
    count: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for tensor in model.tensors.values():
        count[tensor.type.name] += 1
        taken[tensor.type.name] += tensor.nbytes
    rows = [(kind, count[kind], size(nbytes)) for kind, nbytes in taken.most_common()]
    return table(rows, ("type", "tensors", "size"), right="lrr")
