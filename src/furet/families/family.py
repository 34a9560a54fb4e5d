"""What every family is: names, a tensor table, a configuration, and a forward over the op list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from furet.families.tensors import Row
from furet.ops import Ops, Tensor, X

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from furet.families.fields import Fields
    from furet.families.hugging_face import Words
    from furet.families.reshape import Reshape

Norm = Literal["rms", "layer"]
Kind = Literal["decoder", "encoder", "answer"]
EPSILON: dict[Norm, str] = {
    "rms": "attention.layer_norm_rms_epsilon",
    "layer": "attention.layer_norm_epsilon",
}


@dataclass(frozen=True)
class Config:
    """What every model has; families extend it.

    context     tokens that it was trained for
    norm, eps   the kind of its norms, and what they add to the mean square or variance
    """

    layers: int  # L
    width: int  # C
    vocab: int  # V
    context: int
    norm: Norm
    eps: float


class Family(ABC):
    """A model family, in the vocabulary of GGUF; Hugging Face's is translated to it.

    architectures   what GGUF files call it, the first being what furet writes
    model_types     what Hugging Face's `model_type` calls it
    tensors         its tensors, with both names
    ignored         GGUF keys that need not be read: {key: reason}
    words           its own words of `config.json`, beyond those that all share; see `furet.families.hugging_face`
    reshapes        its own ways from a Hugging Face tensor to the GGUF one, beyond `furet.families.reshape`
    left_out        patterns of Hugging Face tensors that the model does not need
    kind            decoder: gives logits of the next token. encoder: what each token has become. answer: first reads
                    a text as a whole, with `encode`, then gives logits of the next token of an answer to it
    context         tokens that it is loaded for; the trained ones until the engine says otherwise
    """

    architectures: ClassVar[tuple[str, ...]] = ()
    model_types: ClassVar[tuple[str, ...]] = ()
    tensors: ClassVar[tuple[Row, ...]]
    ignored: ClassVar[Mapping[str, str]] = {}
    kind: ClassVar[Kind] = "decoder"
    words: ClassVar[str] = ""
    left_out: ClassVar[tuple[str, ...]] = ()
    reshapes: ClassVar[Mapping[str, Reshape]] = {}

    def __init__(self, config: Any, weights: SimpleNamespace) -> None:
        self.config = config
        self.weights = weights
        self.context: int = config.context

    @staticmethod
    @abstractmethod
    def read_config(f: Fields) -> Any:
        """The configuration in a file's metadata."""

    @abstractmethod
    def forward(self, op: Ops[X]) -> X:
        """What a step gives for the wanted rows. -> [R, V]"""

    def encode(self, op: Ops[X]) -> X:
        """Read the text that is answered; only of kind "answer"."""
        raise NotImplementedError

    def norm(self, op: Ops[X], x: X, weight: Tensor, bias: Tensor | None = None) -> X:
        """The family's kind of norm. [T, C] -> [T, C]"""
        if self.config.norm == "rms":
            return op.rms_norm(x, weight, self.config.eps)
        return op.layer_norm(x, weight, bias, self.config.eps)

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        """GGUF's keys, without the architecture's name, for a `config.json`."""
        return words.translated()

    @classmethod
    def made(cls, words: Words) -> dict[str, NDArray[np.float32]]:
        """Tensors of a GGUF file that Hugging Face computes from the configuration, by name."""
        return {}
