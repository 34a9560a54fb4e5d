"""What is odd about a model: what keeps it from running here, and what often surprises."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from furet.errors import FuretError

if TYPE_CHECKING:
    from furet.files.gguf import GGUF
    from furet.ops import Header

CANNOT_RUN = "does not run here: "


def oddities(model: Header) -> list[str]:
    """One sentence for each, of a model of any format in GGUF's vocabulary; less for one without tensors."""
    found = why_not(model) if model.tensors else []
    if model.tensors or "tokenizer.ggml.tokens" in model.metadata:
        found += [*_tokenizer(model), *_special_tokens(model)]
    return [*found, *_types(model)]


def why_not(model: Header) -> list[str]:
    """What keeps a model from running: nothing, or what its family and the kernels say."""
    return [f"{CANNOT_RUN}{reason}" for reason in (*_family(model), *_kernels(model))]


def _family(model: Header) -> Iterator[str]:
    """Unknown architecture, unread keys, missing or unexpected tensors: the first of these that there is."""
    from furet.families import read_model

    try:
        read_model(model)
    except FuretError as error:
        yield error.message


def _kernels(model: Header) -> Iterator[str]:
    from furet import _core

    known = set(_core.readable_types())
    unknown = sorted({tensor.type.name for tensor in model.tensors.values() if tensor.type not in known})
    if unknown:
        yield f"there are no kernels for {', '.join(unknown)}"


def _tokenizer(model: Header) -> Iterator[str]:
    from furet.text.from_gguf import tokenizer_from_metadata

    try:
        tokenizer_from_metadata(model.metadata)
    except FuretError as error:
        yield f"tokenizer: {error.message}"
    if not isinstance(model.metadata.get("tokenizer.chat_template"), str) and _talks(model):
        yield "no chat template: `chat` has to guess how messages are marked"


def _talks(model: Header) -> bool:
    from furet.families import find_family

    try:
        return find_family(str(model.metadata.get("general.architecture"))).kind != "encoder"
    except FuretError:
        return True


def _special_tokens(model: Header) -> Iterator[str]:
    keys = {name: f"tokenizer.ggml.{name}_token_id" for name in ("bos", "eos", "padding")}
    ids = {name: model.metadata.get(key) for name, key in keys.items()}
    for name, value in ids.items():
        if value is None:
            yield f"{keys[name]} is missing"
    if ids["padding"] is not None and ids["padding"] == ids["eos"]:
        yield "padding and end of text are the same token; training with it would mask the end"
    vocabulary = model.metadata.get("tokenizer.ggml.tokens")
    embedding = model.tensors.get("token_embd.weight")
    if isinstance(vocabulary, int | float | str) or vocabulary is None or embedding is None:
        return
    if embedding.shape[0] != len(vocabulary):
        yield f"{len(vocabulary)} tokens are named, token_embd.weight has {embedding.shape[0]} rows"


def _types(model: Header) -> Iterator[str]:
    """Roles whose tensors are stored in different types from layer to layer."""
    by_role: dict[str, Counter[str]] = defaultdict(Counter)
    for name, tensor in model.tensors.items():
        role = name.split(".", 2)[2] if name.startswith("blk.") and name.count(".") > 1 else name
        by_role[role][tensor.type.name] += 1
    for role, kinds in by_role.items():
        if len(kinds) > 1:
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            yield f"mixed types in {role}: {counts}"


def odd_layout(model: GGUF) -> Iterator[str]:
    """What is odd about a GGUF file as a file."""
    if model.byteorder == "big":
        yield "big endian: every tensor has to be turned while loading"
    if model.version < 3:
        yield f"GGUF version {model.version}; writers have used 3 since late 2023"
    data = sum(tensor.nbytes for tensor in model.tensors.values())
    padding = model.file_bytes - model.header_bytes - data
    if padding > model.alignment * (len(model.tensors) + 1):
        yield f"{padding} bytes of the file belong to no tensor"
