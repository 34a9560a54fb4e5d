"""The tensor table of a family: what a file must hold, in what shape, and what each tensor is called.

    name                    hugging face                            shape     floor
    token_embd              model.embed_tokens                      V C       q6_k
    blk.{i}.attn_q          model.layers.{i}.self_attn.q_proj       H*D C     any
    blk.{i}.attn_q.bias?    model.layers.{i}.self_attn.q_proj.bias  H*D       f32

name    the GGUF name, which is also ours: `weights.blk[i].attn_q`, `weights.blk[i].attn_q_bias`. `.weight`
        is left out; a question mark says that a file may lack the tensor, which then is None
shape   axis letters of the glossary, rows first
floor   the coarsest type that a quantiser may store it in
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import SimpleNamespace

from furet.dtypes import TensorType
from furet.errors import ModelFileError
from furet.families.fields import Axis, Fields
from furet.ops import Tensor


@dataclass(frozen=True)
class Row:
    """One line of a table; a line with {i} stands for one tensor per layer.

    floor   None: any type will do
    """

    name: str
    hugging_face: str
    shape: tuple[str, ...]
    floor: TensorType | None
    optional: bool

    @property
    def attribute(self) -> str:
        """What a family calls the tensor."""
        return self.name.removeprefix("blk.{i}.").removesuffix(".weight").replace(".", "_")

    @property
    def per_layer(self) -> bool:
        """Whether there is one such tensor in every layer."""
        return "{i}" in self.name

    def sizes(self, axes: Mapping[str, Axis]) -> tuple[int, ...]:
        """The shape in numbers: H*D C with H = 9, D = 64, C = 576 is (576, 576)."""
        return tuple(_size(expression, axes) for expression in self.shape)


def table(text: str) -> tuple[Row, ...]:
    """Read a table in the form above; the first line names the columns."""
    rows = []
    for line in text.strip().splitlines()[1:]:
        name, hugging_face, *shape, floor = line.split()
        rows.append(
            Row(
                name=_full(name.removesuffix("?")),
                hugging_face=_full(hugging_face),
                shape=tuple(shape),
                floor=None if floor == "any" else TensorType[floor.upper()],
                optional=name.endswith("?"),
            )
        )
    return tuple(rows)


def bind(rows: Sequence[Row], tensors: Mapping[str, Tensor], fields: Fields) -> SimpleNamespace:
    """The tensors of a file under the names of its family: `weights.output_norm`, `weights.blk[3].attn_q`.

    raises  ModelFileError for a missing tensor or a wrong shape,
            UnsupportedModel for a tensor that is not in the table
    """
    axes = fields.axes
    left = dict(tensors)
    weights = SimpleNamespace(blk=[])
    for row in rows:
        if not row.per_layer:
            setattr(weights, row.attribute, _take(left, row, row.name, fields))
    for i in range(axes["L"].size):
        block = SimpleNamespace()
        for row in rows:
            if row.per_layer:
                setattr(block, row.attribute, _take(left, row, row.name.format(i=i), fields))
        weights.blk.append(block)
    if left:
        name, tensor = next(iter(left.items()))
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        raise fields.unsupported(
            f"tensor {name[:80]} {list(tensor.shape)}{more} has no place in a {fields.architecture} model",
            hint=f"{axes['L'].origin} counts {axes['L'].size} layers; or it is a variant not known here",
        )
    return weights


def _take(left: dict[str, Tensor], row: Row, name: str, fields: Fields) -> Tensor | None:
    tensor = left.pop(name, None)
    wanted = row.sizes(fields.axes)
    if row.optional if tensor is None else tensor.shape == wanted:
        return tensor
    got = "missing" if tensor is None else list(tensor.shape)
    raise ModelFileError(
        f"is {got}, wanted {list(wanted)}: {_reason(row, fields.axes)}",
        hint="metadata and tensors disagree: the file was altered, cut short or badly converted",
        path=fields.path,
        field=f"tensor {name}",
    )


def _size(expression: str, axes: Mapping[str, Axis]) -> int:
    """The size that H*D or D/2 stands for."""
    letters, _, divisor = expression.partition("/")
    return prod(axes[letter].size for letter in letters.split("*")) // int(divisor or 1)


def _reason(row: Row, axes: Mapping[str, Axis]) -> str:
    """Where a wanted shape comes from, such as: H*D C with C = 576 (llama.embedding_length), ..."""
    shape = " ".join(row.shape)
    letters = [letter for letter in axes if letter in shape]
    if row.per_layer:
        letters.append("L")
    return f"{shape} with " + ", ".join(f"{a} = {axes[a].size} ({axes[a].origin})" for a in letters)


def _full(name: str) -> str:
    return name if name.endswith((".weight", ".bias")) or name == "-" else f"{name}.weight"
