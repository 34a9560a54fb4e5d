"""What there is to know of a loaded model, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import isfinite, prod
from typing import Any

from furet.chat.model import Model

LONGEST = 1000  # characters of a text of the metadata, and entries of a list, that are told
TEMPLATE = "tokenizer.chat_template"


def describe(model: Model) -> dict[str, Any]:
    """The value of a `Describe` job; reads the header of the model's file once more."""
    from furet.convert import open_model
    from furet.files.store.variants import encoding

    with open_model(model.path) as file:
        parameters = {name: prod(tensor.shape) for name, tensor in file.tensors.items()}
        types = Counter[str]()
        for name, tensor in file.tensors.items():
            types[tensor.type.name] += parameters[name]
        size = file.file_bytes
    template = model.metadata.get(TEMPLATE)
    return {
        "name": str(model.metadata.get("general.name") or model.path.stem),
        "kind": model.kind,
        "context": model.context,
        "trained_context": model.memory.trained_context,
        "vocab": model.vocab if model.kind != "encoder" else model.tokenizer.vocab_size,
        "architecture": str(model.metadata.get("general.architecture")),
        "parameters": sum(parameters.values()),
        "quantisation": encoding(model.path.name) or types.most_common(1)[0][0],
        "bytes": size,
        "memory": dict(model.memory.rows),
        "template": template if isinstance(template, str) else None,
        "metadata": dict(_short(model.metadata)),
    }


def _short(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The metadata that people read: no vocabularies, no template."""
    for key, value in metadata.items():
        if key == TEMPLATE:
            continue
        if hasattr(value, "tolist"):
            value = value.tolist() if getattr(value, "size", 0) <= LONGEST else None
        if isinstance(value, str | list):
            fits = len(value) <= LONGEST
        else:
            fits = isinstance(value, int) or (isinstance(value, float) and isfinite(value))
        if fits:
            yield key, value
