"""The tiny checkpoints by which a family is judged, as furet and as transformers describe them.

A family's fixture is a file NAME.py here, with its cases, and NAME.npz beside it, with the logits that
transformers gave for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.families import find_family, known_architectures

HERE = Path(__file__).parent
Reorder = Callable[["Case", str, NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Case:
    """One checkpoint.

    transformers    name of its class there
    config          its configuration there, beyond the sizes
    model           arguments of `tiny.model`
    vectors         float tensors that `tiny.model` cannot make up, by GGUF name
    reorder         (case, attribute, array) -> array as transformers has it, where a converter changes it
    length          tokens of the prompt
    """

    architecture: str
    transformers: str
    config: dict[str, Any]
    model: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    reorder: Reorder = lambda case, attribute, array: array
    length: int = 48

    @property
    def sizes(self) -> dict[str, int]:
        """The size of every axis letter."""
        return {**tiny.SIZES, **{letter: size for letter, size in self.model.items() if letter in tiny.KEYS}}

    @property
    def tokens(self) -> NDArray[np.int64]:
        """The prompt. [T]"""
        return np.random.RandomState(1).randint(0, self.sizes["V"], self.length)

    @property
    def rows(self) -> list[int]:
        """The positions whose logits are compared: near, in between and far."""
        return [0, 1, 7, 31, self.length // 2, self.length - 2, self.length - 1]

    def build(self) -> tiny.TinyModel:
        """The checkpoint as a GGUF file would hold it."""
        made = tiny.model(self.architecture, **self.model)
        for name, vector in self.vectors.items():
            made.put(name, TensorType.F32, vector.shape, vector.view(np.uint8))
        return made

    def hugging_face(self) -> dict[str, NDArray[np.float32]]:
        """The weights under the Hugging Face names of the family's table."""
        made, arrays = self.build(), {}
        for row in find_family(self.architecture).tensors:
            for i in range(self.sizes["L"]) if row.per_layer else [0]:
                tensor = made.tensors.get(row.name.format(i=i))
                if tensor is None or row.hugging_face == "-":
                    continue
                array = made.blocks[tensor.name].view(np.float32).reshape(tensor.shape)
                arrays[row.hugging_face.format(i=i)] = self.reorder(self, row.attribute, array)
        return arrays

    def golden(self, name: str) -> NDArray[np.float32]:
        """The stored logits of transformers. [R, V]"""
        with np.load(HERE / f"{self.architecture}.npz") as stored:
            return stored[name]


def cases() -> dict[str, Case]:
    """All cases by name, of every family that furet knows."""
    modules = [import_module(f"parity.{architecture}") for architecture in known_architectures()]
    return {name: case for module in modules for name, case in module.CASES.items()}


def rope(base: float = 10_000.0, **scaling: Any) -> dict[str, Any]:
    """The rotary positions of a transformers configuration."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": base, **scaling}}
