"""The tensor table of a family: what a file must hold, in what shape, and what each tensor is called.

    name                    hugging face                                   shape     floor
    token_embd              model.embed_tokens                             V C       q6_k
    blk.{i}.attn_q          model.layers.{i}.self_attn.q_proj|pairs:H      H*D C     any
    blk.{i}.attn_q.bias?    model.layers.{i}.self_attn.q_proj.bias         H*D       f32
    blk.{i}.ssm_a.          backbone.layers.{i}.mixer.A_log.|negative_exp  N J       f32
    blk.{i}.ffn_up_exps     model.layers.{i}.mlp.experts.{e}.up_proj       E F C     any

name            the GGUF name, which is also ours: `weights.blk[i].attn_q`, `weights.blk[i].attn_q_bias`. `.weight` is
                left out, and a dot at the end says that there is none; a question mark, that a file may lack
                the tensor, which then is None. What stands before `blk.` groups layers: `weights.enc.blk[i]`
hugging face    its name there, `-` where there is none; commas between names of which one is there; after a bar,
                what is done to it (`furet.families.reshape`). Tensors are stacked: with {e} those of the experts, with
                {h} and {k} of the query and key heads, with letters in braces, as in x_{rwkv}, one for each letter
shape           axis letters of the glossary and numbers, rows first; sums and products of them, and a divisor. A line
                with a letter that the model has no size for, such as E without experts, is not for this model
floor           the coarsest type that a quantiser may store it in
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import SimpleNamespace

from furet.dtypes import TensorType
from furet.errors import ModelFileError
from furet.families.fields import Axis, Fields
from furet.ops import Tensor

STACKED = {"e": "E", "h": "H", "k": "K"}
LETTERS = re.compile(r"\{([a-z]{2,})\}")


@dataclass(frozen=True)
class Row:
    """One line of a table; a line with {i} stands for one tensor per layer.

    hugging_face    the names it may have there
    reshape         name of what is done to it, or ""; `axis` is the letter that this wants
    floor           None: any type will do
    """

    name: str
    hugging_face: tuple[str, ...]
    reshape: str
    axis: str
    shape: tuple[str, ...]
    floor: TensorType | None
    optional: bool

    @property
    def group(self) -> str:
        """What stands before `blk.`, such as "enc"; "" for most."""
        return self.name.partition("blk.{i}.")[0].removesuffix(".") if self.per_layer else ""

    @property
    def attribute(self) -> str:
        """What a family calls the tensor."""
        name = self.name.partition("blk.{i}.")[2] if self.per_layer else self.name
        return name.removesuffix(".weight").replace(".", "_")

    @property
    def letters(self) -> frozenset[str]:
        """The axis letters in its shape."""
        words = " ".join(self.shape).replace("*", " ").replace("+", " ").replace("/", " ").split()
        return frozenset(word for word in words if not word.isdigit())

    @property
    def per_layer(self) -> bool:
        """Whether there is one such tensor in every layer."""
        return "{i}" in self.name

    def sizes(self, axes: Mapping[str, Axis], layer: int = 0) -> tuple[int, ...]:
        """The shape in numbers: H*D C with H = 9, D = 64, C = 576 is (576, 576)."""
        return tuple(_size(expression, axes, layer) for expression in self.shape)


def table(text: str) -> tuple[Row, ...]:
    """Read a table in the form above; the first line names the columns."""
    return tuple(_row(*line.split()) for line in text.strip().splitlines()[1:])


def applying(rows: Sequence[Row], axes: Mapping[str, Axis]) -> tuple[Row, ...]:
    """The lines that are for a model of these sizes."""
    return tuple(row for row in rows if row.letters <= axes.keys())


def spelled(pattern: str, layer: int, axes: Mapping[str, Axis]) -> list[str]:
    """The names that a Hugging Face name of a table stands for, in a layer: of one tensor, or of those to stack."""
    letters = LETTERS.search(pattern)
    if letters:
        return [pattern.replace(letters[0], letter).format(i=layer) for letter in letters[1]]
    for count, axis in STACKED.items():
        if f"{{{count}}}" in pattern:
            return [pattern.format(i=layer, **{count: number}) for number in range(axes[axis].at(layer))]
    return [pattern.format(i=layer)]


def layers(axes: Mapping[str, Axis], group: str) -> int:
    """How many layers a group has: the axis `L.enc` where the family set it, else L."""
    return axes.get(f"L.{group}", axes["L"]).size


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
            setattr(weights, row.attribute, _take(left, row, 0, fields))
    for group in dict.fromkeys(row.group for row in rows if row.per_layer):
        blocks = [SimpleNamespace() for _ in range(layers(axes, group))]
        for i, block in enumerate(blocks):
            for row in rows:
                if row.per_layer and row.group == group:
                    setattr(block, row.attribute, _take(left, row, i, fields))
        if group:
            setattr(weights, group, SimpleNamespace(blk=blocks))
        else:
            weights.blk = blocks
    if left:
        name, tensor = next(iter(left.items()))
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        raise fields.unsupported(
            f"tensor {name[:80]} {list(tensor.shape)}{more} has no place in a {fields.architecture} model",
            hint=f"{axes['L'].origin} counts {axes['L'].size} layers; or it is a variant not known here",
        )
    return weights


def needed(tensor: Tensor | None, name: str) -> Tensor:
    """A tensor that files may lack, but not this one; raises ModelFileError where it is missing."""
    if tensor is None:
        raise ModelFileError("is missing, and another one or the configuration wants it", field=f"tensor {name}")
    return tensor


def _row(name: str, hugging_face: str, *rest: str) -> Row:
    *shape, floor = rest
    names, _, how = hugging_face.partition("|")
    reshape, _, axis = how.partition(":")
    return Row(
        name=_full(name.removesuffix("?")),
        hugging_face=() if names == "-" else tuple(map(_full, _alternatives(names))),
        reshape=reshape,
        axis=axis,
        shape=tuple(shape),
        floor=None if floor == "any" else TensorType[floor.upper()],
        optional=name.endswith("?"),
    )


def _alternatives(names: str) -> list[str]:
    """mlp.wi,wi_1 stands for mlp.wi and mlp.wi_1: what has no dot replaces the last part, before .bias."""
    first, *others = names.split(",")
    end = ".bias" if first.endswith(".bias") else ""
    parent = first.removesuffix(end).rpartition(".")[0]
    return [first, *(other if "." in other else f"{parent}.{other}{end}" for other in others)]


def _take(left: dict[str, Tensor], row: Row, layer: int, fields: Fields) -> Tensor | None:
    if not row.letters <= fields.axes.keys():
        return None
    name = row.name.format(i=layer)
    tensor = left.pop(name, None)
    wanted = row.sizes(fields.axes, layer)
    if row.optional if tensor is None else tensor.shape == wanted:
        return tensor
    got = "missing" if tensor is None else list(tensor.shape)
    raise ModelFileError(
        f"is {got}, wanted {list(wanted)}: {_reason(row, fields.axes)}",
        hint="metadata and tensors disagree: the file was altered, cut short or badly converted",
        path=fields.path,
        field=f"tensor {name}",
    )


def _size(expression: str, axes: Mapping[str, Axis], layer: int) -> int:
    """The size that H*D, D/2 or H*D+2*K*D stands for."""
    whole, _, divisor = expression.partition("/")
    terms = [term.split("*") for term in whole.split("+")]
    return sum(prod(_factor(one, axes, layer) for one in term) for term in terms) // int(divisor or 1)


def _factor(word: str, axes: Mapping[str, Axis], layer: int) -> int:
    return int(word) if word.isdigit() else axes[word].at(layer)


def _reason(row: Row, axes: Mapping[str, Axis]) -> str:
    """Where a wanted shape comes from, such as: H*D C with C = 576 (llama.embedding_length), ..."""
    shape = " ".join(row.shape)
    letters = [letter for letter in axes if letter in row.letters]
    if row.per_layer:
        letters.append("L")
    return f"{shape} with " + ", ".join(f"{a} = {axes[a].shown} ({axes[a].origin})" for a in letters)


def _full(name: str) -> str:
    if name.endswith("."):
        return name[:-1]
    return name if name.endswith((".weight", ".bias")) else f"{name}.weight"
