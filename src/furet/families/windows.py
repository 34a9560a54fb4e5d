"""Layers of two kinds in turn: most look through a window, every so manieth sees all.

GGUF knows the period, and leaves it out where it is the family's usual one; Hugging Face lists the kind of every layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.families.hugging_face import Words


def period_key(words: Words, usual: int) -> dict[str, object]:
    """GGUF's key for the period; raises UnsupportedModel for layers in any other order."""
    period = words.integer("sliding_window_pattern", "_sliding_window_pattern", usual=usual)
    listed = words.get("layer_types")
    if listed is not None:
        count = words.integer("num_hidden_layers")
        wanted = (("sliding_attention", "full_attention")[(i + 1) % period == 0] for i in range(count))
        if not isinstance(listed, list) or len(listed) != count or listed != list(wanted):
            raise words.unsupported(f"layer_types is not one full_attention after {period - 1} sliding_attention")
    return {} if period == usual else {"attention.sliding_window_pattern": period}
