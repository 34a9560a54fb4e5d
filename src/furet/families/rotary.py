"""Rotary positions as files describe them: GGUF's keys read, Hugging Face's translated."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from furet.families.fields import MOST_TOKENS, Fields
from furet.families.hugging_face import Words
from furet.ops.rope import Rope, Style

Floats = NDArray[np.float32]
MOST_DIMS = 4096  # of a head; no published model has more than 512


def read_rope(f: Fields, head_dim: int, context: int, style: Style, long: bool = False) -> Rope:
    """The rotary positions, plain or scaled; factors per pair come as a tensor and have no key.

    long    whether the family chooses such tensors by the length of the context
    """
    dims = f.integer("rope.dimension_count", head_dim, low=2, high=head_dim)
    f.require(dims % 2 == 0, "rope.dimension_count", f"an even size, not {dims}")
    base = f.number("rope.freq_base", 10_000.0)
    f.require(base > 1, "rope.freq_base", "a number above 1")
    factor = f.number("rope.scaling.factor", f.number("rope.scale_linear", 1.0))
    magnitude = f.number("rope.scaling.attn_factor", 1.0)
    trained = f.integer("rope.scaling.original_context_length", context, low=1, high=MOST_TOKENS)
    match f.text("rope.scaling.type", "linear"):
        case "none":
            return Rope(base, dims, style, attention_factor=magnitude)
        case "longrope" if long:
            return Rope(base, dims, style, attention_factor=magnitude)
        case "linear":
            return Rope(base, dims, style, factor, attention_factor=magnitude)
        case "yarn":
            return Rope(base, dims, style, factor, yarn_context=trained, attention_factor=magnitude)
        case other:
            raise f.unsupported(f"{f.name('rope.scaling.type')} is {other[:80]!r}, not none, linear or yarn")


def rope_keys(words: Words) -> dict[str, object]:
    """GGUF's keys for `rope_theta` and `rope_scaling`, or for the `rope_parameters` that replaced both."""
    settings = settings_of(words)
    keys: dict[str, object] = {}
    if settings.peek("rope_theta") is not None:
        keys["rope.freq_base"] = settings.number("rope_theta")
    match settings.peek("rope_type", settings.peek("type", "default")):
        case "default" | "llama3":
            pass
        case "linear":
            keys["rope.scaling.type"] = "linear"
            keys["rope.scaling.factor"] = settings.number("factor")
        case "yarn":
            _refuse_other_yarn(settings)
            keys["rope.scaling.type"] = "yarn"
            keys["rope.scaling.factor"] = settings.number("factor")
            keys["rope.scaling.original_context_length"] = _original(words, settings)
        case "longrope" | "su":
            keys["rope.scaling.type"] = "longrope"
            keys["rope.scaling.original_context_length"] = _original(words, settings)
            keys["rope.scaling.attn_factor"] = _long_rope_magnitude(words, settings)
        case other:
            raise words.unsupported(f"rope_type is {str(other)[:80]!r}, which is not known here")
    return keys


def partial(words: Words, usual: float) -> dict[str, object]:
    """GGUF's key for the share of every head that turns, which Hugging Face knows under three names."""
    shares = [words.get(name) for name in ("partial_rotary_factor", "rotary_pct", "rope_pct")]
    share = next((s for s in (settings_of(words).peek("partial_rotary_factor"), *shares) if s is not None), usual)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise words.unsupported(f"a share of {share!r:.80} of every head turns, wanted a number up to 1")
    head = words.integer("hidden_size") // words.integer("num_attention_heads")
    return {"rope.dimension_count": int(share * head)}


def llama3_factors(words: Words) -> dict[str, Floats]:
    """The divisor per pair that Llama 3.1's scaling comes to, as GGUF stores it; nothing for other scalings.

    Source: arXiv:2407.21783, section 3.4.1, and the formula as published with the weights.
    """
    settings = settings_of(words)
    if settings.peek("rope_type", settings.peek("type")) != "llama3":
        return {}
    dims = words.integer("head_dim", usual=words.integer("hidden_size") // words.integer("num_attention_heads"))
    if dims > MOST_DIMS:
        raise words.damaged("head_dim", f"at most {MOST_DIMS}")
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    factor, low, high, trained = (settings.number(name) for name in names)
    if not (factor >= 1 and 0 < low < high and trained >= 1):
        raise settings.damaged("low_freq_factor", "factor >= 1 and 0 < low_freq_factor < high_freq_factor")
    base = max(1.0, settings.number("rope_theta", usual=10_000.0))
    turns = trained / (2 * np.pi * base ** (np.arange(0, dims, 2) / dims))  # within the trained context
    kept = ((turns - low) / (high - low)).clip(0.0, 1.0)
    return {"rope_freqs.weight": (1.0 / ((1.0 - kept) / factor + kept)).astype(np.float32)}


def long_rope_factors(words: Words) -> dict[str, Floats]:
    """The divisors per pair of Phi-3's scaling, for short and for long contexts; nothing for other scalings.

    Source: arXiv:2402.13753.
    """
    settings = settings_of(words)
    factors = {}
    for length in ("short", "long"):
        values = settings.peek(f"{length}_factor")
        if values is not None:
            factors[f"rope_factors_{length}.weight"] = _divisors(settings, f"{length}_factor", values)
    return factors


def settings_of(words: Words, kind: str = "full_attention") -> Words:
    """`rope_parameters`, or what stood for it before: `rope_scaling` with `rope_theta`.

    kind    of layers, where each has its own
    """
    found = words.peek("rope_parameters", words.peek("rope_scaling", {}))
    settings = found.get(kind, found) if isinstance(found, Mapping) else None
    if not isinstance(settings, Mapping):
        raise words.unsupported(f"rope_scaling is {found!r:.80}, wanted a table")
    base = words.peek("rope_theta")
    return type(words)({"rope_theta": base, **settings} if base is not None else settings, path=words.path)


def _original(words: Words, settings: Words) -> int:
    """The context before it was stretched."""
    key = "original_max_position_embeddings"
    if settings.peek(key) is not None:
        return settings.integer(key)
    return words.integer(key, "max_position_embeddings")


def _divisors(settings: Words, key: str, values: object) -> Floats:
    """A list of factors; what it holds besides is seen when the tensor is bound."""
    numbers = values if isinstance(values, list) and len(values) <= MOST_DIMS else []
    if not numbers or any(isinstance(v, bool) or not isinstance(v, int | float) or not 0 < v < 1e6 for v in numbers):
        raise settings.damaged(key, "a list of numbers above 0")
    return np.array(numbers, dtype=np.float32)


def _refuse_other_yarn(settings: Words) -> None:
    usual = {"beta_fast": 32, "beta_slow": 1, "attention_factor": None, "mscale": None, "mscale_all_dim": None}
    for key, wanted in usual.items():
        if settings.peek(key, wanted) != wanted:
            raise settings.unsupported(f"{key} of YaRN is {settings.peek(key)!r:.80}: only {wanted} is known here")


def _long_rope_magnitude(words: Words, settings: Words) -> float:
    if settings.peek("attention_factor") is not None:
        return settings.number("attention_factor")
    original = _original(words, settings)
    factor = settings.number("factor", usual=words.integer("max_position_embeddings") / original)
    return 1.0 if factor <= 1.0 or original <= 1 else sqrt(1.0 + log(factor) / log(original))
