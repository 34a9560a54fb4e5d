"""Sizes of well-known models, so that one can be timed without its weights.

Source: the config.json that each was published with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from furet.errors import BadRequest


@dataclass(frozen=True)
class Shape:
    """The sizes of a model, in the letters of the glossary.

    trained     tokens of context that it was trained for
    tied        the embedding is the head as well
    """

    title: str
    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    trained: int
    tied: bool
    rope_base: float
    epsilon: float

    @property
    def metadata(self) -> dict[str, Any]:
        """What GGUF says of such a model, without a tokenizer."""
        keys = {
            "block_count": self.layers,
            "context_length": self.trained,
            "embedding_length": self.width,
            "feed_forward_length": self.ffn,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
            "attention.layer_norm_rms_epsilon": self.epsilon,
            "rope.freq_base": self.rope_base,
            "rope.dimension_count": self.width // self.heads,
        }
        own = {f"{self.architecture}.{key}": value for key, value in keys.items()}
        return {"general.architecture": self.architecture, "general.name": f"random {self.title}", **own}


# fmt: off
SHAPES = {
    #                title           family   L   C     H   K   F      V       trained tied   rope       eps
    "135m": Shape("SmolLM2-135M",   "llama", 30, 576,  9,  3,  1536,  49152,  8192,   True,  100000.0,  1e-5),
    "0.5b": Shape("Qwen2.5-0.5B",   "qwen2", 24, 896,  14, 2,  4864,  151936, 32768,  True,  1000000.0, 1e-6),
    "1.5b": Shape("Qwen2.5-1.5B",   "qwen2", 28, 1536, 12, 2,  8960,  151936, 32768,  True,  1000000.0, 1e-6),
    "3b":   Shape("Qwen2.5-3B",     "qwen2", 36, 2048, 16, 2,  11008, 151936, 32768,  True,  1000000.0, 1e-6),
    "7b":   Shape("Llama-2-7B",     "llama", 32, 4096, 32, 32, 11008, 32000,  4096,   False, 10000.0,   1e-5),
    "8b":   Shape("Llama-3.1-8B",   "llama", 32, 4096, 32, 8,  14336, 128256, 131072, False, 500000.0,  1e-5),
}
# fmt: on


def find_shape(name: str) -> Shape:
    """The shape of that name, in letters of either case; raises BadRequest when there is none."""
    found = SHAPES.get(name.lower())
    if found is None:
        raise BadRequest(f"there is no shape {name!r}", f"choose one of {', '.join(SHAPES)}; `help` describes them")
    return found
