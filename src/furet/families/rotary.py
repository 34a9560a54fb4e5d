"""Rotary positions as files describe them: GGUF's keys read, Hugging Face's translated."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from furet.families.fields import MOST_TOKENS, Fields
from furet.ops.rope import Rope, Style

if TYPE_CHECKING:
    from furet.families.hugging_face import Words

Floats = NDArray[np.float32]


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
    if "rope_theta" in settings:
        keys["rope.freq_base"] = float(settings["rope_theta"])
    original = settings.get("original_max_position_embeddings")
    match settings.get("rope_type", settings.get("type", "default")):
        case "default" | "llama3" | None:
            pass
        case "linear":
            keys["rope.scaling.type"] = "linear"
            keys["rope.scaling.factor"] = float(settings["factor"])
        case "yarn":
            _refuse_other_yarn(words, settings)
            keys["rope.scaling.type"] = "yarn"
            keys["rope.scaling.factor"] = float(settings["factor"])
            keys["rope.scaling.original_context_length"] = original or words.peek("max_position_embeddings")
        case "longrope" | "su":
            keys["rope.scaling.type"] = "longrope"
            original = original or words.peek("original_max_position_embeddings")
            longest = words.peek("max_position_embeddings")
            keys["rope.scaling.original_context_length"] = original
            keys["rope.scaling.attn_factor"] = _long_rope_magnitude(settings, longest / original, original)
        case other:
            raise words.unsupported(f"rope_type is {str(other)[:80]!r}, which is not known here")
    return keys


def partial(words: Words, usual: float) -> dict[str, object]:
    """GGUF's key for the share of every head that turns, which Hugging Face knows under three names."""
    shares = [words.get(name) for name in ("partial_rotary_factor", "rotary_pct", "rope_pct")]
    share = next((s for s in (settings_of(words).get("partial_rotary_factor"), *shares) if s is not None), usual)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise words.unsupported(f"a share of {share!r:.80} of every head turns, wanted a number up to 1")
    head = words.integer("hidden_size") // words.integer("num_attention_heads")
    return {"rope.dimension_count": int(share * head)}


def llama3_factors(words: Words) -> dict[str, Floats]:
    """The divisor per pair that Llama 3.1's scaling comes to, as GGUF stores it; nothing for other scalings.

    Source: arXiv:2407.21783, section 3.4.1, and the formula as published with the weights.
    """
    settings = settings_of(words)
    if settings.get("rope_type", settings.get("type")) != "llama3":
        return {}
    dims = words.peek("head_dim") or words.peek("hidden_size") // words.peek("num_attention_heads")
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    factor, low, high, trained = (float(settings[name]) for name in names)
    base = float(settings.get("rope_theta", 10_000.0))
    turns = trained / (2 * np.pi * base ** (np.arange(0, dims, 2) / dims))  # within the trained context
    kept = ((turns - low) / (high - low)).clip(0.0, 1.0)
    return {"rope_freqs.weight": (1.0 / ((1.0 - kept) / factor + kept)).astype(np.float32)}


def long_rope_factors(words: Words) -> dict[str, Floats]:
    """The divisors per pair of Phi-3's scaling, for short and for long contexts; nothing for other scalings.

    Source: arXiv:2402.13753.
    """
    settings = settings_of(words)
    return {
        f"rope_factors_{length}.weight": np.array(settings[f"{length}_factor"], dtype=np.float32)
        for length in ("short", "long")
        if f"{length}_factor" in settings
    }


def settings_of(words: Words, kind: str = "full_attention") -> dict[str, Any]:
    """`rope_parameters`, or what stood for it before: `rope_scaling` with `rope_theta`.

    kind    of layers, where each has its own
    """
    found = words.peek("rope_parameters") or words.peek("rope_scaling") or {}
    if not isinstance(found, Mapping):
        raise words.unsupported(f"rope_scaling is {found!r:.80}, wanted a table")
    settings = dict(found.get(kind, found))
    if words.peek("rope_theta") is not None:
        settings.setdefault("rope_theta", words.peek("rope_theta"))
    return settings


def _refuse_other_yarn(words: Words, settings: Mapping[str, Any]) -> None:
    usual = {"beta_fast": 32, "beta_slow": 1, "attention_factor": None, "mscale": None, "mscale_all_dim": None}
    for key, wanted in usual.items():
        if settings.get(key, wanted) != wanted:
            raise words.unsupported(f"{key} of YaRN is {settings[key]!r:.80}: only {wanted} is known here")


def _long_rope_magnitude(settings: Mapping[str, Any], factor: float, trained: int) -> float:
    given = settings.get("attention_factor")
    if given is not None:
        return float(given)
    factor = float(settings.get("factor") or factor)
    return 1.0 if factor <= 1.0 else sqrt(1.0 + log(factor) / log(trained))
