"""LLaMA and Mistral: plain, far, with biases and wide heads, every scaling of the positions, a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from parity.checkpoint import Case, rope

TRAINED = "original_max_position_embeddings"
LLAMA_3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, TRAINED: 64}
YARN = {"rope_type": "yarn", "factor": 4.0, TRAINED: 1024}
YARN_KEYS = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 4.0,
    "rope.scaling.original_context_length": 1024,
}
BIASES = ("attn_q_bias", "attn_k_bias", "attn_v_bias", "attn_output_bias")


def halves(case: Case, attribute: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo the converter's permutation of q and k: pairs of neighbours back to pairs half a head apart."""
    letter = {"attn_q": "H", "attn_k": "K"}.get(attribute.removesuffix("_bias"))
    if letter is None:
        return array
    pairs = array.reshape(case.sizes[letter], -1, 2, *array.shape[1:])
    return pairs.swapaxes(1, 2).reshape(array.shape)


def llama(config: dict[str, object], keys: dict[str, object] | None = None, **more: object) -> Case:
    sizes = more.pop("model", {})
    return Case("llama", "LlamaForCausalLM", config, {"keys": keys or {}, **sizes}, reorder=halves, **more)


def stored_factors(base: float, factor: float, low: float, high: float, trained: int) -> NDArray[np.float32]:
    """What a converter stores for Llama 3.1's scaling of heads of 16: a divisor per pair. -> [8]"""
    turns = trained / (2 * np.pi * base ** (np.arange(0, 16, 2) / 16))
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1.0 / ((1.0 - kept) / factor + kept)).astype(np.float32)


CASES = {
    "llama": llama(rope(), model={"K": 4}),
    "llama far": llama(rope(1e5), {"rope.freq_base": 1e5}, model={"optional": ()}, length=2100),
    "llama wide heads": llama({**rope(), "head_dim": 32}, model={"D": 32}),
    "llama biases": llama({**rope(), "attention_bias": True}, model={"optional": ("output", *BIASES)}),
    "llama linear": llama(
        rope(rope_type="linear", factor=4.0),
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        length=300,
    ),
    "llama 3": llama(
        rope(5e5, rope_type="llama3", **LLAMA_3),
        {"rope.freq_base": 5e5},
        vectors={"rope_freqs.weight": stored_factors(5e5, *LLAMA_3.values())},
        length=300,
    ),
    "llama yarn": llama(rope(**YARN), YARN_KEYS, length=300),
    "mistral": Case(
        "llama",
        "MistralForCausalLM",
        {**rope(), "sliding_window": 16, "head_dim": 16},
        {"keys": {"attention.sliding_window": 16}},
        reorder=halves,
        length=120,
    ),
}
